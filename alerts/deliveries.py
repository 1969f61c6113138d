"""The outbox's rows: one delivery is one message for one recipient.

``queued -> sending -> accepted | queued again | dead``. ``sending`` is committed before the server hears of the mail,
so what a crash leaves as ``sending`` may have been accepted; ``recover`` queues it again, with the same bytes. Every
change names the state it starts from and fails when that is not the row's state. Within one thread and recipient the
mails go in order: RESOLVED is not sent while the mail it answers is on its way.
"""

import sqlite3
from dataclasses import dataclass
from typing import Literal

from alerts.transport import Letter, Outcome, Reply
from gpuwarden.errors import GpuwardenError

DeliveryState = Literal["queued", "sending", "accepted", "dead"]
DELIVERY_STATES: tuple[DeliveryState, ...] = ("queued", "sending", "accepted", "dead")

# A wait is never longer than this (``outbox.wait_after``), so a later stamp comes from a clock that has been set back
# since. What was never tried has nothing to wait for, whatever its stamp says.
_LONGEST_WAIT_SECONDS = 1100.0

_CLAIMABLE = """
    d.state = 'queued' AND NOT EXISTS (
        SELECT 1 FROM deliveries AS earlier
        WHERE earlier.root = d.root AND earlier.recipient = d.recipient AND earlier.id < d.id
        AND earlier.state IN ('queued', 'sending'))
"""


class DeliveryNotClaimedError(GpuwardenError, LookupError):
    """A delivery was settled that is not being sent: two workers have it, or it was settled before."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A claimed delivery; ``attempts`` counts this one, ``queued_at`` is in Unix seconds."""

    id: int
    notification_id: str
    letter: Letter
    attempts: int
    queued_at: float


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


def insert(
    connection: sqlite3.Connection, notification_id: str, root: str, recipients: tuple[str, ...], now: float
) -> None:
    """Queue one delivery for each recipient, due at once."""
    connection.executemany(
        "INSERT INTO deliveries (notification_id, root, recipient, state, queued_at, next_at)"
        " VALUES (?, ?, ?, 'queued', ?, ?)",
        [(notification_id, root, recipient, now, now) for recipient in recipients],
    )


def recover(connection: sqlite3.Connection) -> int:
    """Queue again what was being sent when the last process ended; the number of those."""
    return connection.execute(
        "UPDATE deliveries SET state = 'queued', outcome = 'ambiguous', reply = 'the alerter stopped while sending'"
        " WHERE state = 'sending'"
    ).rowcount


def claim(connection: sqlite3.Connection, now: float) -> Delivery | None:
    """Mark the longest due delivery as being sent; None when nothing is due at ``now`` (Unix seconds)."""
    row = connection.execute(
        "SELECT d.id, d.notification_id, m.message_id, m.envelope_from, d.recipient, m.data, d.attempts, d.queued_at"  # noqa: S608 -- a constant
        " FROM deliveries AS d JOIN messages AS m USING (notification_id)"
        f" WHERE {_CLAIMABLE} AND (d.next_at <= :now OR d.next_at > :now + :longest OR d.attempts = 0)"
        " ORDER BY d.next_at, d.id LIMIT 1",
        {"now": now, "longest": _LONGEST_WAIT_SECONDS},
    ).fetchone()
    if row is None:
        return None
    identity, notification_id, message_id, envelope_from, recipient, data, attempts, queued_at = row
    connection.execute(
        "UPDATE deliveries SET state = 'sending', attempts = attempts + 1 WHERE id = ? AND state = 'queued'",
        (identity,),
    )
    letter = Letter(message_id, envelope_from, recipient, data)
    return Delivery(identity, notification_id, letter, attempts + 1, queued_at)


def next_due(connection: sqlite3.Connection) -> float | None:
    """When the next delivery that can be claimed is due; None when there is none."""
    return connection.execute(f"SELECT min(d.next_at) FROM deliveries AS d WHERE {_CLAIMABLE}").fetchone()[0]  # noqa: S608 -- a constant


def accepted(connection: sqlite3.Connection, delivery: Delivery, reply: Reply, now: float) -> None:
    """The server has taken responsibility."""
    _settle(
        connection,
        delivery,
        "UPDATE deliveries SET state = 'accepted', outcome = 'accepted', reply = ?, ended_at = ?",
        (str(reply), now),
    )


def deferred(connection: sqlite3.Connection, delivery: Delivery, outcome: Outcome, words: str, next_at: float) -> None:
    """Try again at ``next_at``."""
    _settle(
        connection,
        delivery,
        "UPDATE deliveries SET state = 'queued', outcome = ?, reply = ?, next_at = ?",
        (outcome, words, next_at),
    )


def dead(connection: sqlite3.Connection, delivery: Delivery, outcome: Outcome, words: str, now: float) -> None:
    """Give it up, and keep it where people see it."""
    _settle(
        connection,
        delivery,
        "UPDATE deliveries SET state = 'dead', outcome = ?, reply = ?, ended_at = ?",
        (outcome, words, now),
    )


def _settle(connection: sqlite3.Connection, delivery: Delivery, update: str, values: tuple[str | float, ...]) -> None:
    changed = connection.execute(f"{update} WHERE id = ? AND state = 'sending'", (*values, delivery.id)).rowcount
    if changed != 1:
        message = f"delivery {delivery.id} to {delivery.letter.recipient} is not being sent"
        raise DeliveryNotClaimedError(message)


def rows(connection: sqlite3.Connection, limit: int) -> list[QueueRow]:
    """What waits, is being sent or is dead, oldest first, at most ``limit``."""
    found = connection.execute(
        "SELECT d.id, d.notification_id, m.subject, d.recipient, d.state, d.attempts, d.queued_at, d.next_at,"
        " d.outcome, d.reply FROM deliveries AS d JOIN messages AS m USING (notification_id)"
        " WHERE d.state != 'accepted' ORDER BY d.id LIMIT ?",
        (limit,),
    )
    return [QueueRow(*row) for row in found]


def counts(connection: sqlite3.Connection) -> dict[DeliveryState, int]:
    """Deliveries by state; every state is there."""
    found = dict(connection.execute("SELECT state, count(*) FROM deliveries GROUP BY state").fetchall())
    return {state: found.get(state, 0) for state in DELIVERY_STATES}


def oldest_waiting(connection: sqlite3.Connection) -> float | None:
    """When the oldest delivery that is not yet settled was queued (Unix seconds)."""
    query = "SELECT min(queued_at) FROM deliveries WHERE state IN ('queued', 'sending')"
    return connection.execute(query).fetchone()[0]
