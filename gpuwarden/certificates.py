"""The server's side of TLS: a context from files, and until when its certificate is valid."""

import datetime as dt
import pathlib
import re
import ssl
from collections.abc import Iterator

from gpuwarden.errors import UserInputError
from gpuwarden.web_config import CIPHERS, TlsServer
from gpuwarden.web_offer import Tls

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_VERIFY = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_SEQUENCE, _UTC_TIME = 0x30, 0x17
_BEFORE_1950 = 50
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\n.*?-----END CERTIFICATE-----\n?", re.DOTALL)


class CertificateFileError(UserInputError, ValueError):
    """A certificate, key or CA file cannot be used; ``key`` is the key that names it."""

    def __init__(self, message: str, key: str, hint: str = "") -> None:
        super().__init__(message)
        self.key, self.hint = key, hint


def open_tls(settings: TlsServer) -> Tls:
    """Read the files into a context for new connections.

    Raises:
        CertificateFileError: a file cannot be read or used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.min_version]
    context.maximum_version = _VERSIONS[settings.max_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    if not settings.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if settings.cipher_suites:
        context.set_ciphers(":".join(CIPHERS[suite] for suite in settings.cipher_suites))
    context.set_alpn_protocols(["http/1.1"])
    certificate = _load_chain(context, str(settings.cert_file), str(settings.key_file))
    if settings.client_ca_file:
        _load_ca(context, settings.client_ca_file)
        context.verify_mode = _VERIFY[settings.client_auth_type]
    try:
        not_before, not_after = validity(certificate)
    except (ValueError, IndexError) as error:
        message = f"{settings.cert_file} has dates that cannot be read"
        raise CertificateFileError(message, "cert_file") from error
    return Tls(context, not_before, not_after, settings.san_names)


def validity(pem: str) -> tuple[dt.datetime, dt.datetime]:
    """From when until when the first certificate of a PEM text is valid (RFC 5280, section 4.1.2.5).

    Python's ssl reads this of a peer's certificate only, not of one's own.

    Raises:
        ValueError, IndexError: it is not a certificate.
    """
    (_, certificate), *_ = _parts(ssl.PEM_cert_to_DER_cert(_BLOCK.findall(pem)[0]))
    (_, signed), *_ = _parts(certificate)
    fields = [content for tag, content in _parts(signed) if tag == _SEQUENCE]
    begun, ended = (_time(tag, content) for tag, content in _parts(fields[2]))  # after signature and issuer
    return begun, ended


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of a DER sequence: (tag, content); long-form tags do not occur in what we walk."""
    at = 0
    while at < len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(der[at : at + size], "big")
            at += size
        yield tag, der[at : at + length]
        at += length


def _time(tag: int, content: bytes) -> dt.datetime:
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        text = ("20" if int(text[:2]) < _BEFORE_1950 else "19") + text
    return dt.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=dt.UTC)


def _load_chain(context: ssl.SSLContext, cert_file: str, key_file: str) -> str:
    certificate = _text("cert_file", cert_file)
    if not _BLOCK.search(certificate):
        message = f"{cert_file} is not a PEM certificate"
        raise CertificateFileError(message, "cert_file")
    _check_key(key_file)
    try:
        context.load_cert_chain(cert_file, key_file, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            message = f"{key_file} does not belong to {cert_file}"
            raise CertificateFileError(message, "key_file") from error
        message = f"{cert_file} and {key_file} cannot be used: {error.reason or 'not PEM'}"
        raise CertificateFileError(message, "cert_file") from error
    except OSError as error:
        message = f"{cert_file} cannot be read: {error.strerror}"
        raise CertificateFileError(message, "cert_file") from error
    return certificate


def _check_key(key_file: str) -> None:
    key = _text("key_file", key_file)
    if "PRIVATE KEY-----" not in key:
        message = f"{key_file} is not a PEM private key"
        raise CertificateFileError(message, "key_file")
    if "ENCRYPTED" in key:
        message = f"{key_file} needs a passphrase, and nobody is there to type it"
        hint = "protect it by its file mode instead: openssl pkey -in old.key -out new.key"
        raise CertificateFileError(message, "key_file", hint)


def _load_ca(context: ssl.SSLContext, ca_file: str) -> None:
    authorities = "".join(_BLOCK.findall(_text("client_ca_file", ca_file)))
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        message = f"{ca_file} holds no PEM certificate"
        raise CertificateFileError(message, "client_ca_file") from error


def _text(key: str, name: str) -> str:
    try:
        return pathlib.Path(name).read_text(encoding="latin-1")  # text around the PEM blocks may be in any encoding
    except OSError as error:
        message = f"{name} cannot be read: {error.strerror}"
        raise CertificateFileError(message, key) from error
