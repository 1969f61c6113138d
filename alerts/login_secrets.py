"""What logs in: the password or the OAuth 2 access token, from where the settings say, and never into a log.

A file is read at each login, so that a changed secret needs no restart. A program that prints tokens may ask somebody
over the network, so what it printed is used for a minute, and anew after a server refused it.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from alerts.clean_text import one_line
from alerts.programs import ProgramNotRunError, run_program
from alerts.server_settings import ServerSettings
from alerts.transport import SendError

_PROGRAM_SECONDS = 30.0
_KEPT_SECONDS = 60.0
_REPLY_LIMIT = 300


class LoginSecrets:
    """The secrets of one server's settings; ``clock`` is monotonic."""

    def __init__(self, settings: ServerSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._turn = asyncio.Lock()
        self._token = ""
        self._printed_at = 0.0

    async def password(self) -> str:
        """The password; raises SendError (``misconfigured``)."""
        return await asyncio.to_thread(_read, "password_file", self._settings.password_file or "")

    async def token(self) -> str:
        """The access token; raises SendError (``misconfigured``, or ``login_refused`` where none is printed)."""
        if self._settings.oauth_token_file:
            return await asyncio.to_thread(_read, "oauth_token_file", self._settings.oauth_token_file)
        async with self._turn:
            if not self._token or self._clock() - self._printed_at > _KEPT_SECONDS:
                self._token, self._printed_at = await self._print(), self._clock()
            return self._token

    def forget(self) -> None:
        """The server refused the token: ask for a new one next time."""
        self._token = ""

    async def _print(self) -> str:
        program = self._settings.oauth_token_command[0]
        try:
            ended = await run_program(self._settings.oauth_token_command, seconds=_PROGRAM_SECONDS)
        except ProgramNotRunError as error:
            detail = f"oauth_token_command: {error}"
            raise SendError(detail, reason="misconfigured") from error
        token = ended.out.decode("utf-8", "replace").strip()
        if ended.status == 0 and token and token.isascii() and token.isprintable():
            return token
        # Never its standard output: half a token is a secret too.
        words = one_line(ended.err.decode("utf-8", "replace"), _REPLY_LIMIT)
        how = {None: f"printed no token within {_PROGRAM_SECONDS:g} s", 0: "printed no token"}
        ending = how.get(ended.status, f"ended with exit status {ended.status}")
        detail = f"oauth_token_command {program} {ending}{': ' * bool(words)}{words}"
        raise SendError(detail, reason="login_refused")


def _read(key: str, path: str) -> str:
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        detail = f"{key} {path} cannot be read: {getattr(error, 'strerror', None) or error}"
        raise SendError(detail, reason="misconfigured") from error
    if not secret:
        detail = f"{key} {path} is empty"
        raise SendError(detail, reason="misconfigured")
    return secret
