"""How a run's child ends, with real processes: by a hang, a crash, a flood, a kill that does not help, our own end."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from exporter.latency import torch_child
from exporter.latency.child_process import Child
from exporter.latency.torch_child import UNENDED, Asked, run
from tests.fakes.workload import stand_in
from tests.polling import wait_until

LONG = 600.0
"""Seconds that no test has: who waits for them fails by pytest's own limit."""
RESULT = 'tell("result", outcome="ok", figures={"seconds": 0.5})\n'
IGNORES_SIGTERM = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


@pytest.fixture
def asked(tmp_path):
    """Makes a run of a stand-in that does ``text``."""

    def make(text, seconds=LONG, **more):
        return Asked({"run": "none"}, sys.executable, seconds, workload=stand_in(tmp_path, text), **more)

    return make


@pytest.fixture
def left():
    """Processes that a test leaves behind end with it."""
    found: list[psutil.Process] = []
    yield found
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


class Pid:
    """The child's process id, as it is told at the beginning."""

    def __call__(self, phase, line):
        if phase == "process":
            self.process = psutil.Process(line["pid"])

    @property
    def is_gone(self):
        return not self.process.is_running()


def descriptors():
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("phase", "reason"),
    [("process", "not_begun"), ("import", "not_begun"), ("device", "deadline"), ("build", "deadline")],
)
def test_a_deadline_before_torch_is_loaded_is_told_apart(asked, phase, reason):
    """A machine whose processors are busy would look like one whose model hangs."""
    what = asked(f'tell("progress", phase="{phase}")\nhang()')

    def too_late(now, _):
        if now == phase:
            running.until = 0.0

    child = Child([what.python, what.workload], os.environ, background=False)
    running = torch_child._Run(what, child, lambda _: {}, too_late, threading.Event())
    done = running.whole()

    assert (done.outcome, done.reason) == ("timeout", reason)


@pytest.mark.parametrize(
    "text",
    [
        "hang()",
        IGNORES_SIGTERM + 'tell("progress", phase="build")\nhang()',
        'tell("barrier", pid=os.getpid())\nwhile True: pass',
        "os.close(1)\nos.close(2)\nhang()",
        'os.write(1, b"half a line")\nos.kill(os.getpid(), signal.SIGSTOP)',
    ],
    ids=["before any line", "deaf to SIGTERM", "at work", "with its pipes closed", "stopped"],
)
def test_a_child_that_hangs_is_killed(asked, text):
    """A driver that hangs would hold the card and the probe for ever."""
    pid = Pid()
    done = run(asked(text, seconds=0.5), on_phase=pid)

    assert (done.outcome, done.reason) in {("timeout", "deadline"), ("timeout", "not_begun")}
    assert re.match(r"in phase (start|build) for [01] s", done.detail), done.detail
    assert pid.is_gone


def test_what_a_library_warns_of_is_no_reason(asked):
    """A user would look for a fault in a library, and not learn what took so long."""
    warns = 'import warnings\nwarnings.warn("LeafSpec is deprecated", FutureWarning)\n'
    done = run(asked(f'tell("progress", phase="export")\n{warns}hang()', seconds=1.5))

    assert "deprecated" not in done.detail
    assert done.detail.startswith("in phase ")


def test_a_child_that_hangs_after_its_result_is_killed_and_the_result_holds(asked, monkeypatch):
    """A driver that hangs while it cleans up would cost a run its figures."""
    monkeypatch.setattr(torch_child, "_SECONDS_TO_LEAVE", 0.2)
    pid = Pid()
    result = 'tell("result", outcome="ok", figures={"seconds": 0.5, "device_seconds": 2.0})\n'
    done = run(asked(result + "hang()"), on_phase=pid)

    assert (done.outcome, done.figures["seconds"]) == ("ok", 0.5)
    # The card was held for that long, too.
    assert done.figures["device_seconds"] >= 2.2
    assert pid.is_gone


def test_a_crash_after_the_result_costs_nothing(asked):
    """A library that crashes while it is unloaded would cost each run its figures."""
    assert run(asked(RESULT + "os.abort()")).outcome == "ok"


GRANDCHILD = 'subprocess.Popen([sys.executable, "-c", "import signal; print({0}, flush=True); signal.pause()"]{1})\n'


