"""The state file in figures, for the alerter's own health: what waits in it, and how much room is left."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from alerts import deliveries
from alerts.deliveries import DeliveryState


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFigures:
    """At one moment; times in Unix seconds."""

    deliveries: Mapping[DeliveryState, int]
    oldest_waiting_at: float | None
    uncomposed: int
    """Notifications that were decided, are to be told by now, and have no mail yet."""
    size_bytes: int
    used_ratio: float
    """The part in use of the most that the file may grow to; what was freed in it is not in use."""


def state_figures(connection: sqlite3.Connection, now: float) -> StateFigures:
    """Read all figures; ``now`` in Unix seconds."""
    pages, free = _pragma(connection, "page_count"), _pragma(connection, "freelist_count")
    return StateFigures(
        deliveries=deliveries.counts(connection),
        oldest_waiting_at=deliveries.oldest_waiting(connection),
        uncomposed=_uncomposed(connection, now),
        size_bytes=pages * _pragma(connection, "page_size"),
        used_ratio=(pages - free) / _pragma(connection, "max_page_count"),
    )


def last_accepted(connection: sqlite3.Connection) -> float | None:
    """When the last mail was accepted, of those that are still remembered (Unix seconds)."""
    return connection.execute("SELECT max(ended_at) FROM deliveries WHERE state = 'accepted'").fetchone()[0]


def _uncomposed(connection: sqlite3.Connection, now: float) -> int:
    query = (  # which are without a mail, the indexes alone tell; only those rows are read
        "SELECT count(*) FROM notifications WHERE held_until <= ? AND told_in = ''"
        " AND id IN (SELECT id FROM notifications EXCEPT SELECT notification_id FROM messages)"
    )
    return connection.execute(query, (now,)).fetchone()[0]


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
