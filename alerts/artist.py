"""Has pictures drawn by a child process, and never waits longer for one than it was given.

The child (``alerts.plot``) starts with the first picture of a batch and ends with the batch: the library that it loads
takes some eighty megabytes, which nobody needs between two alerts. A picture that does not come in time, a child that
ends, and an answer that is no picture cost that picture; the child is killed then, and the next picture gets a new one.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from alerts.drawing import Drawing, dump
from gpuwarden.errors import GpuwardenError
from gpuwarden.sparse_log import Sparse

MOST_BYTES = 512 * 2**10
"""Ours have fifteen kilobytes."""

_BEGIN, _END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_KEPT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "HOME")
"""Of the environment: a process that draws needs no more."""
_LAST_SECONDS = 5.0

_log = logging.getLogger(__name__)
_log.addFilter(Sparse())


class NoPictureError(GpuwardenError, RuntimeError):
    """A picture could not be drawn; the message is one line for a person."""


class Artist:
    """One child for the time of an ``async with`` block; draws one picture at a time.

    ``folder`` keeps what the library finds out of the machine's fonts; ``command`` is for tests.
    """

    def __init__(self, folder: Path, command: tuple[str, ...] = (sys.executable, "-P", "-m", "alerts.plot")) -> None:
        self._folder = folder
        self._command = command
        self._child: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def is_prepared(self) -> bool:
        """Whether the library knows the machine's fonts already; finding out takes it up to minutes, once."""
        return any(self._folder.glob("fontlist-*.json"))

    async def draw(self, drawing: Drawing, seconds: float) -> bytes:
        """The PNG.

        Raises:
            NoPictureError: there is none, or none within ``seconds``.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._drawn(drawing)
        except TimeoutError:
            await self.close()
            message = f"it was not drawn within {seconds:.1f} s"
            raise NoPictureError(message) from None
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
            EOFError,
            RecursionError,
            asyncio.LimitOverrunError,
        ) as error:
            await self.close()
            message = f"the process that draws failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise NoPictureError(message) from error
        except asyncio.CancelledError:
            await self.close()
            raise

    async def _drawn(self, drawing: Drawing) -> bytes:
        child = self._child = self._child or await self._start()
        if child.stdin is None or child.stdout is None:
            raise EOFError
        child.stdin.write(dump(drawing))
        await child.stdin.drain()
        head: Any = json.loads(await child.stdout.readuntil(b"\n"))
        if "error" in head:
            message = " ".join(str(head["error"]).split())[:300]
            raise NoPictureError(message)
        length = int(head["bytes"])
        if not 0 < length <= MOST_BYTES:
            message = f"{length} bytes are no picture"
            raise ValueError(message)
        picture = await child.stdout.readexactly(length)
        if not picture.startswith(_BEGIN) or not picture.endswith(_END):
            message = "not a PNG"
            raise ValueError(message)
        return picture

    async def _start(self) -> asyncio.subprocess.Process:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(os.environ, self._folder),
            start_new_session=True,  # it may have children of its own, which end with it
        )

    async def close(self) -> None:
        """End the child; the next picture gets a new one."""
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        if child.stdin:
            child.stdin.close()
        try:
            await _gone(child)
        except asyncio.CancelledError:
            # It dies at once, and whoever ends us must not leave its pipes behind.
            await _gone(child)
            raise


async def _gone(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_SECONDS):
            await child.wait()
            if child.stdout:
                await child.stdout.read()  # to its end: only then is the pipe closed


def _environment(ours: Mapping[str, str], folder: Path) -> dict[str, str]:
    kept = {name: ours[name] for name in _KEPT if name in ours}
    # One thread: a picture has little to compute, and each one more takes address space.
    return {
        **kept,
        "MPLCONFIGDIR": str(folder),
        "MPLBACKEND": "agg",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
