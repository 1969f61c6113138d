"""Where alerts are asked for: an http or https URL, split once into what a request needs and what may be shown."""

import base64
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_REFUSED = "is not an http or https URL with a host (in a name or password, write / : @ as %2F %3A %40)"
"""Without the value: it may hold a password."""
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
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(_REFUSED) from None
    # What a password is and what a path is, only the right place of the @ tells; so it may stand nowhere else.
    astray = "@" in f"{parts.path}{parts.query}{parts.fragment}"
    plain = text.isascii() and text.isprintable() and " " not in text
    if parts.scheme not in _PORTS or not host or not plain or astray:
        raise ValueError(_REFUSED)
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
