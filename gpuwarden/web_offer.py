"""How a page is offered to those who come: what the server needs to know at each connection and request.

It stands apart from what reads it from files, so that a page without a web-config file loads none of that.
"""

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from typing import Any

from gpuwarden.basic_auth import BasicAuth


@dataclass(frozen=True, slots=True)
class Tls:
    """What a connection is opened with."""

    context: ssl.SSLContext
    not_before: dt.datetime
    not_after: dt.datetime
    san_names: frozenset[str]
    """Names of which a client's certificate must have one; empty when any will do."""

    def admits(self, certificate: Any) -> bool:
        """Whether a verified client's certificate, as ``ssl`` tells it, has a name that is allowed."""
        names: Any = certificate.get("subjectAltName", ()) if certificate else ()
        return not self.san_names or any(one_spelling(name) in self.san_names for _, name in names)


@dataclass(frozen=True, slots=True)
class Web:
    """How a page is offered."""

    tls: Tls | None = None
    auth: BasicAuth | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    client_certificates: bool = False
    """Whether every client must show a certificate."""


def one_spelling(name: str) -> str:
    """A subject alternative name as it is compared: an address as ``ipaddress`` writes it, anything else as it is."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
