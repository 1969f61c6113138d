"""What reports keep in the state file: the hours' sheets, how far was reported, and a report's mail. One row each."""

import json
import math
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import cattrs

from alerts import messages
from alerts.notify.notification import Notification
from alerts.report.tally import CardTally, Sheet
from alerts.transport import Message

_REPORTED = "reported"
_SHEETS = "sheet:"


def row_of(sheet: Sheet) -> tuple[str, str]:
    """A sheet as it is kept."""
    return _name(sheet.begin), dump_sheet(sheet)


def save_sheets(connection: sqlite3.Connection, rows: Iterable[tuple[str, str]]) -> None:
    """Write them down, over what was written of the same hours."""
    connection.executemany("INSERT OR REPLACE INTO tallies VALUES (?, ?)", rows)


def load_sheets(connection: sqlite3.Connection, begin: float, end: float) -> list[Sheet]:
    """Those of the hours that begin from ``begin`` on and before ``end`` (Unix seconds), without unreadable ones."""
    query = "SELECT CAST(document AS BLOB) FROM tallies WHERE name >= ? AND name < ? ORDER BY name"
    rows = connection.execute(query, (_name(begin), _name(end)))
    return [sheet for (text,) in rows if (sheet := _read_sheet(text)) is not None]


def last_sheet(connection: sqlite3.Connection) -> Sheet | None:
    """The latest that was written, None where there is none that can be read."""
    query = "SELECT CAST(document AS BLOB) FROM tallies WHERE name LIKE 'sheet:%' ORDER BY name DESC LIMIT 1"
    row = connection.execute(query).fetchone()
    return _read_sheet(row[0]) if row else None


def prune_sheets(connection: sqlite3.Connection, before: float) -> None:
    """Drop the hours that began before ``before``."""
    connection.execute("DELETE FROM tallies WHERE name >= ? AND name < ?", (_SHEETS, _name(before)))


def reported_until(connection: sqlite3.Connection) -> float | None:
    """Up to when there are reports (Unix seconds), None where there was never one."""
    row = connection.execute("SELECT document FROM tallies WHERE name = ?", (_REPORTED,)).fetchone()
    try:
        return float(row[0]) if row else None
    except ValueError:
        return None


def note_reported(connection: sqlite3.Connection, until: float) -> None:
    """From now on, what was before ``until`` is reported."""
    connection.execute("INSERT OR REPLACE INTO tallies VALUES (?, ?)", (_REPORTED, repr(until)))


def keep_report(
    connection: sqlite3.Connection, report: Notification, message: Message, recipients: Sequence[str], now: float
) -> None:
    """Put a report into the outbox and note that it is: with both in one transaction there is none twice."""
    messages.decide(connection, (report,))
    messages.insert(connection, (report.id,), message, recipients, now)
    note_reported(connection, report.at)


def dump_sheet(sheet: Sheet) -> str:
    """One sheet as JSON."""
    cards = [[*key, cattrs.unstructure(card)] for key, card in sheet.cards.items()]
    models = [[*key, [[repr(bound), count] for bound, count in known.items()]] for key, known in sheet.models.items()]
    times = {"begin": sheet.begin, "since": sheet.since, "until": sheet.until, "watched": sheet.watched}
    marks = {"hosts": sheet.hosts, "simulated": sheet.simulated, "is_full": sheet.is_full}
    return json.dumps({**times, **marks, "cards": cards, "models": models})


def _read_sheet(text: str | bytes) -> Sheet | None:
    """The sheet that ``dump_sheet`` wrote, None where it is damaged: an hour that is missing is told as such."""
    try:
        document: Any = json.loads(text)
        cards = {(one[0], one[1], one[2]): cattrs.structure(one[3], CardTally) for one in document.pop("cards")}
        models = {
            (one[0], one[1]): {float(bound): float(count) for bound, count in one[2]} for one in document.pop("models")
        }
        return Sheet(**document, cards=cards, models=models)
    except Exception:  # noqa: BLE001 -- whatever a damaged text makes the parsers raise
        return None


def _name(begin: float) -> str:
    return f"{_SHEETS}{math.floor(max(begin, 0.0)):012d}"
