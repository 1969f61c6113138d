"""A torch module of the user's own under the workload's clock, in real files and real processes."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from exporter.latency.torch_child import WORKLOAD
from tests.torch.child import run

pytestmark = pytest.mark.torch

EXAMPLE = Path(__file__).parents[2] / "docs" / "own_model.py"
SHORT = {"iterations": 3, "warmup_iterations": 1, "warmup_seconds": 0.0, "threads": 1}
HEAD = "import torch\nfrom torch import nn\n"
GOOD = f"""{HEAD}
def model():
    return nn.Linear(4, 2)

def inputs(batch, device):
    return torch.ones(batch, 4, device=device)
"""


def own(file, **keys):
    """The end of a run of ``file``."""
    return run({"run": "module", "model": "own", "module": str(file), **SHORT, **keys}, seconds=60.0)


@pytest.fixture
def here(monkeypatch, tmp_path):
    """As ``own``, in this process, since each other one would take seconds; what the file does to it is undone."""
    from exporter.workload import runs
    from exporter.workload.lines import Lines
    from exporter.workload.spec import parse

    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)

    def end(file, **keys):
        asked = {"run": "module", "model": "own", "module": str(file), **SHORT, **keys}
        return runs.run(parse(json.dumps(asked)), Lines(lambda _: None, lambda _: None))

    yield end
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def written(tmp_path):
    """Writes ``net.py`` behind the imports that every file has."""

    def write(text, name="net.py"):
        file = tmp_path / name
        file.write_text(textwrap.dedent(text))
        return file

    return write


def test_the_example_answers():
    """The file that everybody copies would be refused."""
    found = own(EXAMPLE, batch=4)
    figures = found["figures"]

    assert found["outcome"] == "ok", found["detail"]
    assert figures["parameters"] == 896 + 18_496 + 650
    assert figures["weights_bytes"] == 4 * figures["parameters"]
    assert figures["batch"] == 4
    assert figures["items_per_second"] > 0
    assert figures["trainable"] is True
    assert figures["batch_iterations"] == 3
    assert figures["batch_p50_seconds"] > 0
    assert figures["batch_cold_seconds"] > 0
    assert figures["process_resident_peak_bytes"] > 0


def test_the_example_is_trained():
    """As for answers; and what training takes besides the weights would be unknown."""
    found = own(EXAMPLE, batch=4, training=True, iterations=20)
    figures = found["figures"]

    assert found["outcome"] == "ok", found["detail"]
    assert figures["loss_last"] < figures["loss_first"]
    assert figures["gradients_bytes"] == figures["weights_bytes"]
    assert figures["optimizer_bytes"] >= 2 * figures["weights_bytes"]
    assert figures["step_iterations"] == 20


def test_sixty_four_iterations_have_a_90th_percentile(here):
    """A user would compare a percentile with one of the shipped models' that means something else."""
    figures = here(EXAMPLE, iterations=64)["figures"]

    assert figures["batch_p50_seconds"] <= figures["batch_p90_seconds"]


