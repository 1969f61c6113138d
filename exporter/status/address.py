"""Where alerts are asked for: an http or https URL, split once into what a request needs and what may be shown."""

import base64
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """``shown`` is the URL without a name and password; ``prefix`` is its path, for a server behind a proxy's path."""

    secure: bool
    host: str
    port: int
    prefix: str
    authorization: str
    shown: str


def parse_url(text: str) -> Address:
    """Split the URL of an alerter or a Prometheus.

    Raises:
        ValueError: it is not an http or https URL with a host.
    """
    parts = urlsplit(text)
    host, port = parts.hostname, parts.port
    if parts.scheme not in _PORTS or not host or not text.isascii() or not text.isprintable() or " " in text:
        message = f"{parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl()!r} is not an http or https URL"
        raise ValueError(message)
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")
    secret = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return Address(
        secure=parts.scheme == "https",
        host=host,
        port=_PORTS[parts.scheme] if port is None else port,
        prefix=parts.path.rstrip("/"),
        authorization=f"Basic {base64.b64encode(secret.encode()).decode()}" if parts.username else "",
        shown=shown,
    )
