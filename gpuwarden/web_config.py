"""The web-config file of Prometheus exporters: TLS, client certificates, basic auth and headers of a page.

1. The format is exporter-toolkit's, so that a file that serves node_exporter serves here. What this server cannot do is
   refused by name and never left out in silence: a client that nobody checks must not be taken for a checked one.
2. Paths are relative to the file. ``http2`` is taken either way: it allows HTTP/2, and HTTP/1.1 is what is spoken.
3. No value of ``basic_auth_users`` is ever printed: where a hash should be, people write passwords. YAML's own words
   about a broken file quote it, so what they quote is left out too.
"""

import pathlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from gpuwarden.documents import Document, DocumentError, Path, nearest, read
from gpuwarden.structure import structure
from gpuwarden.web_offer import one_spelling

ClientAuth = Literal[
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
]
TlsVersion = Literal["TLS10", "TLS11", "TLS12", "TLS13"]
Problem = tuple[str, str, str]
"""Key, message, hint."""

CIPHERS: Mapping[str, str] = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
"""Go's name of a TLS 1.2 cipher suite to OpenSSL's; those of TLS 1.3 cannot be chosen, here or there."""

HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""The headers that may be set, and the values that a header takes where not any will do."""

_ENDINGS = {"cert_file": "pem", "key_file": "key"}
_BCRYPT = re.compile(r"\$2[abxy]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}")
_LOWEST_COST, _HIGHEST_COST = 4, 16
_QUOTED = re.compile(r"'[^'<][^']{3,}'|\"[^\"]{4,}\"")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class TlsServer:
    """``tls_server_config``."""

    cert_file: str | None = None
    key_file: str | None = None
    client_auth_type: ClientAuth = "NoClientCert"
    client_ca_file: str | None = None
    client_allowed_sans: tuple[str, ...] = ()
    min_version: TlsVersion = "TLS12"
    max_version: TlsVersion = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[str, ...] = ()
    cert: Any = None
    key: Any = field(default=None, repr=False)
    client_ca: Any = None

    def problems(self) -> Iterator[Problem]:
        """What the types cannot say."""
        for inline in ("cert", "key", "client_ca"):
            if getattr(self, inline) is not None:
                yield inline, "cannot be given inline", f"put it into a file and write {inline}_file"
        for name in ("cert_file", "key_file"):
            if not getattr(self, name):
                yield name, "is missing: TLS needs a certificate and its key", f"{name}: server.{_ENDINGS[name]}"
        yield from self._client_problems()
        yield from self._version_problems()
        for suite in self.cipher_suites:
            if suite not in CIPHERS:
                hint = nearest(suite, CIPHERS) or f"known here: {', '.join(CIPHERS)}"
                yield "cipher_suites", f"{suite!r} is not offered", hint
        if self.curve_preferences:
            yield "curve_preferences", "cannot be chosen here", "leave it out: OpenSSL's own order is in force"

    def _client_problems(self) -> Iterator[Problem]:
        kind, checked = self.client_auth_type, "VerifyClientCertIfGiven or RequireAndVerifyClientCert"
        if kind in {"RequestClientCert", "RequireAnyClientCert"}:
            yield "client_auth_type", f"{kind} asks for a certificate that nobody checks", f"write {checked}"
        elif kind == "NoClientCert" and self.client_ca_file:
            yield "client_ca_file", "has no effect: no certificate is asked for", f"client_auth_type: {checked}"
        elif kind != "NoClientCert" and not self.client_ca_file:
            yield "client_ca_file", "is missing: who signs the clients' certificates?", "client_ca_file: ca.pem"
        if self.client_allowed_sans and kind != "RequireAndVerifyClientCert":
            message = "needs every client to show a certificate"
            yield "client_allowed_sans", message, "client_auth_type: RequireAndVerifyClientCert"

    def _version_problems(self) -> Iterator[Problem]:
        for name in ("min_version", "max_version"):
            if getattr(self, name) in {"TLS10", "TLS11"}:
                yield name, f"{getattr(self, name)} is broken and not offered", "write TLS12 or TLS13"
        if self.min_version > self.max_version:
            yield "max_version", f"is older than min_version {self.min_version}", ""

    @property
    def files(self) -> tuple[pathlib.Path, ...]:
        """The files that this part names."""
        return tuple(pathlib.Path(name) for name in (self.cert_file, self.key_file, self.client_ca_file) if name)

    @property
    def san_names(self) -> frozenset[str]:
        """The allowed names, an address in one spelling only."""
        return frozenset(map(one_spelling, self.client_allowed_sans))


@dataclass(frozen=True, slots=True)
class HttpServer:
    """``http_server_config``."""

    http2: bool = True
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def problems(self) -> Iterator[Problem]:
        """What the types cannot say."""
        for name, value in self.headers.items():
            allowed = HEADERS.get(name)
            if allowed is None:
                hint = nearest(name, HEADERS) or f"known here: {', '.join(HEADERS)}"
                yield f"headers.{name}", "is not a header that can be set", hint
            elif allowed and value and value.lower() not in allowed:
                yield f"headers.{name}", f"must be {' or '.join(allowed)}", ""
            elif not _PRINTABLE.fullmatch(value):
                yield f"headers.{name}", "must be printable ASCII in one line", ""


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The whole file; made by ``load_web_config``."""

    tls_server_config: TlsServer | None = None
    http_server_config: HttpServer = field(default_factory=HttpServer)
    basic_auth_users: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    rate_limit: Any = None

    def problems(self) -> Iterator[Problem]:
        """What the types cannot say."""
        if self.rate_limit is not None:
            message = "is not offered: one page serves any number of scrapers, and a limit would refuse the right ones"
            yield "rate_limit", message, "leave it out"
        for name, value in self.basic_auth_users.items():
            key = f"basic_auth_users.{name}"
            found = _BCRYPT.fullmatch(value) if isinstance(value, str) else None
            if not name or ":" in name:
                yield "basic_auth_users", f"{name!r} cannot be a user's name", "one that is not empty and has no colon"
            elif found is None:
                yield key, "is not a bcrypt hash", "docs/security.md shows how to make one"
            elif not _LOWEST_COST <= int(found["cost"]) <= _HIGHEST_COST:
                yield key, f"has the cost {found['cost']}", f"from {_LOWEST_COST} to {_HIGHEST_COST}; 10 is usual"

    @property
    def hashes(self) -> dict[str, str]:
        """The bcrypt hash of each user."""
        return {name: str(value) for name, value in self.basic_auth_users.items()}

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers of every answer; a blank one is not sent."""
        chosen = self.http_server_config.headers
        return [(name.lower().encode(), value.encode()) for name, value in chosen.items() if value]


def load_web_config(path: pathlib.Path) -> tuple[WebConfig, Document]:
    """Read a web-config file; the document tells the line of what turns out to be wrong later.

    Raises:
        DocumentError: with every mistake of the file; the files that it names are not looked at.
    """
    document = _read(path)
    config = structure(WebConfig, document)
    mistakes = [document.mistake(where, message, hint) for where, message, hint in _problems(config)]
    if mistakes:
        raise DocumentError(mistakes)
    tls = config.tls_server_config
    return replace(config, tls_server_config=tls and _below(tls, path.parent)), document


def _read(path: pathlib.Path) -> Document:
    try:
        return read(path)
    except DocumentError as error:
        mistakes = [replace(mistake, message=_QUOTED.sub("'...'", mistake.message)) for mistake in error.mistakes]
    raise DocumentError(mistakes)  # outside, so that no traceback has the quoting one as its context


def _problems(config: WebConfig) -> Iterator[tuple[Path, str, str]]:
    parts = {"": config, "tls_server_config": config.tls_server_config, "http_server_config": config.http_server_config}
    for section, part in parts.items():
        for key, message, hint in part.problems() if part else ():
            first, _, rest = key.partition(".")
            yield tuple(filter(None, (section, first, rest))), message, hint


def _below(tls: TlsServer, folder: pathlib.Path) -> TlsServer:
    names = ("cert_file", "key_file", "client_ca_file")
    given = {name: getattr(tls, name) for name in names}
    return replace(tls, **{name: str(folder / value) for name, value in given.items() if value})
