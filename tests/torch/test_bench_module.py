"""``gpuwarden bench --module`` as a user runs it, on real files of his."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.polling import wait_until

pytestmark = pytest.mark.torch

EXAMPLE = Path(__file__).parents[2] / "docs" / "own_model.py"
GOOD = """import torch
from torch import nn

def model():
    return nn.Linear(4, 2)

def inputs(batch, device):
    return torch.ones(batch, 4, device=device)
"""


def command(*arguments):
    return [sys.executable, "-m", "gpuwarden", "bench", "--device", "cpu", "--quick", "--module", *map(str, arguments)]


def bench(*arguments, folder, seconds=100.0):
    """The end of the command."""
    return subprocess.run(
        command(*arguments), cwd=folder, capture_output=True, text=True, check=False, timeout=seconds, env=os.environ
    )


@pytest.fixture
def written(tmp_path):
    """Writes ``net.py``."""

    def write(text):
        (tmp_path / "net.py").write_text(text)
        return tmp_path / "net.py"

    return write


def test_the_example_from_the_file_to_the_table(tmp_path):
    """The way that the page shows would not lead anywhere."""
    found = bench(EXAMPLE, "--batch", 4, "--json", "own.json", "--markdown", "own.md", folder=tmp_path)
    document = json.loads((tmp_path / "own.json").read_text())
    answers, training = document["runs"]

    assert found.returncode == 0, found.stderr
    assert "20,042 parameters, 78.3 KiB in fp32" in found.stdout
    assert re.search(r"^own_model.py answers 4, fp32 .* MiB$", found.stdout, re.MULTILINE)
    assert re.search(r"^own_model.py training 4, fp32 .* MiB$", found.stdout, re.MULTILINE)
    assert [(run["outcome"], run["spec"]["training"]) for run in document["runs"]] == [("ok", False), ("ok", True)]
    assert answers["figures"]["batch"] == training["figures"]["batch"] == 4
    assert answers["started"]["torch"]
    assert "| own_model.py answers 4, fp32 " in (tmp_path / "own.md").read_text()


def test_a_class_and_no_training(written, tmp_path):
    """FILE:NAME would be looked for as a file."""
    file = written(
        "import torch\n\nclass Net(torch.nn.Identity): pass\n\ndef inputs(b, d):\n    return torch.ones(b)\n"
    )
    found = bench(f"{file}:Net", folder=tmp_path)

    assert found.returncode == 0, found.stderr
    assert "net.py answers 1, fp32" in found.stdout
    assert "training" not in found.stdout


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        (GOOD.replace("def inputs", "def given"), 2, "the file is refused: net.py has no function inputs"),
        (GOOD.replace("Linear(4, 2)", "Linear(4)"), 1, "your code raised: net.py, line 5, in model: TypeError"),
        (GOOD.replace("return nn", "import os; os._exit(7)\n    return nn"), 1, "exit status 7"),
        (GOOD.replace("return nn", "import os; os._exit(0)\n    return nn"), 1, "does your code call os._exit?"),
        (GOOD.replace("return nn", "import sys; sys.exit()\n    return nn"), 1, "your code left: net.py, line 5"),
        (
            GOOD.replace("torch.ones(batch", "torch.empty(10**15"),
            1,
            "it takes more memory than there is: net.py, line 8",
        ),
    ],
    ids=["lacks", "raises", "ends itself", "ends itself in silence", "exits", "takes too much"],
)
def test_whatever_a_file_does_is_told_in_words(written, tmp_path, text, status, words):
    """A user would get a traceback of ours, or nothing."""
    found = bench(written(text), folder=tmp_path)

    assert found.returncode == status
    assert words in found.stdout
    assert "Traceback" not in found.stderr


def test_a_module_that_hangs_is_ended(written, tmp_path):
    """The command would hang with it, and the card stay taken."""
    hanging = GOOD.replace("return torch", "print('here I am', flush=True)\n    while True: pass\n    return torch")
    found = bench(written(hanging), "--minutes", 0.15, folder=tmp_path)

    assert found.returncode == 1
    assert re.search(r"it took too long and was ended: in phase inputs for \d s: here I am", found.stdout)


def test_a_file_that_is_not_there(tmp_path):
    """A mistyped name would be measured as something else."""
    found = bench("nowhere.py", folder=tmp_path)

    assert found.returncode == 2
    assert "there is no file" in found.stdout


def test_half_precision_on_the_processor_is_refused_and_the_rest_is_told(written, tmp_path):
    """One precision that this machine lacks would cost the figures of the others."""
    found = bench(written(GOOD), "--precision", "fp16", "--precision", "fp32", folder=tmp_path)

    assert found.returncode == 1
    assert "fp16 is measured on CUDA only" in found.stdout
    assert "net.py answers 1, fp32" in found.stdout


def test_ctrl_c_ends_the_child_and_what_it_forked(written, tmp_path):
    """A module that was given up would go on for ever, with the card's memory."""
    forking = GOOD.replace(
        "return torch",
        "import os, pathlib, subprocess\n"
        "    other = subprocess.Popen(['sleep', '600'])\n"
        "    pathlib.Path('pids.new').write_text(f'{os.getpid()} {other.pid}')\n"
        "    os.rename('pids.new', 'pids')\n"
        "    while True: pass\n    return torch",
    )
    file = written(forking)
    with subprocess.Popen(command(file), cwd=tmp_path, stdout=-1, stderr=-1, text=True, env=os.environ) as running:
        wait_until((tmp_path / "pids").exists, 60, "the module never ran")
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=60)

    assert running.returncode == 130
    assert "stopped by Ctrl-C" in out
    wait_until(lambda: all(map(_is_gone, pids)), 20, "the child or what it started is still there")


def _is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
