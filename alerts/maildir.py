"""Delivery into a Maildir (https://cr.yp.to/proto/maildir.html), for machines without a mail server.

A letter's file name derives from its Message-ID and recipient, so delivering it twice leaves one file, even when the
reader has moved the first one from ``new`` to ``cur``.
"""

import asyncio
import hashlib
import os
from pathlib import Path

from alerts.transport import Letter, Reply, SendError


class MaildirTransport:
    """Writes letters below ``folder``, durable before it answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def send(self, letter: Letter) -> Reply:
        """Write ``letter``; raises SendError (``unwritable``) when the disk does not take it."""
        try:
            return await asyncio.to_thread(_deliver, self.folder, letter)
        except OSError as error:
            detail = f"{self.folder} cannot be written: {error.strerror or error}"
            raise SendError(detail, reason="unwritable") from error

    async def close(self) -> None:
        """Nothing is kept open."""


def _deliver(folder: Path, letter: Letter) -> Reply:
    for name in ("tmp", "new", "cur"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    name = _file_name(letter)
    if (folder / "new" / name).exists() or any((folder / "cur").glob(f"{name}*")):
        return Reply(250, f"already in {folder}")
    draft = folder / "tmp" / name
    _write_durably(draft, letter.data.replace(b"\r\n", b"\n"))  # local files have local line ends; mail has CRLF
    draft.rename(folder / "new" / name)
    _sync_folder(folder / "new")
    return Reply(250, f"written to {folder}")


def _file_name(letter: Letter) -> str:
    digest = hashlib.sha256(f"{letter.message_id}\0{letter.recipient}".encode("utf-8", "replace")).hexdigest()
    return f"{digest[:32]}.gpuwarden"


def _write_durably(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
