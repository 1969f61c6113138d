"""A letter for a program: the payload on its standard input, its exit status as the answer.

Exit status 0 is an acceptance. 75 (EX_TEMPFAIL), a signal and a timeout mean "later". 126 and 127 are how shells say
that a program is not there or may not be run, which is the fault of the settings, as is one that we cannot start. Every
other status is a refusal for good. It runs in the state folder; ``programs`` says what it is kept from.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from alerts.clean_text import one_line
from alerts.command_settings import CommandSettings
from alerts.programs import ProgramNotRunError, run_program
from alerts.transport import Letter, Outcome, Reply, SendError, SendTimeoutError

_TEMPORARY = 75
_NOT_RUN = frozenset((126, 127))
_REPLY_LIMIT = 500


class CommandTransport:
    """Runs the command of ``settings`` for each letter, in ``folder``."""

    def __init__(self, settings: CommandSettings, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self.folder = folder
        self.environ = os.environ if environ is None else environ

    async def send(self, letter: Letter) -> Reply:
        """Tell the program; raises SendError with its words and a named reason."""
        settings = self.settings
        try:
            ended = await run_program(
                settings.run,
                seconds=settings.timeout,
                folder=self.folder,
                told=letter.payload,
                environ=self.environ,
            )
        except ProgramNotRunError as error:
            raise SendError(str(error), reason="misconfigured" if error.missing else "unreachable") from error
        words = one_line((ended.out + b" " + ended.err).decode("utf-8", "replace"), _REPLY_LIMIT)
        return self._reply(ended.status, words)

    async def close(self) -> None:
        """Nothing is kept open."""

    def _reply(self, status: int | None, words: str) -> Reply:
        program, said = f"command {self.settings.name}", f"{': ' * bool(words)}{words}"
        if status is None:
            detail = f"{program} was killed after {self.settings.timeout:g} s{said}"
            raise SendTimeoutError(detail, reason="timeout")
        reason = reason_of_exit(status)
        if reason != "accepted":
            how = f"ended with exit status {status}" if status > 0 else f"was ended by signal {-status}"
            detail = f"{program} {how}{said}"
            raise SendError(detail, reason=reason)
        return Reply(0, f"exit status {status}{said}")


def reason_of_exit(status: int) -> Outcome:
    """What an exit status means; negative ones are signals."""
    if status in _NOT_RUN:
        return "misconfigured"
    return "accepted" if status == 0 else "deferred" if status < 0 or status == _TEMPORARY else "refused"
