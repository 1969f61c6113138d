# ruff: noqa: ARG002 -- the arguments of hooks are aiosmtpd's
"""A real SMTP server (aiosmtpd) that does what a test asks, in a thread of the test or as a process of its own.

Everything is steered and seen through files in ``folder``, so that a test of other processes needs no connection to it:

- ``mails/0001.eml`` and ``0001.json``: the bytes of an accepted mail as they came, and its envelope;
- ``hold.STAGE``: while it exists, the server does not go past STAGE; ``at.STAGE`` exists while it waits there;
  ``rcpt:ADDRESS`` is a stage of its own;
- ``slow``: seconds to wait at each stage; ``trickle``: seconds to wait after each byte of a reply; ``split``: seconds
  between the two halves of each reply; ``hide.WORD``: an extension that is not offered;
- ``replies.json``: ``{"STAGE": "451 later", "rcpt:bob@example.com": "550 no such user", "data": "drop"}``; read anew
  each time; ``drop`` hangs up without a word.

Stages, in order: greeting, ehlo, auth, mail, rcpt, begin (DATA before 354), data (the dot has come, nothing recorded),
recorded (before the 250), quit (after the 250).

As a process: ``python -m tests.fakes.smtp.server --folder DIR --port-file FILE [--security starttls --user me ...]``
"""

import argparse
import asyncio
import datetime as dt
import json
import signal
import ssl
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from tests.fakes.smtp.stages import STAGES, Handler, Protocol, Recorded, Switchboard, recorded
from tests.polling import wait_until

__all__ = ["Recorded", "SmtpServer", "recorded"]


