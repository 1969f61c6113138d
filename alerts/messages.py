"""The second transaction's rows: which notifications still wait for a message, and which message tells of each.

A message stands under the id of one notification; the others of a digest name that one as ``told_in``. Its threads are
those of all the notifications that it tells of.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence

from alerts import deliveries
from alerts.notify.digest import People
from alerts.notify.notification import Notification
from alerts.store_records import dump_notification
from alerts.transport import Message

_LONGEST_HOLD_SECONDS = 9 * 86_400.0
"""No quiet hours last longer, so a later stamp comes from a clock that has been set back since."""

UNTOLD = "n.told_in = '' AND n.id NOT IN (SELECT notification_id FROM messages)"
"""The notifications ``n`` that no message tells of yet."""

_HELD = "(n.held_until > :now AND n.held_until <= :now + :longest)"

WAITING = f"""
    SELECT number, CAST(document AS BLOB) FROM notifications AS n WHERE {UNTOLD} AND (NOT {_HELD} OR EXISTS
    (SELECT 1 FROM notifications AS o WHERE o.root = n.root AND o.number > n.number AND o.held_until <= :now))
    ORDER BY number
"""  # noqa: S608 -- constants
"""No mail of a thread overtakes one that is held: where one goes, those before it go with it."""


def at(now: float) -> Mapping[str, float]:
    """The values of ``WAITING`` at a moment (Unix seconds)."""
    return {"now": now, "longest": _LONGEST_HOLD_SECONDS}


def decide(connection: sqlite3.Connection, notifications: Sequence[Notification]) -> None:
    """Write down notifications, in this order."""
    connection.executemany(
        "INSERT INTO notifications (id, number, root, at, held_until, document)"
        " VALUES (?, (SELECT coalesce(max(number), 0) + 1 FROM notifications), ?, ?, ?, ?)",
        [(item.id, item.root, item.at, item.held_until, dump_notification(item)) for item in notifications],
    )


def held(connection: sqlite3.Connection, now: float) -> tuple[int, float | None]:
    """How many notifications are held at ``now``, and when the first of them may go (Unix seconds)."""
    query = f"SELECT count(*), min(n.held_until) FROM notifications AS n WHERE {UNTOLD} AND {_HELD}"  # noqa: S608 -- constants
    return connection.execute(query, at(now)).fetchone()


def sent_lately(connection: sqlite3.Connection, since: float, now: float) -> dict[People, list[float]]:
    """When (Unix seconds) the messages between ``since`` and ``now`` were put into the outbox, by whom they go to."""
    query = "SELECT notification_id, queued_at, recipient FROM deliveries WHERE queued_at >= ? AND queued_at <= ?"
    found: dict[tuple[str, float], set[str]] = defaultdict(set)
    for notification_id, queued_at, recipient in connection.execute(query, (since, now)):
        found[notification_id, queued_at].add(recipient)
    sent: dict[People, list[float]] = defaultdict(list)
    for (_, queued_at), people in found.items():
        sent[frozenset(people)].append(queued_at)
    return dict(sent)


def insert(
    connection: sqlite3.Connection,
    ids: Sequence[str],
    message: Message,
    recipients: Sequence[str],
    now: float | None = None,
) -> bool:
    """Keep the message that tells of the notifications ``ids``, under the first one's, and queue it; False if it is.

    It is queued at ``now`` (Unix seconds), by default when the first could go. Raises KeyError for a notification
    that was never committed.
    """
    threads = [_thread(connection, identity) for identity in ids]
    root, could_go_at = threads[0]
    row = (ids[0], message.message_id, message.envelope_from, message.subject, message.data, message.payload)
    added = connection.execute(
        "INSERT OR IGNORE INTO messages (notification_id, message_id, envelope_from, subject, data, payload)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        row,
    ).rowcount
    if not added:
        return False
    told_in = [(ids[0], identity) for identity in ids[1:]]
    connection.executemany("UPDATE notifications SET told_in = ? WHERE id = ?", told_in)
    people = tuple(dict.fromkeys(recipients))
    deliveries.insert(connection, ids[0], root, people, could_go_at if now is None else now)
    return True


def message_id(connection: sqlite3.Connection, notification_id: str) -> str | None:
    """The Message-ID of the mail that tells of a notification, None while there is none."""
    query = (
        "SELECT message_id FROM messages WHERE notification_id IN (?, (SELECT told_in FROM notifications WHERE id = ?))"
    )
    row = connection.execute(query, (notification_id, notification_id)).fetchone()
    return row[0] if row else None


def prune(connection: sqlite3.Connection, before: float, kept: frozenset[str]) -> int:
    """Drop what was decided before ``before`` (Unix seconds) and every recipient has; how many.

    A message goes with the last of the notifications that it tells of, and not before the ones in ``kept``.
    """
    query = """
        SELECT id, iif(told_in = '', id, told_in) AS message, at < ? FROM notifications
        WHERE message IN (SELECT notification_id FROM messages)
        AND message NOT IN (SELECT notification_id FROM deliveries WHERE state != 'accepted')"""
    rows = connection.execute(query, (before,)).fetchall()
    staying = {message for identity, message, is_old in rows if not is_old or identity in kept}
    dropped = [(identity,) for identity, message, _ in rows if message not in staying]
    connection.executemany("DELETE FROM notifications WHERE id = ?", dropped)
    return len(dropped)


def _thread(connection: sqlite3.Connection, notification_id: str) -> tuple[str, float]:
    """Its root, and when it could go."""
    query = "SELECT root, max(at, held_until) FROM notifications WHERE id = ?"
    found = connection.execute(query, (notification_id,)).fetchone()
    if found is None:
        raise KeyError(notification_id)
    return found
