"""One process with pipes of ours, which can be ended whatever it does.

It leads a session of its own: a Ctrl-C in our terminal is not for it, and one signal reaches it and all that it
started. Its end is looked at without taking it in, so that its number cannot be another's when that signal is sent.
After the signal we wait for a bounded time: a process that hangs in a driver call ends when the driver lets it.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence

_PIECE_BYTES = 2**16
_BACKGROUND_NICE = 19
_FIRST_TO_BE_KILLED = 1000
_POLL_SECONDS = 0.02


class Child:
    """Running from the construction on.

    Raises:
        OSError, ValueError: the program cannot be started.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], *, background: bool) -> None:
        self._process = subprocess.Popen(  # noqa: S603 -- the user says which Python runs the workload
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # What has been taken in along with a line before would not make the pipe readable again.
            bufsize=0,
            env=dict(environ),
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._background = background
        self._poll = select.poll()
        self._open: dict[int, str] = {}
        for stream, name in ((self._process.stdout, "stdout"), (self._process.stderr, "stderr")):
            assert stream is not None, "it was asked for"  # noqa: S101
            os.set_blocking(stream.fileno(), False)
            self._open[stream.fileno()] = name
            self._poll.register(stream.fileno(), select.POLLIN)
        if background:
            _step_back(self.pid)

    def tell(self, line: bytes) -> None:
        """Write a line to it; a child that does not listen loses it, and never makes us wait."""
        stdin = self._process.stdin
        assert stdin is not None, "it was asked for"  # noqa: S101
        os.set_blocking(stdin.fileno(), False)
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            os.write(stdin.fileno(), line)

    def hear(self, seconds: float) -> Iterator[tuple[str, bytes]]:
        """Wait up to so long for something; pieces of ``stdout`` and ``stderr``, at most one of each."""
        if not self._open:
            time.sleep(seconds)
        for descriptor, _ in self._poll.poll(1000 * seconds) if self._open else ():
            try:
                piece = os.read(descriptor, _PIECE_BYTES)
            except BlockingIOError:
                continue
            if piece:
                yield self._open[descriptor], piece
            else:
                self._poll.unregister(descriptor)
                del self._open[descriptor]

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, if nobody has asked for its exit status yet."""
        if self._process.returncode is not None:
            return True
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:  # our process ignores SIGCHLD: the kernel has taken it in
            return True

    @property
    def exit_status(self) -> int | None:
        """Its exit status, minus a signal's number, or None while it is there; takes it in."""
        return self._process.poll()

    def hurry(self) -> None:
        """Let it come to its end: for that it needs the processor, and it gives the card's memory back only then."""
        if self._background:
            _be_nice(self.pid, 0)

    def kill(self, seconds: float) -> bool:
        """End it and all that it started; whether it was gone within so many seconds. Its last words can be heard."""
        if not self.has_ended:
            self.hurry()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        until = time.monotonic() + seconds
        while not self.has_ended:
            if time.monotonic() >= until:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def close(self) -> None:
        """Let go of the pipes and take in what is gone."""
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        self._process.poll()


def _step_back(pid: int) -> None:
    """Let everybody else have the processor and the memory first, as far as the kernel allows."""
    _be_nice(pid, _BACKGROUND_NICE)
    _write(pid, "oom_score_adj", _FIRST_TO_BE_KILLED)


def _be_nice(pid: int, nice: int) -> None:
    """Where each session is a scheduling group, niceness counts within the group only: so that gets it, too.

    A group's may be taken back by everybody, a process's by root alone.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    _write(pid, "autogroup", nice)


def _write(pid: int, name: str, value: int) -> None:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(str(value))
