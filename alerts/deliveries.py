"""The outbox's rows: one delivery is one message for one recipient.

``queued -> sending -> accepted | queued again | dead``. ``sending`` is committed before the server hears of the mail,
so what a crash leaves as ``sending`` may have been accepted; ``recover`` queues it again, with the same bytes. Every
change names the state it starts from and fails when that is not the row's state. Within one thread and recipient the
mails go in order: RESOLVED is not sent while the mail it answers is on its way. A digest is in the threads of all that
it tells of.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from alerts.channels import EVERYTHING, Channel
from alerts.transport import Letter, Outcome, Reply
from gpuwarden.errors import GpuwardenError

DeliveryState = Literal["queued", "sending", "accepted", "dead"]
DELIVERY_STATES: tuple[DeliveryState, ...] = ("queued", "sending", "accepted", "dead")

# A wait is never longer than this (``outbox.wait_after``), so a later stamp comes from a clock that has been set back
# since. What was never tried has nothing to wait for, whatever its stamp says.
_LONGEST_WAIT_SECONDS = 1100.0

_CLAIMABLE = """
    d.state = 'queued' AND NOT EXISTS (
        SELECT 1 FROM notifications AS own
        JOIN notifications AS kin ON kin.root = own.root
        JOIN deliveries AS earlier ON earlier.notification_id IN (kin.id, kin.told_in)
        WHERE (own.id = d.notification_id OR own.told_in = d.notification_id)
        AND earlier.recipient = d.recipient AND earlier.id < d.id AND earlier.state IN ('queued', 'sending'))
"""


class DeliveryNotClaimedError(GpuwardenError, LookupError):
    """A delivery was settled that is not being sent: two workers have it, or it was settled before."""


class NoSuchDeliveryError(GpuwardenError, LookupError):
    """Somebody asked for deliveries that are not there, or not in a state in which that can be done."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A claimed delivery; ``attempts`` counts this one, ``queued_at`` is in Unix seconds."""

    id: int
    notification_id: str
    letter: Letter
    attempts: int
    queued_at: float


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


def claim(connection: sqlite3.Connection, now: float, channel: Channel = EVERYTHING) -> Delivery | None:
    """Mark the longest due delivery as being sent; None when nothing is due at ``now`` (Unix seconds)."""
    row = connection.execute(
        "SELECT d.id, d.notification_id, m.message_id, m.envelope_from, d.recipient, m.data, m.payload, d.attempts,"  # noqa: S608 -- constants
        " d.queued_at FROM deliveries AS d JOIN messages AS m USING (notification_id)"
        f" WHERE {_CLAIMABLE} AND {channel.condition}"
        " AND (d.next_at <= :now OR d.next_at > :now + :longest OR d.attempts = 0)"
        " ORDER BY d.next_at, d.id LIMIT 1",
        {"now": now, "longest": _LONGEST_WAIT_SECONDS, **channel.values},
    ).fetchone()
    if row is None:
        return None
    identity, notification_id, *parts, attempts, queued_at = row
    connection.execute(
        "UPDATE deliveries SET state = 'sending', attempts = attempts + 1 WHERE id = ? AND state = 'queued'",
        (identity,),
    )
    return Delivery(identity, notification_id, Letter(*parts), attempts + 1, queued_at)


def next_due(connection: sqlite3.Connection, channel: Channel = EVERYTHING) -> float | None:
    """When the next delivery that can be claimed is due; None when there is none."""
    row = connection.execute(
        f"SELECT d.next_at FROM deliveries AS d WHERE {_CLAIMABLE} AND {channel.condition} ORDER BY d.next_at LIMIT 1",  # noqa: S608 -- constants
        dict(channel.values),
    ).fetchone()
    return row[0] if row else None


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


def retry(connection: sqlite3.Connection, ids: Sequence[int] | None, now: float) -> int:
    """Make ``ids`` due at ``now``, dead or waiting; every dead one for None. A dead one has all its time again.

    Raises NoSuchDeliveryError when one of ``ids`` is neither; then nothing is changed.
    """
    _check(connection, ids)
    revived = connection.execute(
        "UPDATE deliveries SET state = 'queued', attempts = 0, queued_at = :now, next_at = :now, ended_at = NULL"  # noqa: S608 -- numbers
        f" WHERE state = 'dead' AND {_among(ids)}",
        {"now": now},
    ).rowcount
    if ids is None:
        return revived
    waiting = f"UPDATE deliveries SET next_at = :now WHERE state = 'queued' AND next_at > :now AND {_among(ids)}"  # noqa: S608 -- numbers
    connection.execute(waiting, {"now": now})
    return len(set(ids))


def drop(connection: sqlite3.Connection, ids: Sequence[int] | None) -> int:
    """Forget ``ids``, dead or waiting; every dead one for None. Raises NoSuchDeliveryError as ``retry`` does."""
    _check(connection, ids)
    states = "('dead')" if ids is None else "('dead', 'queued')"
    return connection.execute(f"DELETE FROM deliveries WHERE state IN {states} AND {_among(ids)}").rowcount  # noqa: S608 -- numbers


def _check(connection: sqlite3.Connection, ids: Sequence[int] | None) -> None:
    found: dict[int, str] = dict(
        connection.execute(f"SELECT id, state FROM deliveries WHERE {_among(ids or ())}").fetchall()  # noqa: S608 -- numbers
    )
    for identity in ids or ():
        state = found.get(identity)
        if state not in {"dead", "queued"}:
            words = {None: "is not in the outbox", "sending": "is being sent now", "accepted": "was accepted"}[state]
            message = f"mail {identity} {words}; nothing was changed"
            raise NoSuchDeliveryError(message)


def _among(ids: Sequence[int] | None) -> str:
    return "TRUE" if ids is None else f"id IN ({', '.join(str(int(identity)) for identity in ids)})"


def counts(connection: sqlite3.Connection) -> dict[DeliveryState, int]:
    """Deliveries by state; every state is there."""
    found = dict(connection.execute("SELECT state, count(*) FROM deliveries GROUP BY state").fetchall())
    return {state: found.get(state, 0) for state in DELIVERY_STATES}


def oldest_waiting(connection: sqlite3.Connection) -> float | None:
    """When the oldest delivery that is not yet settled was queued (Unix seconds)."""
    query = "SELECT min(queued_at) FROM deliveries WHERE state IN ('queued', 'sending')"
    return connection.execute(query).fetchone()[0]