@pytest.mark.parametrize("ending", ["sys.exit(0)", "hang()"], ids=["its parent ends", "its parent hangs"])
def test_what_a_child_started_ends_with_it(asked, ending, monkeypatch):
    """A worker of the workload's would stay on the machine after each run."""
    monkeypatch.setattr(torch_child, "_SECONDS_TO_LEAVE", 0.2)
    text = f'tell("progress", phase=str({GRANDCHILD.format(0, "").strip()}.pid))\n'
    started: list[psutil.Process] = []

    def remember(phase, _):
        if phase != "process":
            started.append(psutil.Process(int(phase)))

    assert run(asked(text + RESULT + ending), on_phase=remember).outcome == "ok"
    wait_until(lambda: gone(started[0]), 5, "the grandchild is still there")


def test_a_grandchild_that_keeps_the_pipe_is_not_waited_for(asked, left):
    """A daemon that a library starts would keep the probe waiting for the end of its output."""
    started = GRANDCHILD.format(0, ", start_new_session=True").strip()
    text = f'tell("progress", phase=str({started}.pid))\n'

    def remember(phase, _):
        if phase != "process":
            left.append(psutil.Process(int(phase)))

    assert run(asked(text + RESULT), on_phase=remember).outcome == "ok"
    assert left[0].is_running()


@pytest.mark.parametrize(
    ("ending", "how"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            "killed by somebody else, perhaps by the kernel for want of main memory,",
        ),
        ("os.kill(os.getpid(), 40)", "ended by signal 40"),
        ("os._exit(3)", "exit status 3"),
        ('raise MemoryError("no room")', "exit status 1"),
    ],
)
def test_a_crash_is_told_with_the_childs_last_words(asked, ending, how):
    """A user would not know of what the run died."""
    done = run(asked('tell("progress", phase="build")\nwrite(b"\\x1b[31mlast\\x00words\\n", 2)\n' + ending))

    assert (done.outcome, done.reason) == ("error", "crashed")
    assert done.detail.startswith(f"{how} in phase build: [31mlast words")


def test_a_flood_on_standard_error_leaves_the_last_of_it(asked):
    """A chatty library would fill the exporter's memory, or stop the child when the pipe is full."""
    done = run(asked('for number in range(100_000): write(b"%d\\n" % number, 2)\nos._exit(1)'))

    assert done.reason == "crashed"
    assert done.detail.endswith(" 99998 99999")
    assert len(done.detail) < 2200


def test_output_without_end_is_ended_and_takes_no_memory(asked):
    """A program that only writes would keep a processor busy until the deadline and fill the memory."""
    tracemalloc.start()
    try:
        done = run(asked('while True: write(b"x" * 2**20)'))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (done.outcome, done.reason) == ("error", "flooded")
    assert peak < 2 * 2**20


def test_much_output_before_the_result_does_not_cost_it(asked):
    """A library that prints a progress bar would lose a run its figures."""
    assert run(asked('write(b"=" * 2**24)\nwrite(b"\\n")\n' + RESULT)).outcome == "ok"


def test_an_end_without_a_result_is_an_error(asked):
    """A program that is no workload would count as a run that went well."""
    done = run(asked('tell("result", outcome="splendid")\nprint("bye", file=sys.stderr)'))

    assert (done.outcome, done.reason) == ("error", "no_result")
    assert done.detail.endswith("told no result: bye")


def test_a_stop_ends_the_run(asked):
    """The exporter would not end before the run's deadline."""
    stop, pid = threading.Event(), Pid()

    def at_barrier(_pid):
        stop.set()
        return {}

    done = run(asked('tell("barrier")\nhang()'), at_barrier=at_barrier, on_phase=pid, stop=stop)

    assert (done.outcome, done.reason) == ("stopped", "stopped")
    assert pid.is_gone
    assert run(asked("hang()"), stop=stop).outcome == "stopped"


def test_an_error_of_the_callers_leaves_no_child(asked):
    """A card's memory would be held for nobody after a mistake of ours, or a Ctrl-C in a bench."""
    pid = Pid()

    def at_barrier(_pid):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(asked('tell("barrier")\nhang()'), at_barrier=at_barrier, on_phase=pid)

    assert pid.is_gone


