"""A letter for a program: the payload on its standard input, its exit status as the answer.

1. Exit status 0 is an acceptance. 75 (EX_TEMPFAIL), a signal and a timeout mean "later". 126 and 127 are how shells say
   that a program is not there or may not be run, which is the fault of the settings, as is one that we cannot start.
   Every other status is a refusal for good.
2. It is killed at the timeout with all that it started, and what it leaves behind when it ends is killed too: else each
   alert could leave a process on the machine.
3. It sees nothing of our secrets: of the environment, only what programs need to run, and no file but its standard
   streams. It runs in the state folder.
4. What it says is read to the end and the beginning of it kept as one line, so that no output fills memory or a pipe.
"""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from alerts.clean_text import one_line
from alerts.command_settings import CommandSettings
from alerts.transport import Letter, Outcome, Reply, SendError, SendTimeoutError

_TEMPORARY = 75
_NOT_RUN = frozenset((126, 127))
_REPLY_LIMIT = 500
_KEPT_BYTES = 8192
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


class CommandTransport:
    """Runs the command of ``settings`` for each letter, in ``folder``."""

    def __init__(self, settings: CommandSettings, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self.folder = folder
        self.environ = environment(os.environ if environ is None else environ)

    async def send(self, letter: Letter) -> Reply:
        """Tell the program; raises SendError with its words and a named reason."""
        async with _words_heard() as (words, said):
            process = await self._start(words)
            try:
                async with asyncio.timeout(self.settings.timeout):
                    await _tell(process.stdin, letter.payload)
                    status = await process.wait()
            except TimeoutError:
                status = None
            finally:
                _kill(process)
                await process.wait()
            heard = await _soon(said)
        return self._reply(status, heard)

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _start(self, words: int) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self.settings.run,
                stdin=asyncio.subprocess.PIPE,
                stdout=words,
                stderr=words,
                cwd=self.folder,
                env=self.environ,
                start_new_session=True,  # a process group of its own
            )
        except (OSError, ValueError) as error:
            missing = isinstance(error, FileNotFoundError | PermissionError | ValueError)
            detail = f"{self.settings.run[0]} cannot be run: {getattr(error, 'strerror', None) or error}"
            raise SendError(detail, reason="misconfigured" if missing else "unreachable") from error
        finally:
            os.close(words)

    def _reply(self, status: int | None, words: str) -> Reply:
        """What ``status`` says; None where the time was up."""
        program, said = self.settings.run[0], f"{': ' * bool(words)}{words}"
        if status is None:
            detail = f"{program} was killed after {self.settings.timeout:g} s{said}"
            raise SendTimeoutError(detail, reason="timeout")
        reason = reason_of_exit(status)
        if reason != "accepted":
            how = f"ended with exit status {status}" if status > 0 else f"was ended by signal {-status}"
            detail = f"{program} {how}{said}"
            raise SendError(detail, reason=reason)
        return Reply(0, f"exit status {status}{said}")


@asynccontextmanager
async def _words_heard() -> AsyncGenerator[tuple[int, asyncio.Task[bytes]], None]:
    """A descriptor for a program to write to, and what was said there.

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


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a command sees of ``environ``."""
    return {key: value for key, value in environ.items() if key in _PASSED_ON or key.startswith("LC_")}


def reason_of_exit(status: int) -> Outcome:
    """What an exit status means; negative ones are signals."""
    if status in _NOT_RUN:
        return "misconfigured"
    return "accepted" if status == 0 else "deferred" if status < 0 or status == _TEMPORARY else "refused"


async def _tell(stdin: asyncio.StreamWriter | None, payload: bytes) -> None:
    """A program that does not read its input is free not to."""
    if stdin is not None:
        with suppress(BrokenPipeError, ConnectionResetError):
            stdin.write(payload)
            await stdin.drain()
        stdin.close()
        with suppress(BrokenPipeError, ConnectionResetError):
            await stdin.wait_closed()


async def _first_words(stdout: asyncio.StreamReader) -> bytes:
    kept = bytearray()
    while chunk := await stdout.read(_CHUNK_BYTES):
        kept += chunk[: _KEPT_BYTES - len(kept)]
    return bytes(kept)


async def _soon(said: asyncio.Task[bytes]) -> str:
    """What was said, once the pipe is at its end; somebody who left the process group may hold it open for ever."""
    done, _ = await asyncio.wait({said}, timeout=_SECONDS_FOR_LAST_WORDS)
    if not done:
        return ""
    return one_line(said.result().decode("utf-8", "replace"), _REPLY_LIMIT)


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
