"""One run of the workload in a process of its own, from its start to its end, whatever it does.

Only the end of a process gives the memory of a CUDA context back, and only a process can be ended: so torch runs there,
in any interpreter that the user names. ``run`` blocks, and returns what became of the run; what a child does never
raises, and it never waits much longer than it was given.

outcome   reason
ok        empty
oom       out_of_memory
refused   the workload's word (no_torch, wrong_cuda, no_cuda, bad_spec, ...); no_interpreter: it cannot be started;
          not_ended: an earlier child on this card is still there
error     the workload's word, the class of an exception; crashed: by a signal or an exit status; no_result: it ended
          well and said nothing; flooded: it wrote without end
timeout   deadline; not_begun: the deadline came before torch was loaded, which says nothing of card or model;
          not_ended: it cannot even be killed, and still holds what it holds
stopped   stopped

The kernel kills the child when the THREAD that called ``run`` ends (see exporter/workload/lifetime.py).
"""

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exporter.latency.child_process import Child
from exporter.latency.child_words import LastWords, Lines, Result, clean, result, said
from exporter.latency.unended import Unended

WORKLOAD = Path(__file__).parents[1] / "workload"

SECONDS_TO_DIE = 10.0
"""How long a killed child is waited for: it needs a processor to end, and the driver to take the card's memory back."""
_SECONDS_TO_DIE_AT_A_STOP = 0.5
_SECONDS_TO_LEAVE = 10.0
"""After its result; then it is killed, and the result holds."""
_HOLD_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_MOST_BYTES = 64 * 2**20
_BEFORE_THE_DEVICE = frozenset({"start", "import"})
_GO_ON = b"go on\n"
UNENDED = Unended()
"""Which cards are held by a child that could not be ended."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One run; ``spec`` has the keys of exporter/workload/spec.py, ``seconds`` is the deadline of the whole.

    With ``uuid`` the child sees that card only, as cuda:0; without it, what our own environment shows. ``background``
    lets everybody else have the processor first.
    """

    spec: Mapping[str, object]
    python: str
    seconds: float
    uuid: str = ""
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    background: bool = False
    workload: str = str(WORKLOAD)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of it; ``started`` has versions and device, ``barrier`` what ``at_barrier`` gave.

    The figure ``device_seconds`` is the child's own and on top of it what its end took, which gives the device back.
    """

    outcome: str
    reason: str = ""
    detail: str = ""
    figures: Mapping[str, object] = field(default_factory=dict[str, object])
    started: Mapping[str, object] = field(default_factory=dict[str, object])
    barrier: Mapping[str, object] = field(default_factory=dict[str, object])
    seconds: float = 0.0
    spec: Mapping[str, object] = field(default_factory=dict[str, object])


AtBarrier = Callable[[int], Mapping[str, object]]
OnPhase = Callable[[str, Mapping[str, object]], None]


def nothing_to_read(_pid: int) -> Mapping[str, object]:
    """For who wants nothing of a child that holds everything in memory."""
    return {}


def nobody_listens(_phase: str, _line: Mapping[str, object]) -> None:
    """For who is not interested in phases."""


def run(
    asked: Asked,
    *,
    at_barrier: AtBarrier = nothing_to_read,
    on_phase: OnPhase = nobody_listens,
    stop: threading.Event | None = None,
) -> Done:
    """Run once.

    ``at_barrier`` is called with the child's process id while it holds everything in memory. ``on_phase`` is called
    with ``process`` and the ``pid`` when the child is there, then with each phase and the line that told it. What they
    raise ends the child and is raised here.
    """
    stop = stop or threading.Event()
    if (pid := UNENDED.pid(asked.uuid)) is not None:
        detail = f"process {pid} of an earlier run cannot be ended and still holds the card"
        return Done("refused", "not_ended", detail, spec=asked.spec)
    if stop.is_set():
        return Done("stopped", "stopped", spec=asked.spec)
    try:
        child = Child([asked.python, asked.workload], environment(asked, os.environ), background=asked.background)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return Done("refused", "no_interpreter", clean(f"{asked.python} cannot be run: {why}"), spec=asked.spec)
    return _Run(asked, child, at_barrier, on_phase, stop).whole()


def without_our_settings(ours: Mapping[str, str]) -> dict[str, str]:
    """Our environment for somebody else's program: our settings may hold secrets."""
    return {key: value for key, value in ours.items() if not key.startswith("GPUWARDEN_")}


def environment(asked: Asked, ours: Mapping[str, str]) -> dict[str, str]:
    """What the child sees of our environment.

    What libraries warn of is no reason for how a run ended, and would stand in its last words as if it were.
    """
    theirs = without_our_settings(ours)
    theirs.setdefault("PYTHONWARNINGS", "ignore")
    if asked.uuid:
        # Numbers follow another order for torch than for NVML; a UUID means the same card for both.
        theirs |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": asked.uuid}
    return theirs | dict(asked.environ)


