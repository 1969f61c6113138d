"""Certificates, passwords and a web-config file for the e2e tests, and HTTP clients to go with them."""

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import httpx
import trustme

from tests.e2e.running import Running, exporter, write

PASSWORD = "open sesame"
COST = 6


class Secrets:
    """A folder with a certificate authority, a server's certificate for loopback, and a web-config file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(folder / "ca.pem")
        self.issue()

    def issue(self, authority: trustme.CA | None = None, **dates: object) -> None:
        """Write a new certificate and key in the place of the old ones."""
        made = (authority or self.authority).issue_cert("localhost", "127.0.0.1", **dates)
        made.private_key_pem.write_to_path(self.folder / "server.key")
        (self.folder / "server.pem").write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))

    def config(self, *, tls: bool = True, auth: bool = True, more: str = "", users: str = "alice") -> Path:
        """Write web.yml; ``more`` goes into the TLS section."""
        text = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n" + more if tls else ""
        if auth:
            hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(COST)).decode()
            text += f"basic_auth_users:\n  {users}: {hashed}\n"
        return write(self.folder / "web.yml", text or "{}\n")

    def client_pem(self, name: str, authority: trustme.CA | None = None) -> Path:
        """A client's certificate with its key in one file."""
        made = (authority or self.authority).issue_cert(name)
        path = self.folder / f"{name}.pem"
        path.write_bytes(made.private_key_and_cert_chain_pem.bytes())
        return path

    def trust(self, client: Path | None = None) -> ssl.SSLContext:
        """What a client goes by: our authority, and its own certificate where it has one."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if client:
            context.load_cert_chain(client)
        return context

    def get(self, url: str, path: str = "/metrics", *, auth: tuple[str, str] | None = None, client: Path | None = None):
        """The answer over a connection of its own."""
        with httpx.Client(verify=self.trust(client), trust_env=False, timeout=5) as http:
            return http.get(f"{url}{path}", auth=auth)


@contextlib.contextmanager
def serving(secrets: Secrets, *arguments: str) -> Iterator[tuple[Running, str]]:
    """The real exporter with the web-config file, and its URL."""
    web = ("--web-config", str(secrets.folder / "web.yml"))
    with exporter(secrets.folder, None, "--demo", *web, *arguments) as process:
        yield process, process.wait_for(r"listening on (https?://\S+)").group(1)