HELD = """\
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
libc.prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)
child = os.getpid()
ours, theirs = os.pipe()
if (holder := os.fork()) == 0:
    os.setsid()
    failed = libc.ptrace(0x4206, child, 0, 0)
    os.write(theirs, b"n" if failed else b"y")
    os.close(1), os.close(2)
    hang()
held = os.read(ours, 1) == b"y"
tell("progress", phase=f"{holder if held else -holder}")
tell("result", outcome="ok", figures={"seconds": 0.5})
hang()
"""
"""A process that somebody else traces is not taken in by its parent, killed or not, until the tracer lets it go."""


def test_a_child_that_cannot_be_ended_is_told_and_holds_its_card(asked, left, monkeypatch):
    """The probe would wait for ever for a child in a driver call, or hang one more beside it at each interval."""
    monkeypatch.setattr(torch_child, "SECONDS_TO_DIE", 0.2)
    monkeypatch.setattr(torch_child, "_SECONDS_TO_LEAVE", 0.2)
    holder: list[int] = []

    def remember(phase, _):
        if phase != "process":
            holder.append(int(phase))
            left.append(psutil.Process(abs(holder[0])))

    done = run(asked(HELD, uuid="GPU-1"), on_phase=remember)
    if holder[0] < 0:
        pytest.skip("this system lets no process trace another")
    quick = replace(asked(RESULT), uuid="GPU-1")

    assert (done.outcome, done.reason) == ("timeout", "not_ended")
    assert str(UNENDED.pid("GPU-1")) in done.detail
    assert (run(quick).outcome, run(quick).reason) == ("refused", "not_ended")
    assert run(replace(quick, uuid="GPU-2")).outcome == "ok"
    left[0].kill()
    wait_until(lambda: UNENDED.pid("GPU-1") is None, 5, "the child is gone and its card still counts as held")
    assert run(quick).outcome == "ok"


PARENT = """\
import sys
from exporter.latency.torch_child import Asked, run
print(run(
    Asked({"run": "generate", "model": "gpt2-tiny"}, sys.executable, 600.0, environ={"PYTHONPATH": sys.argv[1]}),
    on_phase=lambda phase, line: print(line["pid"] if phase == "process" else phase, flush=True),
))
"""
HANGING = "import signal\nwhile True: signal.pause()\n"


@pytest.fixture
def parent(tmp_path):
    """A process that runs the real workload, which hangs in what it takes for torch; and that workload's process."""
    (tmp_path / "torch.py").write_text(HANGING)
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        child = psutil.Process(int(process.stdout.readline()))
        try:
            assert process.stdout.readline() == "import\n"
            yield process, child
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a child with its parent")
def test_no_child_outlives_its_parent(parent):
    """Each exporter that is killed during a run would leave a process that holds the card's memory."""
    process, child = parent
    process.kill()

    wait_until(lambda: gone(child), 10, "the child outlived its parent")


def test_a_ctrl_c_is_for_the_parent_alone(parent):
    """The user of a bench would see a traceback of the workload's, and a run that crashed."""
    process, child = parent
    assert os.getsid(child.pid) == child.pid
    os.killpg(process.pid, signal.SIGINT)
    _, complaint = process.communicate(timeout=10)

    assert complaint.rstrip().endswith("KeyboardInterrupt")
    assert complaint.count("Traceback") == 1
    assert gone(child)


def test_two_hundred_runs_leave_nothing_behind(asked):
    """The exporter would run out of descriptors or processes after some weeks."""
    ours = psutil.Process()
    ways = (
        replace(asked("hang()"), python="/bin/true"),
        replace(asked("hang()"), python="/no/such/python"),
        replace(asked("hang()"), python="/bin/sleep", workload="600", seconds=0.0),
        replace(asked("hang()"), python="/bin/cat", workload="/no/such/file"),
    )
    run(ways[0])
    before = descriptors(), threading.active_count()
    outcomes = {(done.outcome, done.reason) for _ in range(50) for done in map(run, ways)}

    assert outcomes == {
        ("error", "no_result"),
        ("refused", "no_interpreter"),
        ("timeout", "not_begun"),
        ("error", "crashed"),
    }
    assert (descriptors(), threading.active_count()) == before
    assert not [child for child in ours.children() if child.name() in {"true", "cat", "sleep"}]
