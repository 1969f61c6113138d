"""Two runs on one card at once, each a process of its own as two people's would be: what does each lose?

Each loads, warms up and says so; when both are warm, both are told to begin, and each counts what it does in the same
number of seconds. What a card is asked for by two processes it does in turns, unless an administrator has set up MPS:
so of two runs that each keep it busy each keeps half of its pace, and a sum above 1 is what their gaps leave.

The other run's spec stands in the spec of the one, under ``beside``; both have ``run_seconds``. Each of them alone is a
run as any other.
"""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, cast

from exporter.latency import torch_child
from exporter.latency.torch_child import Asked, AtBarrier, Done, OnPhase, nobody_listens, nothing_to_read

BESIDE = "beside"
NOT_TOGETHER = "not_together"
"""The reason when one had no other beside it for as long as it counted."""
LEAST_OVERLAP = 0.9
_WARM_SECONDS = 120.0
"""How long one waits, warm, for the other."""
_HOLD_SECONDS = 5.0
_LOOK_SECONDS = 0.05
_RATES = ("tokens_per_second", "images_per_second", "volumes_per_second")

Figures = Mapping[str, Any]


def kept(alone: Figures, beside: Figures) -> float:
    """Which part of its pace alone a run keeps beside another.

    Raises:
        KeyError, ZeroDivisionError: a figure is missing.
    """
    return rate(beside) / rate(alone)


def rate(figures: Figures) -> float:
    """Tokens, images or volumes per second.

    Raises:
        KeyError: the run tells of none.
    """
    return figures[next((key for key in _RATES if key in figures), _RATES[0])]


def run(
    asked: Asked,
    *,
    at_barrier: AtBarrier = nothing_to_read,
    on_phase: OnPhase = nobody_listens,
    stop: threading.Event | None = None,
) -> Done:
    """As ``torch_child.run``; with ``beside`` in the spec, both at once, under the same deadline.

    The result is the first run's, with the other's figures as ``beside`` in its own and ``overlap_ratio``: for which
    part of ``run_seconds`` both were at work. It is ok when both were and that was nine tenths; else it is that of the
    one which was not. ``at_barrier`` is called for the first, while both hold their memory.
    """
    other = asked.spec.get(BESIDE)
    if not isinstance(other, Mapping):
        return torch_child.run(asked, at_barrier=at_barrier, on_phase=on_phase, stop=stop)
    stop = stop or threading.Event()
    own = {key: value for key, value in asked.spec.items() if key != BESIDE}
    device = {key: value for key, value in own.items() if key == "device"}
    meeting = _Meeting(stop)
    first = _Side(0, meeting, at_barrier)
    second = _Side(1, meeting, nothing_to_read)
    with ThreadPoolExecutor(2, "together") as threads:
        one = threads.submit(first.run, replace(asked, spec=own), on_phase, stop)
        spec = {**cast("Mapping[str, object]", other), **device}
        two = threads.submit(second.run, replace(asked, spec=spec), nobody_listens, stop)
        done = (one.result(), two.result())
    seconds = max(float(cast("Any", each.get("run_seconds", 0.0))) for each in (own, spec))
    return _as_one(*done, _overlap(first.window, second.window, seconds))


class _Meeting:
    """Where two wait for each other, as often as they like, and in vain when the other has gone."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop, self._changed = stop, threading.Condition()
        self._arrived, self._gone = [0, 0], False

    def wait(self, side: int, seconds: float) -> bool:
        """Whether the other came here, too, within that time."""
        until = time.monotonic() + seconds
        with self._changed:
            self._arrived[side] += 1
            self._changed.notify_all()
            while self._arrived[1 - side] < self._arrived[side]:
                if self._gone or self._stop.is_set() or time.monotonic() >= until:
                    return False
                self._changed.wait(_LOOK_SECONDS)
        return True

    def leave(self) -> None:
        """One of them comes no more."""
        with self._changed:
            self._gone = True
            self._changed.notify_all()


class _Side:
    """One of the two; ``window`` is from the word to begin to its next barrier, if it got that far with the other."""

    def __init__(self, number: int, meeting: _Meeting, at_barrier: AtBarrier) -> None:
        self._number, self._meeting, self._read = number, meeting, at_barrier
        self._asked_to_begin, self._began = False, 0.0
        self.window: tuple[float, float] | None = None

    def run(self, asked: Asked, on_phase: OnPhase, stop: threading.Event) -> Done:
        """To the end; then the other waits for us no more."""
        spec = {**asked.spec, "ready_seconds": _WARM_SECONDS}
        try:
            asked = replace(asked, spec=spec)
            return torch_child.run(asked, at_barrier=self._at_barrier, on_phase=on_phase, stop=stop)
        finally:
            self._meeting.leave()

    def _at_barrier(self, pid: int) -> Mapping[str, object]:
        """At the first, where it is warm, begin together; at the second, look at the memory while both hold theirs."""
        if not self._asked_to_begin:
            self._asked_to_begin = True
            if self._meeting.wait(self._number, _WARM_SECONDS):
                self._began = time.monotonic()
            return {}
        if self._began:
            self.window = (self._began, time.monotonic())
        self._meeting.wait(self._number, _HOLD_SECONDS)
        found = self._read(pid)
        self._meeting.wait(self._number, _HOLD_SECONDS)
        return found


def _overlap(one: tuple[float, float] | None, two: tuple[float, float] | None, seconds: float) -> float:
    """Which part of the time both were at work; the last step of either may outlast it a little."""
    if not one or not two:
        return 0.0
    together = min(one[1], two[1]) - max(one[0], two[0])
    return min(max(together, 0.0) / seconds, 1.0) if seconds else 0.0


def _as_one(first: Done, second: Done, overlap: float) -> Done:
    figures = {**first.figures, BESIDE: second.figures, "overlap_ratio": overlap}
    whole = replace(first, figures=figures, seconds=max(first.seconds, second.seconds))
    if first.outcome != "ok":
        return whole
    if second.outcome != "ok":
        detail = f"the run beside it: {second.detail}"
        return replace(whole, outcome=second.outcome, reason=second.reason, detail=detail)
    if overlap < LEAST_OVERLAP:
        detail = f"they were at work together for {overlap:.0%} of the time only"
        return replace(whole, outcome="error", reason=NOT_TOGETHER, detail=detail)
    return whole
