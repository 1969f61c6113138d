"""The torch workload in somebody else's Python: torch or not, chatty or broken, and never gpuwarden."""

import json
import subprocess
import sys
import sysconfig

import pytest

from tests.torch.child import run

pytestmark = pytest.mark.torch

GPT = {"run": "generate", "model": "gpt2-tiny", "prompt": 4, "new_tokens": 4, "iterations": 2, "warmup_seconds": 0.0}

CHATTY = """\
import atexit, os, pathlib, sys

sys.stdout.write("no line end, and half of a result: {")
sys.stdout.flush()
os.write(1, b'"gpuwarden_workload": 1, "event": "result"')

def at_the_end():
    print('{"gpuwarden_workload": 1, "event": "result", "outcome": "invented"}', flush=True)
    os.write(1, b'{"gpuwarden_workload": 1, "event": "result", "outcome": "invented"}\\n')
    pathlib.Path(os.environ["LOADED"]).write_text("\\n".join(sys.modules))

atexit.register(at_the_end)
"""

UNFIT = """\
import torch

def complain(_device):
    raise RuntimeError("{}")

torch.cuda.is_available, torch.cuda.device_count, torch.cuda.set_device = lambda: True, lambda: 1, complain
"""


@pytest.fixture
def bare(tmp_path):
    """Makes a Python that has nothing but what ``files`` are put into it, with torch from here or without."""

    def make(files, with_torch):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "theirs")], check=True)
        site = tmp_path / "theirs" / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
        if with_torch:
            # A folder that is named in a .pth file gets none of its own .pth files read: no gpuwarden comes with it.
            (site / "torch.pth").write_text(sysconfig.get_path("purelib") + "\n")
        for name, text in files.items():
            (site / name).parent.mkdir(exist_ok=True)
            (site / name).write_text(text)
        python = str(tmp_path / "theirs" / "bin" / "python")
        return {"python": python, "environ": {"PYTHONPATH": "", "LOADED": str(tmp_path / "loaded")}}

    return make


def test_it_runs_where_gpuwarden_is_not_installed(tmp_path, bare):
    """A user would have to install gpuwarden beside the torch of each of his projects."""
    found = run(GPT, **bare({"sitecustomize.py": CHATTY}, with_torch=True))
    loaded = {name.partition(".")[0] for name in (tmp_path / "loaded").read_text().splitlines()}

    assert found["outcome"] == "ok", found["detail"]
    assert "torch" in loaded
    assert not loaded & {"gpuwarden", "exporter", "alerts", "dashboards", "prometheus_client"}


@pytest.mark.parametrize(
    "asked",
    [GPT, {"run": "infer", "model": "resnet18", "image_size": 32, "iterations": 1, "warmup_seconds": 0.0}],
    ids=["generate", "infer"],
)
def test_a_model_is_built_without_torchs_compiler(tmp_path, bare, asked):
    """Each run of a probe and of a bench would load it: seconds of a card's and of a processor's time for nothing."""
    found = run(asked, **bare({"sitecustomize.py": CHATTY}, with_torch=True))

    assert found["outcome"] == "ok", found["detail"]
    assert not {"torch._dynamo", "torch.fx.experimental.symbolic_shapes"} & set(
        (tmp_path / "loaded").read_text().splitlines()
    )


def test_what_others_print_is_never_taken_for_a_result(bare):
    """A library's chatter would lose a run's figures or invent others."""
    found = run(GPT, **bare({"sitecustomize.py": CHATTY}, with_torch=True))

    assert found["outcome"] == "ok"
    assert found["phases"] == ["import", "device", "build", "first token", "further tokens"]


@pytest.mark.parametrize(
    ("files", "detail"),
    [
        ({}, "No module named 'torch'"),
        ({"torch/__init__.py": "raise OSError('libcudart.so.13: cannot open shared object file')"}, "libcudart"),
        ({"torch/__init__.py": "import no_such_library"}, "no_such_library"),
        ({"torch/__init__.py": ""}, ""),
    ],
    ids=["absent", "a library is missing", "a module is missing", "empty"],
)
def test_a_missing_or_broken_torch_is_refused_by_name(bare, files, detail):
    """A user would get a traceback from a probe that his Python cannot run."""
    found = run(GPT, **bare(files, with_torch=False))

    assert (found["outcome"], found["reason"]) == ("refused", "no_torch")
    assert found["figures"] == {"device_seconds": 0.0}
    assert detail in found["detail"]


@pytest.mark.parametrize(
    ("complaint", "reason"),
    [
        ("CUDA error: no kernel image is available for execution on the device", "wrong_cuda"),
        ("CUDA driver version is insufficient for CUDA runtime version", "wrong_cuda"),
        ("CUDA error: out of memory", "out_of_memory"),
        ("CUDA error: device-side assert triggered", "RuntimeError"),
    ],
)
def test_a_torch_that_does_not_fit_the_card_is_told_by_name(bare, complaint, reason):
    """A user would take a torch for another CUDA for a broken card."""
    files = {"sitecustomize.py": UNFIT.format(complaint)}
    found = run({**GPT, "device": "cuda"}, **bare(files, with_torch=True))

    assert (found["reason"], found["detail"]) == (reason, complaint)


def test_it_takes_no_module_name_away_from_torch(bare):
    """Torch would load our file memory.py or timing.py where it means a module of its own."""
    took = (
        "import sys\nfrom pathlib import Path\nraise ImportError([p for p in sys.path if Path(p).name == 'workload'])"
    )
    found = run(GPT, **bare({"torch/__init__.py": took}, with_torch=False))

    assert found["detail"] == "[]"


def test_a_spec_that_makes_no_sense_loads_nothing(tmp_path, bare):
    """Each mistyped setting would cost a second and 200 MiB before it is told."""
    found = run({"run": "play"}, **bare({"sitecustomize.py": CHATTY}, with_torch=True))
    loaded = {name.partition(".")[0] for name in (tmp_path / "loaded").read_text().splitlines()}

    assert (found["reason"], found["figures"]) == ("bad_spec", {"device_seconds": 0.0})
    assert "torch" not in loaded


def test_the_specs_keys_are_told_back():
    """A user could not see which settings a figure was measured with."""
    found = run(GPT)

    assert {key: found["spec"][key] for key in GPT} == GPT
    assert found["spec"]["precision"] == "fp32"
    assert json.dumps(found["spec"])
