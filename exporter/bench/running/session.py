"""From a plan to all its records, with Ctrl-C at any moment.

Each run is made in a thread of its own, which lives as long as the run: the kernel ends a child with the thread that
started it. The main thread only waits, shows progress and takes in a Ctrl-C; then the child is ended at once and what
is there by then is what is reported.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from exporter.bench.plan import Plan, Planned
from exporter.bench.running.measuring import Bench, Record
from exporter.bench.running.progress import Progress

_LOOK_SECONDS = 0.2
_SECONDS_TO_STOP = 15.0
_RESULTS = frozenset({"ok", "oom"})
_FORESEEN = frozenset({"vram", "no_card", "no_onnxruntime", "no_int8"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """The records in the order of the plan, and whether somebody ended it before its end."""

    records: tuple[Record, ...]
    interrupted: bool

    @property
    def complete(self) -> bool:
        """Whether every run came to a result, or was known not to fit, or lacks a library that nobody has to have."""
        known = (record.done.outcome in _RESULTS or record.done.reason in _FORESEEN for record in self.records)
        return not self.interrupted and all(known)


def make_all(
    plan: Plan, bench: Bench, progress: Progress, after_each: Callable[[tuple[Record, ...]], object]
) -> Outcome:
    """Make every run; ``after_each`` is given what is there."""
    records: list[Record] = []
    stopped = False
    try:
        for planned in plan.to_make:
            progress.begin(planned.run.name)
            record, stopped = _one(planned, bench, progress)
            if record:
                records.append(record)
                progress.end(record)
            after_each(tuple(records))
            if stopped:
                break
    except KeyboardInterrupt:  # between two runs, or the second one while a child ends
        stopped = True
        bench.stop.set()
    progress.clear()
    return Outcome(tuple(records), stopped)


def _one(planned: Planned, bench: Bench, progress: Progress) -> tuple[Record | None, bool]:
    """Its record, None when it could not even be ended in time; and whether there was a Ctrl-C."""
    made: list[Record] = []
    failed: list[BaseException] = []
    # Not the thread's own end: a join that Ctrl-C interrupts takes the thread for ended (as Python 3.11 does).
    ended = threading.Event()

    def make() -> None:
        try:
            made.append(bench.make(planned, progress.phase))
        except BaseException as error:  # noqa: BLE001 -- raised again in the main thread
            failed.append(error)
        finally:
            ended.set()

    stopped = False
    try:
        threading.Thread(target=make, name=f"run {planned.run.name}", daemon=True).start()
        while not ended.wait(_LOOK_SECONDS):
            progress.tick()
    except KeyboardInterrupt:
        stopped = True
        bench.stop.set()
        ended.wait(_SECONDS_TO_STOP)
    if failed:
        raise failed[0]
    return (made[0] if made else None), stopped