class SmtpServer:
    """A server on a free port of 127.0.0.1 for the time of a ``with`` block.

    Args:
        folder: see the module's docstring; made when it is not there.
        security: ``starttls`` (nothing works without it), ``tls``, ``none``, or ``stripped``: starttls is not offered.
        user: with ``password``: who may log in, and then nobody else may send.
        methods: login methods on offer, of ``PLAIN``, ``LOGIN`` and ``XOAUTH2`` (where the password is the token).
        name: the host name in the certificate.
        expired: whether the certificate's time is over.
        address: where to listen; another than loopback only in a container of its own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        security: str = "none",
        user: str | None = None,
        password: str = "",
        methods: tuple[str, ...] = ("PLAIN", "LOGIN"),
        name: str = "127.0.0.1",
        expired: bool = False,
        address: str = "127.0.0.1",
    ) -> None:
        self.folder = folder
        self.security = security
        self.user, self.password = user, password
        self.methods = methods
        self.address = address
        self.board = Switchboard(folder)
        self.port = 0
        self.attempts_to_log_in = 0
        self._connections: set[asyncio.BaseTransport] = set()
        self._tls = self._certificate(name, expired=expired) if security in {"starttls", "tls"} else None
        self._thread = threading.Thread(target=self._serve, name="fake smtp", daemon=True)
        self._started = threading.Event()

    @property
    def ca_file(self) -> Path:
        """The certificate of the authority that a client must trust."""
        return self.folder / "ca.pem"

    def _certificate(self, name: str, *, expired: bool) -> ssl.SSLContext:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
        authority.issue_cert(name, not_after=yesterday if expired else None).configure_cert(context)
        return context

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        if not self._started.wait(10):
            message = "the fake SMTP server did not start"
            raise TimeoutError(message)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _protocol(self) -> SMTP:
        protocol = Protocol(
            Handler(self.board),
            hostname="mail.test",
            ident="ESMTP test",
            data_size_limit=1_000_000,
            tls_context=self._tls if self.security == "starttls" else None,
            require_starttls=self.security == "starttls",
            authenticator=self._authenticate if self.user is not None else None,
            auth_required=self.user is not None,
            auth_exclude_mechanism={"PLAIN", "LOGIN", "XOAUTH2"} - set(self.methods),
            loop=self._loop,
        )
        protocol.board, protocol.connections, protocol.mine = self.board, self._connections, []
        protocol.user, protocol.password, protocol.count_login = self.user, self.password, self._count_login
        # Not by the constructor, which warns: that plain logins are unwise is for our client to know.
        protocol._auth_require_tls = self.security == "starttls"
        return protocol

    def _authenticate(self, server, session, envelope, mechanism, data) -> AuthResult:
        self._count_login()
        scripted = self.board.reply("auth")
        if scripted:
            return AuthResult(success=False, handled=False, message=scripted)
        right = LoginPassword(self.user.encode(), self.password.encode())
        return AuthResult(success=data == right, handled=False, auth_data=data)

    def _count_login(self) -> None:
        self.attempts_to_log_in += 1

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        context = self._tls if self.security == "tls" else None
        server = self._loop.run_until_complete(
            self._loop.create_server(self._protocol, self.address, self.port, ssl=context)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._hang_up())
        self._loop.close()

    async def _hang_up(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self._connections:
            connection.abort()
        await asyncio.sleep(0.01)  # the loop closes the sockets in its next turns

    def hold(self, stage: str) -> None:
        """Stop before ``stage`` (or ``rcpt:ADDRESS``) until ``release``."""
        assert stage.partition(":")[0] in STAGES
        (self.folder / f"hold.{stage}").touch()

    def release(self, stage: str) -> None:
        """Go on."""
        (self.folder / f"hold.{stage}").unlink(missing_ok=True)

    def slow_down(self, seconds: float) -> None:
        """Wait so long at each stage from now on."""
        (self.folder / "slow").write_text(str(seconds))

    def trickle(self, seconds: float) -> None:
        """Wait so long after each byte of a reply from now on."""
        (self.folder / "trickle").write_text(str(seconds))

    def split(self, seconds: float) -> None:
        """Send each reply in two halves from now on, so far apart."""
        (self.folder / "split").write_text(str(seconds))

    def hide(self, extension: str) -> None:
        """Do not offer ``extension`` from now on."""
        (self.folder / f"hide.{extension}").touch()

    def behave(self) -> None:
        """Undo all of that."""
        self.script()
        for path in (*self.folder.glob("hold.*"), *self.folder.glob("hide.*")):
            path.unlink()
        for name in ("slow", "trickle", "split"):
            (self.folder / name).unlink(missing_ok=True)

    def wait_at(self, stage: str, seconds: float = 10.0) -> None:
        """Return once a client waits at ``stage``."""
        wait_until((self.folder / f"at.{stage}").exists, seconds, f"no client came to {stage}")

    def wait_idle(self, seconds: float = 10.0) -> None:
        """Return once no client is connected."""
        wait_until(lambda: not self._connections, seconds, "a client is still connected")

    def script(self, **replies: str) -> None:
        """Answer so from now on; ``rcpt`` keys with an address are given as ``**{"rcpt:a@b": ...}``."""
        draft = self.folder / "replies.tmp"
        draft.write_text(json.dumps(replies))
        draft.rename(self.folder / "replies.json")

    def mails(self) -> list[Recorded]:
        """Everything accepted so far, in order."""
        return recorded(self.folder)

    def wait_mails(self, count: int, seconds: float = 10.0) -> list[Recorded]:
        """Everything accepted, once there are at least ``count``."""
        wait_until(lambda: len(self.mails()) >= count, seconds, f"fewer than {count} mails came")
        return self.mails()


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="The tests' SMTP server as a process.")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--security", choices=("none", "starttls", "tls", "stripped"), default="none")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--name", default="127.0.0.1")
    parser.add_argument("--expired", action="store_true")
    parser.add_argument("--address", default="127.0.0.1")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    server = SmtpServer(
        folder,
        **{key: getattr(options, key) for key in ("security", "user", "password", "name", "expired", "address")},
    )
    server.port = options.port
    with server:
        draft = options.port_file.with_suffix(".tmp")
        draft.write_text(str(server.port))
        draft.rename(options.port_file)
        with suppress(InterruptedError):
            signal.sigwait(stop)


if __name__ == "__main__":
    main()