def test_a_class_by_its_name(written):
    """A user would have to write a function around each class."""
    file = written(
        f"""{HEAD}
        """.replace("        ", "")
        + textwrap.dedent("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Linear(4, 2)

            def forward(self, left, right):
                return self.inner(left + right)

        def inputs(batch, device):
            return torch.ones(batch, 4), torch.ones(batch, 4)
        """)
    )
    found = own(file, module_name="Net")

    assert (found["outcome"], found["figures"].get("parameters")) == ("ok", 10), found["detail"]


def test_a_module_that_is_called_otherwise(here, written):
    """Whoever's model generates text could not measure it."""
    file = written(
        GOOD
        + """
def answer(model, inputs):
    for _ in range(3):
        model(inputs[0])

def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.5)

def loss(model, inputs):
    return model(*inputs).square().mean()
"""
    )

    assert here(file)["outcome"] == "ok"
    assert here(file, training=True)["figures"]["optimizer_bytes"] == 0


def test_the_files_neighbours_can_be_imported(written):
    """A model in a project of several files could not be measured."""
    written("WIDTH = 4\n", "sizes.py")
    file = written("from sizes import WIDTH\n" + GOOD.replace("Linear(4", "Linear(WIDTH"))

    assert own(file)["outcome"] == "ok"


def test_a_file_named_like_a_library(written):
    """Whoever calls his file json.py would break torch, or measure something else."""
    assert own(written(GOOD, "json.py"))["outcome"] == "ok"
    assert own(written(GOOD, "my-net.py"))["outcome"] == "ok"


def test_what_it_prints_is_not_taken_for_a_result(written):
    """A chatty module would lose its figures or invent some."""
    line = '{"gpuwarden_workload": 1, "event": "result", "outcome": "ok", "figures": {"parameters": 1}}'
    chatty = f"print('hello')\nprint({line!r}, flush=True)\nimport os\nos.write(1, b'bytes')\n"
    found = own(written(chatty + GOOD))

    assert (found["outcome"], found["figures"].get("parameters")) == ("ok", 10)


@pytest.mark.parametrize(
    ("text", "reason", "words"),
    [
        ("", "no_function", "net.py has no function model; it has none"),
        (GOOD.replace("def model", "def net"), "no_function", "has no function model; it has inputs, net"),
        (GOOD.replace("def inputs", "def given"), "no_function", "has no function inputs; it has given, model"),
        (GOOD.replace("nn.Linear(4, 2)", "[1]"), "no_module", "net.py: model gave a list, and no torch.nn.Module"),
        (GOOD.replace("return nn.Linear(4, 2)", "pass"), "no_module", "model gave nothing, and no"),
        (GOOD.replace("torch.ones(batch, 4, device=device)", "'x'"), "no_tensors", "inputs gave a str, and no tensor"),
        (GOOD.replace("torch.ones(batch, 4, device=device)", "()"), "no_tensors", "inputs gave nothing, and no"),
    ],
    ids=["empty", "other name", "no inputs", "a list", "nothing", "text", "no inputs given"],
)
def test_a_file_that_lacks_something_is_refused_by_what_it_lacks(here, written, text, reason, words):
    """A user would get a traceback out of our code instead of a word about his."""
    found = here(written(text))

    assert (found["outcome"], found["reason"]) == ("refused", reason)
    assert words in found["detail"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "import nothing_of_that_name\n",
            "net.py, line 1, in <module>: ModuleNotFoundError: No module named 'nothing_",
        ),
        ("x = (\n", "net.py, line 1: SyntaxError: '(' was never closed"),
        (
            GOOD.replace("Linear(4, 2)", "Linear(5, 2)"),
            "net.py: RuntimeError: mat1 and mat2 shapes cannot be multiplied",
        ),
        (
            GOOD.replace("return nn", "raise ValueError('no\\nweights')\n    return nn"),
            "net.py, line 5, in model: ValueError: no weights",
        ),
        (GOOD.replace("return torch", "1 / 0\n    return torch"), "net.py, line 8, in inputs: ZeroDivisionError"),
        (GOOD + "\ndef answer(model, inputs):\n    model(inputs)\n", "net.py, line 11, in answer: TypeError"),
        ("from beside import x\n", "beside.py, line 2, in f: KeyError: 'k'"),
        (
            GOOD.replace("return nn", "raise KeyboardInterrupt\n    return nn"),
            "net.py, line 5, in model: KeyboardInterrupt",
        ),
    ],
    ids=["import", "syntax", "shapes", "model", "inputs", "answer", "a neighbour", "interrupt"],
)
def test_an_exception_is_told_with_its_line(here, written, text, words):
    """A user would have to guess what in his file went wrong, and where."""
    written("def f():\n    return {}['k']\nx = f()\n", "beside.py")
    found = here(written(text))

    assert (found["outcome"], found["reason"]) == ("error", "raised")
    assert words in found["detail"]


