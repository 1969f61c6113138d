"""A run's child as it begins and talks, with real processes: what it sees, what it is told, what is heard of it."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from exporter.latency.torch_child import Asked, environment, run
from tests.fakes.workload import stand_in

GPT = {"run": "generate", "model": "gpt2-tiny"}
WHOLE = """\
tell("progress", phase="import")
tell("started", torch="2.9", device="cuda")
tell("barrier", pid=os.getpid(), memory={"bytes": 5})
word = sys.stdin.readline()
tell("result", outcome="ok", figures={"word": word, "seconds": 0.25}, spec={**spec, "precision": "fp32"})
"""
SEEN = """\
descriptors = sorted(int(name) for name in os.listdir("/proc/self/fd"))
tell("result", outcome="ok", figures={
    "environ": dict(os.environ), "descriptors": descriptors, "nice": os.nice(0), "spec": spec,
    "victim": open("/proc/self/oom_score_adj").read().strip(), "session": os.getsid(0) == os.getpid(),
    "autogroup": open("/proc/self/autogroup").read().strip() if os.path.exists("/proc/self/autogroup") else "",
})
"""


@pytest.fixture
def asked(tmp_path):
    """Makes a run of a stand-in that does ``text``."""

    def make(text, spec=GPT, **more):
        return Asked(spec, sys.executable, 110.0, workload=stand_in(tmp_path, text), **more)

    return make


def test_a_run_is_heard_from_its_start_to_its_result(asked):
    """A run would have no figures, or nobody would know with which versions they were measured."""
    phases = []
    done = run(
        asked(WHOLE),
        at_barrier=lambda pid: {"alive": psutil.Process(pid).status() != psutil.STATUS_ZOMBIE},
        on_phase=lambda phase, _: phases.append(phase),
    )

    assert (done.outcome, done.reason, done.detail) == ("ok", "", "")
    assert phases == ["process", "import"]
    assert done.started == {"torch": "2.9", "device": "cuda", "at_seconds": 0.5}
    assert done.barrier == {"alive": True}
    assert done.figures == {"word": "go on\n", "seconds": 0.25}
    assert done.spec == {**GPT, "hold_seconds": 10.0, "parent": os.getpid(), "precision": "fp32"}
    assert done.seconds > 0


def test_garbage_around_the_result_is_passed_over(asked):
    """What a library prints would end a run, or be taken for its result."""
    text = (
        'write(b"\\x00\\xff no line end")\n'
        'write(b\'\\n["gpuwarden_workload"]\\n{"gpuwarden_workload": 1, "event": 5}\\n\')\n'
        'tell("result", outcome="ok", figures=[1])\n'
        'tell("result", outcome="error", reason="ZeroDivisionError", detail="first", figures={"n": float("nan")})\n'
        'tell("result", outcome="ok", figures={"n": 1})\n'
        'tell("barrier")\n'
    )
    done = run(asked(text), at_barrier=lambda _: {"read": "too late"})

    assert (done.outcome, done.reason, done.detail) == ("error", "ZeroDivisionError", "first")
    assert (done.figures, done.barrier) == ({"n": None}, {})


def test_a_child_sees_its_card_and_none_of_our_secrets(asked, monkeypatch):
    """A library in the user's Python could read the mail password, or the run would land on another card."""
    monkeypatch.setenv("GPUWARDEN_ALERTER_MAIL_PASSWORD", "secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    figures = run(asked(SEEN, {**GPT, "device": "cuda:3"}, uuid="GPU-5", environ={"ADDED": "x"})).figures
    seen = figures["environ"]

    assert not [name for name in seen if name.startswith("GPUWARDEN_")]
    assert (seen["CUDA_DEVICE_ORDER"], seen["CUDA_VISIBLE_DEVICES"]) == ("PCI_BUS_ID", "GPU-5")
    assert figures["spec"]["device"] == "cuda:0"
    assert (seen["ADDED"], seen["PATH"]) == ("x", os.environ["PATH"])


def test_without_a_card_the_environment_is_left_as_it_is():
    """A bench would measure on another card than the one that the user has chosen."""
    ours = {"CUDA_VISIBLE_DEVICES": "1", "LD_LIBRARY_PATH": "/opt/lib"}

    assert environment(Asked(GPT, "python", 1.0), ours) == {**ours, "PYTHONWARNINGS": "ignore"}
    assert environment(Asked(GPT, "python", 1.0), {"PYTHONWARNINGS": "error"}) == {"PYTHONWARNINGS": "error"}


def test_a_child_has_its_three_descriptors_and_a_session_of_its_own(asked):
    """A child would keep the exporter's port open, or get the Ctrl-C that is meant for the exporter."""
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    os.set_inheritable(writing, True)
    try:
        figures = run(asked(SEEN)).figures
    finally:
        os.close(reading)
        os.close(writing)

    assert figures["descriptors"] == [0, 1, 2, 3]  # the last one is what lists them
    assert figures["session"] is True


def test_only_a_child_in_the_background_steps_back(asked):
    """A probe would take the processor from the user's work, or a bench measure a slow one."""
    ours = run(asked(SEEN)).figures
    back = run(asked(SEEN, background=True)).figures

    assert (ours["nice"], ours["victim"]) == (os.nice(0), Path("/proc/self/oom_score_adj").read_text().strip())
    assert (back["nice"], back["victim"]) == (19, "1000")
    assert not back["autogroup"] or back["autogroup"].endswith("nice 19")


@pytest.mark.parametrize(
    ("python", "complaint"),
    [
        ("/no/such/python", "No such file"),
        ("no-such-python-on-the-path", "No such file"),
        ("/tmp", "Permission denied"),
        ("{folder}/not_executable", "Permission denied"),
        ("{folder}/not_a_program", "Exec format error"),
        ("/bin/sh/python", "Not a directory"),
        ("py\0thon", "null byte"),
        ("", ""),
    ],
)
def test_an_interpreter_that_cannot_be_started_is_refused_by_name(asked, tmp_path, python, complaint):
    """A mistyped path would look like a broken card, or end the probe's thread."""
    (tmp_path / "not_executable").write_text("#!/bin/sh\n")
    (tmp_path / "not_a_program").write_bytes(b"\x01\x02")
    (tmp_path / "not_a_program").chmod(0o755)
    python = python.format(folder=tmp_path)
    done = run(Asked(GPT, python, 60.0))

    assert (done.outcome, done.reason) == ("refused", "no_interpreter")
    assert complaint in done.detail


@pytest.mark.parametrize(("python", "reason"), [("/bin/true", "no_result"), ("/bin/cat", "crashed")])
def test_a_program_that_is_no_python_is_an_error_with_its_words(python, reason):
    """A user who names a wrong program would look for the fault in his torch."""
    done = run(Asked(GPT, python, 60.0))

    assert (done.outcome, done.reason) == ("error", reason)
    assert reason == "no_result" or "Is a directory" in done.detail


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """A Python with nothing but its own library."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "theirs")], check=True)
    return str(folder / "theirs" / "bin" / "python")


def test_a_python_without_torch_is_refused_by_name(bare_python):
    """A user who has not installed torch would be told of a crash."""
    done = run(Asked(GPT, bare_python, 60.0, environ={"PYTHONPATH": ""}))

    assert (done.outcome, done.reason, done.detail) == ("refused", "no_torch", "No module named 'torch'")
    assert done.spec["precision"] == "fp32"


def test_a_spec_that_makes_no_sense_is_refused_by_name(bare_python):
    """A mistake in a setting would be told as one of the card's."""
    done = run(Asked({"run": "play", "model": "gpt2-tiny"}, bare_python, 60.0))

    assert (done.outcome, done.reason) == ("refused", "bad_spec")
    assert done.detail.startswith("run must be one of generate, ")


def test_a_child_that_does_not_listen_does_not_keep_us_waiting():
    """A spec that does not fit into the pipe would hold the probe for ever."""
    done = run(Asked({**GPT, "data": "x" * 10**6}, "/bin/sleep", 0.5, workload="600"))

    assert (done.outcome, done.reason) == ("timeout", "not_begun")
