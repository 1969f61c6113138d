"""Two runs at once: they begin together, each keeps its own figures, and neither waits for one that has gone."""

import os
import sys
import threading

import pytest

from exporter.bench.running.together import kept, run
from exporter.latency.torch_child import Asked
from tests.fakes.workload import stand_in

CHILD = """\
def barrier(**values):
    tell("barrier", pid=os.getpid(), **values)
    sys.stdin.readline()

tell("progress", phase="warm-up")
if spec["model"] == "crashes":
    sys.exit(7)
if spec["model"] == "does not fit":
    tell("result", outcome="oom", reason="out_of_memory", detail="too large", figures={"device_seconds": 1.0})
    sys.exit(0)
barrier(stage="ready")
began = time.monotonic()
time.sleep(spec["run_seconds"])
ended = time.monotonic()
barrier()
figures = {"tokens_per_second": spec.get("pace", 1.0), "began": began, "ended": ended, "device": spec.get("device", "")}
tell("result", outcome="ok", figures=figures, spec=spec)
"""


@pytest.fixture
def asked(tmp_path):
    """Asks for children that do what the name of their model says."""
    workload = stand_in(tmp_path, CHILD)

    def make(model="first", beside="second", **more):
        # Long enough for a start that a busy machine delays to be a small part of it.
        spec = {"model": model, "run_seconds": 2.0, "beside": {"model": beside, "run_seconds": 2.0}, **more}
        return Asked(spec, sys.executable, 30.0, workload=workload)

    return make


def test_both_are_at_work_at_the_same_time(asked):
    """What one loses beside the other would be measured while it was alone."""
    done = run(asked(pace=3.0, device="cpu"))
    first, second = done.figures, done.figures["beside"]

    assert (done.outcome, first["tokens_per_second"], second["tokens_per_second"]) == ("ok", 3.0, 1.0)
    assert max(first["began"], second["began"]) < min(first["ended"], second["ended"])
    assert first["overlap_ratio"] > 0.9
    assert first["device"] == second["device"] == "cpu"


def test_the_memory_is_looked_at_once_while_both_hold_it(asked):
    """The memory of one would be told as that of both, or be read before there is any."""
    looked_at = []
    heard = []
    done = run(
        asked(),
        at_barrier=lambda pid: looked_at.append(pid) or {"looked_at": pid},
        on_phase=lambda name, line: heard.append((name, line.get("pid"))),
    )

    assert heard == [("process", looked_at[0]), ("warm-up", None)]
    assert done.barrier == {"looked_at": looked_at[0]}
    assert looked_at[0] != os.getpid()


@pytest.mark.parametrize(
    ("model", "beside", "outcome", "reason"),
    [
        ("crashes", "second", "error", "crashed"),
        ("first", "crashes", "error", "crashed"),
        ("first", "does not fit", "oom", "out_of_memory"),
        ("does not fit", "crashes", "oom", "out_of_memory"),
    ],
)
def test_nobody_waits_for_one_that_has_gone(asked, model, beside, outcome, reason):
    """A bench would stand still for minutes beside a model that did not fit, and not say which."""
    done = run(asked(model, beside))

    assert (done.outcome, done.reason) == (outcome, reason)
    assert done.seconds < 20.0


def test_a_run_that_outlasts_the_other_is_no_figure(asked):
    """What one does alone would be told as what it does beside the other."""
    done = run(asked(run_seconds=4.0))

    assert (done.outcome, done.reason) == ("error", "not_together")
    assert "of the time only" in done.detail


def test_stopping_ends_both(asked):
    """A second Ctrl-C would be needed, or a child would hold the card's memory for nobody."""
    stop = threading.Event()
    begun = []

    def at_once(name, line):
        if name == "process":
            begun.append(line["pid"])
        stop.set()

    done = run(asked(run_seconds=600.0), on_phase=at_once, stop=stop)

    assert (done.outcome, done.reason) == ("stopped", "stopped")
    with pytest.raises(ProcessLookupError):
        os.kill(begun[0], 0)


def test_a_run_without_another_is_one_run(asked):
    """A bench would need two ways to run things."""
    alone = asked()
    done = run(Asked({"model": "first", "run_seconds": 0.0}, alone.python, 30.0, workload=alone.workload))

    assert done.outcome == "ok"
    assert "beside" not in done.figures


def test_what_is_kept_is_a_part_of_the_pace_alone():
    """A loss would be told as a gain."""
    assert kept({"tokens_per_second": 200.0}, {"tokens_per_second": 50.0}) == 0.25
    assert kept({"images_per_second": 10.0, "batch": 2}, {"images_per_second": 5.0}) == 0.5
    with pytest.raises(KeyError):
        kept({"images_per_second": 10.0}, {"batch": 2})
    with pytest.raises(ZeroDivisionError):
        kept({"images_per_second": 0.0}, {"images_per_second": 1.0})
