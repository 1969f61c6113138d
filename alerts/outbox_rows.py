"""The outbox as people see it: rows to list, and one mail with everybody whom it goes to. Reads only."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from alerts import schema
from alerts.deliveries import DeliveryState
from alerts.store_file import FILE_NAME, StoreUnavailableError, any_text, typed_errors

_COLUMNS = (
    "d.id, d.notification_id, m.subject, d.recipient, d.state, d.attempts, d.queued_at, d.next_at, d.outcome, d.reply"
)
_FROM = f"SELECT {_COLUMNS} FROM deliveries AS d JOIN messages AS m USING (notification_id)"  # noqa: S608 -- a constant


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A delivery as people see it; times in Unix seconds, ``outcome`` and ``reply`` of the last attempt."""

    id: int
    notification_id: str
    subject: str
    recipient: str
    state: DeliveryState
    attempts: int
    queued_at: float
    next_at: float
    outcome: str
    reply: str


@dataclass(frozen=True, slots=True)
class StoredMail:
    """A message with all its deliveries; ``data`` are the bytes that are sent, ``payload`` what commands get."""

    message_id: str
    envelope_from: str
    subject: str
    data: bytes
    payload: bytes
    rows: Sequence[QueueRow]


def unsettled(connection: sqlite3.Connection, limit: int, *, dead_only: bool = False) -> list[QueueRow]:
    """What waits, is being sent or is dead, oldest first, at most ``limit``."""
    states = "('dead')" if dead_only else "('queued', 'sending', 'dead')"
    found = connection.execute(f"{_FROM} WHERE d.state IN {states} ORDER BY d.id LIMIT ?", (limit,))
    return [QueueRow(*row) for row in found]


def mail_of(connection: sqlite3.Connection, delivery_id: int) -> StoredMail | None:
    """The mail of one delivery, None where there is no such delivery."""
    message = connection.execute(
        "SELECT notification_id, message_id, envelope_from, subject, data, payload FROM messages WHERE notification_id"
        " = (SELECT notification_id FROM deliveries WHERE id = ?)",
        (delivery_id,),
    ).fetchone()
    if message is None:
        return None
    rows = connection.execute(f"{_FROM} WHERE d.notification_id = ? ORDER BY d.id", (message[0],))
    return StoredMail(*message[1:], rows=[QueueRow(*row) for row in rows])


def look(folder: Path) -> "closing[sqlite3.Connection]":
    """A connection that can only read the state in ``folder``, also while an alerter works with it.

    Raises:
        StoreUnavailableError: there is none, it cannot be read, or its version is not the one that this code reads.
    """
    path = folder / FILE_NAME
    if not path.exists():
        message = f"there is no state in {folder}: no alerter has run with it yet"
        raise StoreUnavailableError(message)
    with typed_errors(folder):
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
        connection.text_factory = any_text
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version != len(schema.STEPS):
        connection.close()
        message = f"the state in {folder} is of version {version}, this gpuwarden reads {len(schema.STEPS)}: "
        message += "start the alerter once" if version < len(schema.STEPS) else "use the newer one"
        raise StoreUnavailableError(message)
    return closing(connection)
