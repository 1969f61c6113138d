"""Whom to call while all is well: the ``alerter.heartbeat`` part of the settings."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx

from gpuwarden.errors import GpuwardenError
from gpuwarden.units import Duration, Secret

SHORTEST_INTERVAL = 1.0
_ONE_MINUTE = Duration(60.0)
_ONE_HOUR = Duration(3600.0)
_EXAMPLE = "https://hc-ping.com/..."


class UrlUnreadableError(GpuwardenError, OSError):
    """The file with the URL cannot be used now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatSettings:
    """What a user can set under ``alerter.heartbeat``."""

    url: Secret | None = field(default=None, repr=False)
    """Called while alerts are decided and mails go out, so that a service such as healthchecks.io notices when not."""
    url_file: str | None = None
    """A file that holds only that URL, which is mostly a secret; read at each call."""
    method: Literal["GET", "HEAD", "POST"] = "GET"
    """`GET`, `HEAD` or `POST`."""
    interval: Duration = _ONE_MINUTE
    """How often it is called."""
    withhold_after: Duration = _ONE_HOUR
    """It is not called while a mail has been waiting for longer than this."""

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint). No message holds the URL."""
        if self.url is not None and not is_http_url(self.url):
            yield "url", "is not an http or https URL", _EXAMPLE
        if self.url is not None and self.url_file is not None:
            yield "url_file", "is given beside url", "leave one of them out"
        if self.url_file is not None and not self.url_file.strip():
            yield "url_file", "is empty", "a file that holds only the URL"
        if self.interval < SHORTEST_INTERVAL:
            yield "interval", "must be 1s or longer", "1m"

    @property
    def is_wanted(self) -> bool:
        """Whether anybody is to be called."""
        return self.url is not None or self.url_file is not None

    def read_url(self) -> str:
        """The URL, read anew from its file.

        Raises:
            UrlUnreadableError: the file cannot be read, or holds no URL; the message does not show what it holds.
        """
        if self.url_file is None:
            return self.url or ""
        try:
            url = Path(self.url_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            message = f"heartbeat.url_file {self.url_file} cannot be read: {getattr(error, 'strerror', 'not UTF-8')}"
            raise UrlUnreadableError(message) from error
        if not is_http_url(url):
            message = f"heartbeat.url_file {self.url_file} does not hold an http or https URL"
            raise UrlUnreadableError(message)
        return url


def is_http_url(text: str) -> bool:
    """Whether it can be called."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        return False
    return url.scheme in {"http", "https"} and bool(url.host)