@dataclass(slots=True)
class _Run:
    """A run under way: hears the child, answers it, ends it."""

    asked: Asked
    child: Child
    at_barrier: AtBarrier
    on_phase: OnPhase
    stop: threading.Event
    began: float = field(default_factory=time.monotonic)
    lines: Lines = field(default_factory=Lines)
    last_words: LastWords = field(default_factory=LastWords)
    bytes_heard: int = 0
    until: float = 0.0
    phase: str = "start"
    phase_began: float = 0.0
    told: Result | None = None
    told_at: float = 0.0
    started: Mapping[str, object] = field(default_factory=dict[str, object])
    barrier: Mapping[str, object] = field(default_factory=dict[str, object])

    def whole(self) -> Done:
        """From the spec to the end."""
        child, gone = self.child, False
        self.until, self.phase_began = self.began + self.asked.seconds, self.began
        try:
            self.on_phase("process", {"pid": child.pid})
            child.tell(json.dumps(self._spec()).encode() + b"\n")
            given_up = self._hear_out()
            gone = child.kill(_SECONDS_TO_DIE_AT_A_STOP if self.stop.is_set() else SECONDS_TO_DIE)
            if given_up is None:
                self._hear_the_rest()
        finally:
            gone = gone or child.kill(_SECONDS_TO_DIE_AT_A_STOP)
            child.close()
            if not gone:
                UNENDED.add(self.asked.uuid, child)
        return self._done(given_up, gone=gone)

    def _spec(self) -> Mapping[str, object]:
        card = {"device": "cuda:0"} if self.asked.uuid else {}
        return {"hold_seconds": _HOLD_SECONDS, **self.asked.spec, **card, "parent": os.getpid()}

    def _hear_out(self) -> tuple[str, str] | None:
        """Until it has ended; or why it is given up, as outcome and reason."""
        while not self.child.has_ended:
            if self.stop.is_set():
                return "stopped", "stopped"
            if self.bytes_heard > _MOST_BYTES:
                return "error", "flooded"
            if (left := self.until - time.monotonic()) <= 0:
                return "timeout", "not_begun" if self.phase in _BEFORE_THE_DEVICE else "deadline"
            self._hear(min(left, _LOOK_SECONDS))
        return None

    def _hear_the_rest(self) -> None:
        """What is still in the pipes. Their end need not come: who left the session may hold them open."""
        before = -1
        while before < self.bytes_heard <= _MOST_BYTES:
            before = self.bytes_heard
            self._hear(0.0)

    def _hear(self, seconds: float) -> None:
        for name, piece in self.child.hear(seconds):
            self.bytes_heard += len(piece)
            if name == "stderr":
                self.last_words.add(piece)
                continue
            for line in self.lines.add(piece):
                if self.told is None and (told := said(line)):
                    self._take(told)

    def _take(self, told: Mapping[str, object]) -> None:
        event = told["event"]
        if event == "barrier":
            self.barrier = {**self.barrier, **self.at_barrier(self.child.pid)}
            self.child.tell(_GO_ON)
        elif event == "started":
            self.started = {key: value for key, value in told.items() if key != "event"}
        elif event == "progress":
            self.phase, self.phase_began = clean(told.get("phase")), time.monotonic()
            self.on_phase(self.phase, told)
        elif event == "result" and (found := result(told)):
            self.told, self.told_at = found, time.monotonic()
            self.until = self.told_at + _SECONDS_TO_LEAVE
            self.child.hurry()

    def _done(self, given_up: tuple[str, str] | None, *, gone: bool) -> Done:
        told = self.told
        if not gone:
            outcome = "stopped" if self.stop.is_set() else "timeout"
            end = (outcome, "not_ended", f"process {self.child.pid} cannot be ended")
        elif told and (given_up is None or given_up[0] == "timeout"):
            end = (told.outcome, told.reason, told.detail)
        elif given_up:
            since = time.monotonic() - self.phase_began
            end = (*given_up, _joined(f"in phase {self.phase} for {since:.0f} s", self.last_words.text))
        else:
            end = self._without_a_result()
        return Done(
            *end,
            figures=self._figures(),
            started=self.started,
            barrier=self.barrier,
            seconds=time.monotonic() - self.began,
            spec=(told and told.spec) or self.asked.spec,
        )

    def _figures(self) -> Mapping[str, object]:
        figures: Mapping[str, object] = self.told.figures if self.told else {}
        seconds = figures.get("device_seconds")
        if not isinstance(seconds, float) or seconds <= 0:
            return figures
        return {**figures, "device_seconds": seconds + time.monotonic() - self.told_at}

    def _without_a_result(self) -> tuple[str, str, str]:
        status, words = self.child.exit_status or 0, self.last_words.text
        if status == 0:
            return "error", "no_result", _joined(f"{self.asked.python} ended and told no result", words)
        return "error", "crashed", _joined(f"{_how(status)} in phase {self.phase}", words)


def _how(status: int) -> str:
    if status > 0:
        return f"exit status {status}"
    if status == -signal.SIGKILL:
        return "killed by somebody else, perhaps by the kernel for want of main memory,"
    with contextlib.suppress(ValueError):
        return f"ended by {signal.Signals(-status).name}"
    return f"ended by signal {-status}"


def _joined(what: str, last_words: str) -> str:
    return f"{what}: {last_words}" if last_words else what
