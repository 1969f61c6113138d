"""``gpuwarden bench --module`` on a card: what the child is asked and what is told, with a child that is none."""

import json

import pytest

from tests.e2e.running import run
from tests.fakes.interpreter import interpreter, without_torch
from tests.fakes.nvml.gpu import Process

ASKED = 'import pathlib\nwith pathlib.Path("asked").open("a") as file:\n    file.write(json.dumps(spec) + "\\n")\n'
ANSWERS = (
    ASKED
    + """
name = "step" if spec["training"] else "batch"
figures = {
    "parameters": 1000, "weights_bytes": 4000, "trainable": True, "items_per_second": 20.0,
    "torch_allocated_peak_bytes": 2**30, "torch_reserved_peak_bytes": 2**31,
    name + "_cold_seconds": 1.0, name + "_p50_seconds": 0.25, name + "_p90_seconds": 0.5,
}
tell("started", torch="2.11.0", cuda="13.0", python="3.12.3", device=spec["device"])
tell("barrier", pid=os.getpid(), hold_seconds=0.0)
if spec["precision"] == "fp16":
    tell("result", outcome="oom", reason="out_of_memory", detail="net.py, line 5, in model: too much", figures={})
else:
    tell("result", outcome="ok", figures=figures, spec=spec)
"""
)


@pytest.fixture
def driver(fake_driver):
    """One card."""
    return fake_driver("rtx-3060")


def bench(python, driver, folder, *arguments):
    environ = {"COLUMNS": "120", **driver.environment()}
    return run("bench", "--python", python, "--module", "net.py:Net", *arguments, home=folder, environ=environ)


def test_each_precision_answers_and_is_trained_where_it_can_be(tmp_path, driver):
    """A run that failed would cost those behind it, or half precision be trained."""
    python = interpreter(tmp_path, ANSWERS)
    precisions = [word for kind in ("fp32", "fp16", "amp") for word in ("--precision", kind)]
    found = bench(python, driver, tmp_path, *precisions, "--batch", "8", "--optimizer", "sgd", "--json", "own.json")
    asked = [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]
    document = json.loads((tmp_path / "own.json").read_text())

    assert found.returncode == 1, found.stderr
    assert [(spec["precision"], spec["training"]) for spec in asked] == [
        ("fp32", False),
        ("fp32", True),
        ("fp16", False),
        ("amp", False),
        ("amp", True),
    ]
    assert {(spec["device"], spec["module_name"], spec["batch"], spec["optimizer"]) for spec in asked} == {
        ("cuda:0", "Net", 8, "sgd")
    }
    assert {spec["module"] for spec in asked} == {str(tmp_path / "net.py")}
    assert document["card"]["name"] == "NVIDIA GeForce RTX 3060"
    shown = " ".join(found.stdout.split())
    assert "net.py training 8, amp 1 s 250 ms 500 ms 20.0 1.0 GiB 2.0 GiB" in shown
    assert "- net.py answers 8, fp16: it takes more memory than there is: net.py, line 5, in model: too much" in shown
    assert "After each run the card's memory was back" in shown


def test_a_python_without_torch_is_told_how_to_get_it(tmp_path, driver):
    """A user would not learn what is missing."""
    found = bench(without_torch(tmp_path), driver, tmp_path, "--precision", "fp32", "--precision", "amp")

    assert found.returncode == 1
    assert found.stdout.count("the interpreter has no torch (pip install 'gpuwarden[probe]'") == 2


def test_a_card_in_use_by_others_is_said_so(tmp_path, driver):
    """Figures of a shared card would be taken for those of a free one."""
    driver.gpu(0).set_processes([Process(1, 2**28, utilization=(30, 0, 0, 0))])
    found = bench(interpreter(tmp_path, ANSWERS), driver, tmp_path)

    assert "Others were at the card in 2 of 2 runs" in found.stdout
