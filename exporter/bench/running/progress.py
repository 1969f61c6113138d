"""What a person sees while the runs are made, on standard error: one line that moves on a terminal, else one a run."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from exporter.bench.running.measuring import Record

_ERASE = "\r\x1b[K"


@dataclass(slots=True)
class Progress:
    """``write`` takes text as it is; ``terminal`` is its width in columns, 0 where it is none."""

    write: Callable[[str], object]
    terminal: int
    total: int
    monotonic: Callable[[], float] = time.monotonic
    _number: int = 0
    _name: str = ""
    _phase: str = ""
    _began: float = 0.0
    _shown: str = field(default="")

    def begin(self, name: str) -> None:
        """The next run begins."""
        self._number += 1
        self._name, self._phase, self._began = name, "", self.monotonic()
        self.tick()

    def phase(self, name: str) -> None:
        """The run has got so far; may be called from its thread, since the line is written by ``tick`` alone."""
        self._phase = name

    def tick(self) -> None:
        """Show how long it has been, if that has changed."""
        if not self.terminal:
            return
        left = self.total - self._number
        phase = f": {self._phase}" if self._phase else ""
        elapsed = self.monotonic() - self._began
        before, after = f"[{self._number}/{self.total}] ", f"{phase}, {elapsed:.0f} s, {left} left"
        text = f"{before}{_shortened(self._name, self.terminal - 1 - len(before + after))}{after}"[: self.terminal - 1]
        if text != self._shown:
            self._shown = text
            self.write(f"{_ERASE}{text}")

    def end(self, record: Record) -> None:
        """The run has ended."""
        done = record.done
        outcome = done.outcome if done.outcome == "ok" or not done.reason else f"{done.outcome} ({done.reason})"
        shared = f"  beside {', '.join(record.contended)}" if record.contended else ""
        erase, self._shown = _ERASE if self.terminal else "", ""
        self.write(f"{erase}[{self._number}/{self.total}] {self._name}: {outcome}, {done.seconds:.1f} s{shared}\n")

    def clear(self) -> None:
        """Take the moving line away."""
        if self._shown:
            self.write(_ERASE)
            self._shown = ""


def _shortened(name: str, most: int) -> str:
    """The name gives way to what moves behind it."""
    return name if len(name) <= most else f"{name[: max(most - 3, 0)]}..."
