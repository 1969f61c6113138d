"""What the alerter shows to the targets that ask for something, and whom it trusts: ``alerter.scrape``."""

import pathlib
import ssl
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import httpx

from alerts.scrape import ScrapeError
from gpuwarden.errors import UserInputError


class ScrapeFileError(UserInputError, ValueError):
    """A file under ``alerter.scrape`` cannot be used."""


@dataclass(frozen=True, slots=True)
class ScrapeSettings:
    """What a user can set under ``alerter.scrape``; it holds for all targets."""

    ca_file: str | None = None
    """Certificates to trust instead of the usual authorities, for targets with their own; read at start and reload."""
    cert_file: str | None = None
    """The certificate to show to targets that ask for one; read at start and reload."""
    key_file: str | None = None
    """Its key; not needed where it is in `cert_file` too."""
    username: str | None = None
    """Who logs in at targets that have no name in their URL."""
    password_file: str | None = None
    """A file that holds only the password; read at each visit."""

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        if self.key_file and not self.cert_file:
            yield "cert_file", "is missing: the key belongs to a certificate", ""
        if bool(self.username) != bool(self.password_file):
            missing, given = ("password_file", "username") if self.username else ("username", "password_file")
            yield missing, f"is missing: {given} is given", ""

    def client(self, trust: ssl.SSLContext | bool | None = None) -> httpx.AsyncClient:  # noqa: FBT001 -- as httpx takes it
        """A client that goes by these settings, without a time limit of its own; ``trust`` where it was read already.

        Raises:
            ScrapeFileError: a certificate or key cannot be read or used.
        """
        verify = self.trust() if trust is None else trust
        auth = None
        if self.username and self.password_file:
            auth = _PasswordFile(self.username, pathlib.Path(self.password_file))
        return httpx.AsyncClient(timeout=None, trust_env=False, verify=verify, auth=auth)  # noqa: S113 -- the visit has one

    def trust(self) -> ssl.SSLContext | bool:
        """Whom to trust and what to show, as httpx takes it.

        Raises:
            ScrapeFileError: a certificate or key cannot be read or used.
        """
        if not self.ca_file and not self.cert_file:
            return True
        try:
            context = httpx.create_ssl_context(trust_env=False)
            if self.ca_file:
                context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file, password="")
        except (OSError, ValueError) as error:
            message = f"alerter.scrape: {self.ca_file or ''} {self.cert_file or ''} cannot be used: {error}"
            raise ScrapeFileError(" ".join(message.split())) from error
        return context


class _PasswordFile(httpx.Auth):
    """Basic authentication with a password that is read for each request; a name in the URL goes before it."""

    def __init__(self, username: str, password_file: pathlib.Path) -> None:
        self._username = username
        self._password_file = password_file

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Log in."""
        if request.url.username or request.url.password:
            basic = httpx.BasicAuth(request.url.username, request.url.password)
        else:
            try:
                password = self._password_file.read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeError) as error:
                message = f"{self._password_file} cannot be read: {getattr(error, 'strerror', 'not UTF-8')}"
                raise ScrapeError(message) from error
            basic = httpx.BasicAuth(self._username, password)
        yield from basic.auth_flow(request)
