"""The child's side of the talk: JSON lines out, one word in.

Every line of ours carries ``MARKER``, so that a parent can tell it from whatever else reaches the pipe. Libraries in
somebody's Python do print, from C too: so the real standard output is kept for us alone and everybody else's goes to
standard error. What was printed before us may lack its line end; ours begins on a fresh line.

``started``   once: versions and device
``progress``  a phase begins
``barrier``   everything is in memory now; the parent may read it from outside and then write a line to go on. A spec
              with ``ready_seconds`` has one more before, with ``stage`` ready: all is warm, the line starts the clock
``result``    once and last: ``outcome`` is ok, oom, error or refused
"""

import json
import math
import os
import select
import sys
import time
import typing
from collections.abc import Callable

MARKER = "gpuwarden_workload"
VERSION = 1


class Lines:
    """Writes the lines; ``write`` takes bytes and ``wait`` returns after so many seconds or when told to go on."""

    def __init__(
        self,
        write: Callable[[bytes], object],
        wait: Callable[[float], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._write, self._wait, self._clock = write, wait, clock
        self._began = clock()
        self.current_phase = ""
        write(b"\n")

    def tell(self, event: str, **values: object) -> None:
        """Write one line. A value that is no JSON does not cost the line: it is written as text, NaN as null."""
        seconds = round(self._clock() - self._began, 3)
        line = {MARKER: VERSION, "event": event, "at_seconds": seconds, **values}
        self._write(json.dumps(_without_nan(line), default=str).encode() + b"\n")

    def phase(self, name: str, **values: object) -> None:
        """Say that a phase begins."""
        self.current_phase = name
        self.tell("progress", phase=name, **values)

    def ready(self, hold_seconds: float) -> None:
        """Say that what is measured comes next, and begin it when the parent says so, as late as that."""
        if hold_seconds:
            self.barrier(hold_seconds, stage="ready")

    def barrier(self, hold_seconds: float, **values: object) -> None:
        """Say that the memory can be read now, and keep it for the parent."""
        self.tell("barrier", pid=os.getpid(), hold_seconds=hold_seconds, **values)
        if hold_seconds:
            self._wait(hold_seconds)


def _without_nan(value: object) -> object:
    """The loss of a training that diverged, say, is no number; JSON has no word for it and readers choke on one."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in typing.cast("dict[str, object]", value).items()}
    return value


def on_standard_output() -> Lines:
    """Lines on what is the standard output now; from here on everybody else prints on standard error."""
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    return Lines(lambda line: _write_whole(ours, line), _wait_for_a_line)


def read_spec_line() -> str:
    """The first line of standard input, without a byte of what follows: that is the word to go on."""
    text = bytearray()
    while (byte := os.read(0, 1)) not in {b"", b"\n"}:
        text += byte
    return text.decode(errors="replace")


def _write_whole(descriptor: int, line: bytes) -> None:
    while line:
        line = line[os.write(descriptor, line) :]


def _wait_for_a_line(seconds: float) -> None:
    """End of file, too, ends the wait: nobody is there who could say anything."""
    readable, _, _ = select.select([0], [], [], seconds)
    if readable:
        read_spec_line()
