"""What the torch workload writes, and whom it imports."""

import ast
import json
import sys
from pathlib import Path

import pytest

import exporter.workload
from exporter.workload.lines import Lines

FILES = sorted(Path(exporter.workload.__file__).parent.glob("*.py"))


@pytest.fixture
def written():
    """Lines, what they wrote, and how long they were asked to wait."""
    sink, waits = bytearray(), []
    return Lines(sink.extend, waits.append, lambda: 5.0), sink, waits


def test_every_line_bears_the_mark(written):
    """A parent would take a library's chatter for a result."""
    lines, sink, _ = written
    lines.phase("build")
    lines.tell("result", outcome="ok", figures={"seconds": 0.25})

    assert [json.loads(line) for line in sink.split(b"\n") if line] == [
        {"gpuwarden_workload": 1, "event": "progress", "at_seconds": 0.0, "phase": "build"},
        {
            "gpuwarden_workload": 1,
            "event": "result",
            "at_seconds": 0.0,
            "outcome": "ok",
            "figures": {"seconds": 0.25},
        },
    ]


def test_the_first_line_begins_on_a_line_of_its_own(written):
    """What was printed before without a line's end would swallow the first line."""
    _, sink, _ = written

    assert sink == b"\n"


def test_the_barrier_is_written_before_the_wait(written):
    """The parent would read the memory of a process that is already gone."""
    lines, sink, waits = written
    lines.barrier(2.5, memory={})
    lines.barrier(0.0)

    assert [json.loads(line)["hold_seconds"] for line in sink.split(b"\n") if line] == [2.5, 0.0]
    assert waits == [2.5]


def test_a_value_that_is_no_json_does_not_lose_the_line(written):
    """A run would end without a result for the sake of one odd figure."""
    lines, sink, _ = written
    lines.tell("result", figures={"path": Path("there")})

    assert json.loads(sink.strip())["figures"] == {"path": "there"}


def test_a_loss_that_is_no_number_is_null(written):
    """A training that diverged would make the whole result unreadable."""
    lines, sink, _ = written
    lines.tell("result", figures={"first": float("nan"), "last": float("inf"), "steps": 3})

    assert json.loads(sink.strip())["figures"] == {"first": None, "last": None, "steps": 3}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_workload_needs_nothing_but_torch(path):
    """It would not start in a user's own Python, where gpuwarden is not installed."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level != 1:
            names = {(node.module or "").partition(".")[0]}
        else:
            continue
        assert names <= {*sys.stdlib_module_names, "torch"}, names
