"""How one mail server is reached: what ``alerter.mail`` and ``alerter.mail.fallback`` share, with its check."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gpuwarden.units import Duration

Security = Literal["starttls", "tls", "none"]

_UNFIT_FOR_A_NAME = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TWO_MINUTES = Duration(120.0)
_TEN_MINUTES = Duration(600.0)


def is_loopback(host: str) -> bool:
    """Whether ``host`` never leaves this machine: ``localhost`` or a loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """One mail server; without ``host`` there is none."""

    host: str | None = None
    """The server to use when the first one cannot be reached or lets nobody in; it shares no setting with that one."""
    port: int = 587
    """Its port: 587 for starttls, 465 for tls."""
    security: Security = "starttls"
    """`starttls`, `tls` or `none`; it is never left to what the server offers."""
    username: str | None = None
    """Who logs in; without one, nobody does."""
    password_file: str | None = None
    """A file that holds only the password; read at each login."""
    oauth_token_file: str | None = None
    """Instead of a password: a file that holds only an OAuth 2 access token, which something else keeps fresh."""
    oauth_token_command: tuple[str, ...] = ()
    """Instead of a password: a program and its arguments that print an OAuth 2 access token; run for a login."""
    ca_file: str | None = None
    """Certificates to trust instead of the system's, for a server with its own authority."""
    timeout: Duration = _TWO_MINUTES
    """Longest an attempt may take up to the last byte of the mail."""
    final_reply_timeout: Duration = _TEN_MINUTES
    """Longest wait for the answer to the whole mail; giving up earlier makes duplicates (RFC 5321, 4.5.3.2.6)."""

    @property
    def address(self) -> str:
        """HOST:PORT, for people."""
        return f"{self.host}:{self.port}"

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """Every mistake as (key, what is wrong, what to write instead)."""
        if not 0 < self.port < 65536:  # noqa: PLR2004 -- TCP
            yield "port", f"{self.port} is not a TCP port", "587 for starttls, 465 for tls"
        for key, value in (("timeout", self.timeout), ("final_reply_timeout", self.final_reply_timeout)):
            if value <= 0:
                yield key, "a timeout of nothing lets no mail through", "2m"
        if self.host is None:
            if self.username or self.secrets:
                yield "host", "a login is given and no server", "host: smtp.example.com"
            return
        if not self.host or not self.host.isascii() or _UNFIT_FOR_A_NAME.search(self.host):
            yield "host", f"{self.host!r} is not a host name", "smtp.example.com"
        yield from self._login_problems(self.host)

    @property
    def secrets(self) -> dict[str, object]:
        """What can stand behind a login, by its key; one of them does."""
        given = {
            "password_file": self.password_file,
            "oauth_token_file": self.oauth_token_file,
            "oauth_token_command": self.oauth_token_command,
        }
        return {key: value for key, value in given.items() if value}

    def _login_problems(self, host: str) -> Iterator[tuple[str, str, str]]:
        keys = list(self.secrets)
        if self.username and not keys:
            yield "password_file", "a username is given without a password", "the path of a file that holds only it"
        if keys and not self.username:
            yield "username", f"{keys[0]} is given without a username", "username: me@example.com"
        for key in keys[1:]:
            yield key, f"{keys[0]} is given too: one of them logs in", ""
        if self.username and self.security == "none" and not is_loopback(host):
            yield "security", "the password would cross the network readable by anyone", "starttls or tls"
