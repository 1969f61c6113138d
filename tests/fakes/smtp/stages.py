# ruff: noqa: N802, ARG002 -- the names and arguments of hooks are aiosmtpd's
"""How the tests' SMTP server decides: aiosmtpd's hooks, asking the files in its folder at each stage."""

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

STAGES = ("greeting", "ehlo", "auth", "mail", "rcpt", "begin", "data", "recorded", "quit")
_POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Recorded:
    """One mail that the server took responsibility for."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    tls: bool
    user: str | None


def recorded(folder: Path) -> list[Recorded]:
    """What a server (perhaps in another process) has accepted into ``folder``."""
    found = []
    for path in sorted((folder / "mails").glob("*.json")):
        facts = json.loads(path.read_text())
        data = path.with_suffix(".eml").read_bytes()
        found.append(Recorded(facts["sender"], tuple(facts["recipients"]), data, facts["tls"], facts["user"]))
    return found


class Switchboard:
    """What the files in the folder say now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mails = folder / "mails"
        self.mails.mkdir(parents=True, exist_ok=True)

    async def pass_by(self, stage: str) -> None:
        await asyncio.sleep(self.number("slow"))
        marker = self.folder / f"at.{stage}"
        hold = self.folder / f"hold.{stage}"
        if not hold.exists():
            return
        marker.touch()
        try:
            while hold.exists():  # noqa: ASYNC110 -- released from another process
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            marker.unlink(missing_ok=True)

    def number(self, name: str) -> float:
        try:
            return float((self.folder / name).read_text())
        except FileNotFoundError:
            return 0.0

    def hidden(self) -> list[str]:
        return [path.name.removeprefix("hide.") for path in self.folder.glob("hide.*")]

    def reply(self, *keys: str) -> str | None:
        try:
            replies = json.loads((self.folder / "replies.json").read_text())
        except FileNotFoundError:
            return None
        return next((replies[key] for key in keys if key in replies), None)

    def record(self, session: Session, envelope: Envelope, *, tls: bool) -> None:
        number = sum(1 for _ in self.mails.glob("*.json")) + 1
        (self.mails / f"{number:04}.eml").write_bytes(envelope.original_content)
        facts = {
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "tls": tls,
            "user": session.auth_data.login.decode() if session.auth_data else None,
        }
        draft = self.mails / f"{number:04}.tmp"
        draft.write_text(json.dumps(facts))
        draft.rename(self.mails / f"{number:04}.json")


class Handler:
    """aiosmtpd's hooks: each waits where told to, then says what was scripted or what is right."""

    def __init__(self, board: Switchboard) -> None:
        self.board = board

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        await self.board.pass_by("ehlo")
        session.host_name = hostname
        scripted = self.board.reply("ehlo")
        hidden = self.board.hidden()
        return [scripted] if scripted else [line for line in responses if line[4:].split()[0] not in hidden]

    async def handle_MAIL(self, server, session, envelope, address, options):
        scripted = await self._scripted(server, "mail")
        if scripted:
            return scripted
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        scripted = await self._scripted(server, f"rcpt:{address}", "rcpt")
        if scripted:
            return scripted
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        scripted = await self._scripted(server, "data")
        if scripted:
            return scripted
        self.board.record(session, envelope, tls=server.transport.get_extra_info("sslcontext") is not None)
        return await self._scripted(server, "recorded") or "250 2.0.0 queued"

    async def handle_QUIT(self, server, session, envelope):
        return await self._scripted(server, "quit") or "221 bye"

    async def _scripted(self, server, *keys):
        for key in keys:
            await self.board.pass_by(key)
        reply = self.board.reply(*keys)
        if reply == "drop":
            server.transport.abort()
        return reply


class Protocol(SMTP):
    """aiosmtpd with the two places that have no hook: the greeting, and DATA before its 354."""

    board: Switchboard
    connections: set[asyncio.BaseTransport]
    mine: list[asyncio.BaseTransport]
    user: str
    password: str
    count_login: Callable[[], None]

    def connection_made(self, transport):
        super().connection_made(transport)
        self.connections.add(transport)
        self.mine.append(transport)  # STARTTLS makes a second one

    def connection_lost(self, error):
        self.connections.difference_update(self.mine)
        super().connection_lost(error)

    async def push(self, status):
        if isinstance(status, str) and status.endswith("ESMTP test"):
            try:
                await self.board.pass_by("greeting")
            except asyncio.CancelledError:  # the client has left; aiosmtpd closes only after its greeting
                self.transport.close()
                raise
            status = self.board.reply("greeting") or status
            if status == "drop":
                self.transport.abort()
                return
        await self._write(status if isinstance(status, bytes) else status.encode())

    async def _write(self, reply):
        """Send one reply, in the pieces that were asked for."""
        line = reply + b"\r\n"
        pause = self.board.number("trickle")
        halves = (line[: len(line) // 2], line[len(line) // 2 :]) if self.board.number("split") else (line,)
        for piece in (line[index : index + 1] for index in range(len(line))) if pause else halves:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(pause or self.board.number("split"))

    async def auth_XOAUTH2(self, server, args):
        """The token is the password; a wrong one is told in a challenge, as Gmail does."""
        self.count_login()
        user, _, rest = base64.b64decode(args[1]).decode().partition("\x01")
        if (user, rest) == (f"user={self.user}", f"auth=Bearer {self.password}\x01\x01"):
            return AuthResult(success=True, auth_data=LoginPassword(self.user.encode(), b""))
        self.challenge_answer = await self.challenge_auth('{"status":"400","schemes":"Bearer","scope":"https://mail/"}')
        return AuthResult(success=False, handled=False)

    async def smtp_DATA(self, arg):
        await self.board.pass_by("begin")
        reply = self.board.reply("begin")
        if reply == "drop":
            self.transport.abort()
        elif reply:
            await self.push(reply)
        else:
            await super().smtp_DATA(arg)