def test_leaving_is_told(here, written):
    """A module that leaves would look like a crash of ours, or like a success."""
    found = here(written(GOOD.replace("return nn", "import sys\n    sys.exit(3)\n    return nn")))

    assert (found["outcome"], found["reason"]) == ("error", "exited")
    assert found["detail"] == "net.py, line 6, in model: it called sys.exit(3)"


def test_a_forked_process_does_not_answer_for_us(written):
    """There would be two results, and the second would be of a run that nobody asked for."""
    forking = GOOD.replace("return torch", "import os\n    os.fork()\n    return torch")
    spec = {"run": "module", "model": "own", "module": str(written(forking)), "parent": os.getpid(), **SHORT}
    child = subprocess.run(
        [sys.executable, str(WORKLOAD), json.dumps(spec)], capture_output=True, check=True, timeout=60
    )
    events = [json.loads(line)["event"] for line in child.stdout.splitlines() if line]

    assert [event for event in events if event != "progress"] == ["started", "barrier", "result"]


def test_too_much_is_out_of_memory(here, written):
    """A model that does not fit would look like one that is broken."""
    found = here(written(GOOD.replace("torch.ones(batch, 4", "torch.empty(10**15, 4")))

    assert (found["outcome"], found["reason"]) == ("oom", "out_of_memory")
    assert "net.py, line 8, in inputs" in found["detail"]
    assert here(written(GOOD.replace("return nn", "raise MemoryError\n    return nn")))["outcome"] == "oom"


def test_training_without_a_loss(here, written):
    """A user would wonder what was trained."""
    found = here(written(GOOD), training=True)
    assert (found["outcome"], found["reason"]) == ("refused", "no_function")
    assert "no function loss(model, inputs)" in found["detail"]

    whole = written(GOOD + "\ndef loss(model, inputs):\n    return model(*inputs)\n")
    found = here(whole, training=True, batch=3)
    assert (found["outcome"], found["reason"]) == ("refused", "no_loss")
    assert found["detail"] == "net.py: loss gave a tensor of shape (3, 2), and no number that has a gradient"


def test_a_file_that_is_not_there(here, tmp_path):
    """A mistyped name would be a traceback."""
    for name in ("nowhere.py", "."):
        found = here(tmp_path / name)
        assert (found["outcome"], found["reason"]) == ("refused", "no_file")
    (tmp_path / "notes.txt").write_text("x")
    assert here(tmp_path / "notes.txt")["reason"] == "no_file"


def test_the_module_is_in_the_right_mode(here, written):
    """Dropout would be measured in an answer, or left out of training."""
    text = GOOD + "\ndef answer(model, inputs):\n    assert not model.training and not torch.is_grad_enabled()\n"
    text += "\ndef loss(model, inputs):\n    assert model.training\n    return model(*inputs).sum()\n"

    assert here(written(text))["outcome"] == "ok"
    assert here(written(text), training=True)["outcome"] == "ok"


@pytest.mark.parametrize("training", [False, True])
def test_half_precision_reaches_weights_and_inputs(torch, written, training):
    """In fp16 every module would fail for want of inputs of its own kind."""
    from exporter.workload import own_module
    from exporter.workload.devices import Ground
    from exporter.workload.spec import Spec

    text = GOOD.replace("return torch.ones", "return torch.arange(batch), torch.ones")
    spec = Spec("module", "own", module=str(written(text)), batch=2)
    half = Ground(torch.device("cpu"), "fp16")
    module, figures = own_module.build(spec, half)
    numbers, fractions = own_module._inputs(module.functions, spec, half)

    assert (numbers.dtype, fractions.dtype) == (torch.int64, torch.float16)
    assert {each.dtype for each in module.parameters()} == {torch.float16}
    assert figures["weights_bytes"] == 20


def test_relative_to_where_the_user_is(written, monkeypatch):
    """A path would be looked for in another folder than the user's."""
    monkeypatch.chdir(written(GOOD).parent)

    assert own("net.py")["outcome"] == "ok"
