"""The rows of alerts that come and go; each function works on a connection within the caller's transaction."""

import sqlite3
from collections.abc import Mapping

from alerts.notify.flap import Flap
from alerts.state import AlertKey
from alerts.store_records import dump_flap, dump_key


def write(connection: sqlite3.Connection, flaps: Mapping[AlertKey, Flap | None]) -> None:
    """Remember these, and forget those of None."""
    for key, flap in flaps.items():
        if flap is None:
            connection.execute("DELETE FROM flaps WHERE alert = ?", (dump_key(key),))
        else:
            connection.execute("INSERT OR REPLACE INTO flaps VALUES (?, ?)", (dump_key(key), dump_flap(flap)))


def rows(connection: sqlite3.Connection) -> list[tuple[bytes, bytes]]:
    """All of them as they stand there: (alert, document)."""
    return connection.execute("SELECT CAST(alert AS BLOB), CAST(document AS BLOB) FROM flaps").fetchall()
