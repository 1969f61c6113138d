"""A web-config file and the files that it names, into how a page is offered."""

import pathlib
from dataclasses import dataclass

from gpuwarden.basic_auth import BasicAuth
from gpuwarden.certificates import CertificateFileError, open_tls
from gpuwarden.documents import Document, DocumentError
from gpuwarden.web_config import WebConfig, load_web_config
from gpuwarden.web_offer import Tls, Web


@dataclass(frozen=True, slots=True)
class Asked:
    """What a web-config file asks for; ``files`` are those that it names."""

    config: WebConfig
    document: Document
    files: tuple[pathlib.Path, ...]

    @classmethod
    def of(cls, path: pathlib.Path) -> "Asked":
        """Read the file alone.

        Raises:
            DocumentError: it is wrong.
        """
        config, document = load_web_config(path)
        settings = config.tls_server_config
        return cls(config, document, tuple(settings.files) if settings else ())

    def offer(self) -> Web:
        """Read the files that it names.

        Raises:
            DocumentError: one of them cannot be used.
        """
        settings = self.config.tls_server_config
        demanded = settings is not None and settings.client_auth_type == "RequireAndVerifyClientCert"
        auth = BasicAuth(self.config.hashes) if self.config.hashes else None
        return Web(self._tls(), auth, tuple(self.config.headers), demanded)

    def _tls(self) -> Tls | None:
        settings = self.config.tls_server_config
        try:
            return open_tls(settings) if settings else None
        except CertificateFileError as error:
            mistake = self.document.mistake(("tls_server_config", error.key), str(error), error.hint)
            raise DocumentError([mistake]) from error
