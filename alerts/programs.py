"""Run a program of the user's with a deadline, and hear what it says.

It is killed at the deadline with all that it started, and what it leaves behind when it ends is killed too: else each
alert could leave a process on the machine. Of our environment it sees only what programs need to run, and of our files
only its standard streams. What it says is read to the end and the beginning of it kept, so that no output fills memory
or a pipe.
"""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gpuwarden.errors import GpuwardenError

_KEPT_BYTES = 16384
_CHUNK_BYTES = 65536
_SECONDS_FOR_LAST_WORDS = 0.2
_PASSED_ON = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"),
        *("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "no_proxy"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    )
)


class ProgramNotRunError(GpuwardenError, OSError):
    """A program could not be started; ``missing`` where it is not there or may not be run."""

    def __init__(self, program: str, error: Exception) -> None:
        super().__init__(f"{program} cannot be run: {getattr(error, 'strerror', None) or error}")
        self.missing = isinstance(error, FileNotFoundError | PermissionError | ValueError)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: ``status`` is its exit status, minus a signal's number, or None when its time was up."""

    status: int | None
    out: bytes
    err: bytes


async def run_program(
    run: Sequence[str],
    *,
    seconds: float,
    folder: Path | None = None,
    told: bytes = b"",
    environ: Mapping[str, str] | None = None,
) -> Ended:
    """Run ``run`` in ``folder`` with ``told`` on its standard input; raises ProgramNotRunError."""
    async with _heard() as (out, said), _heard() as (err, complained):
        process = await _start(run, folder, os.environ if environ is None else environ, out, err)
        try:
            async with asyncio.timeout(seconds):
                await _tell(process.stdin, told)
                status = await process.wait()
        except TimeoutError:
            status = None
        finally:
            _kill(process)
            await process.wait()
        await asyncio.wait({said, complained}, timeout=_SECONDS_FOR_LAST_WORDS)
        return Ended(status, *(words.result() if words.done() else b"" for words in (said, complained)))


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a program sees of ``environ``."""
    return {key: value for key, value in environ.items() if key in _PASSED_ON or key.startswith("LC_")}


async def _start(
    run: Sequence[str], folder: Path | None, environ: Mapping[str, str], out: int, err: int
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *run,
            stdin=asyncio.subprocess.PIPE,
            stdout=out,
            stderr=err,
            cwd=folder,
            env=environment(environ),
            start_new_session=True,  # a process group of its own
        )
    except (OSError, ValueError) as error:
        raise ProgramNotRunError(run[0], error) from error
    finally:
        os.close(out)
        os.close(err)


@asynccontextmanager
async def _heard() -> AsyncGenerator[tuple[int, asyncio.Task[bytes]], None]:
    """A descriptor for a program to write to, and what was written.

    Not asyncio's own pipe: with that one, the end of a program is not heard of while a child of it holds the pipe.
    """
    ours, theirs = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb", buffering=0)
    )
    said = asyncio.create_task(_first_words(reader))
    try:
        yield theirs, said
    finally:
        said.cancel()
        transport.close()


async def _tell(stdin: asyncio.StreamWriter | None, told: bytes) -> None:
    """A program that does not read its input is free not to."""
    if stdin is not None:
        with suppress(BrokenPipeError, ConnectionResetError):
            stdin.write(told)
            await stdin.drain()
        stdin.close()
        with suppress(BrokenPipeError, ConnectionResetError):
            await stdin.wait_closed()


async def _first_words(stdout: asyncio.StreamReader) -> bytes:
    kept = bytearray()
    while chunk := await stdout.read(_CHUNK_BYTES):
        kept += chunk[: _KEPT_BYTES - len(kept)]
    return bytes(kept)


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
