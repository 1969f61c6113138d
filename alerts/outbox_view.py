"""What ``gpuwarden outbox`` prints: rows as a table, one mail in full, both as JSON. Pure.

Everything that came from outside (subjects, the servers' words) stands on one line without control characters.
"""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from typing import Any, cast

from alerts.clean_text import one_line
from alerts.outbox_rows import QueueRow, StoredMail
from alerts.outcome_words import MEANINGS
from alerts.transport import Outcome
from gpuwarden.units import format_timestamp, format_value

_HEAD = ("ID", "AGE", "STATE", "TRIES", "RECIPIENT", "SUBJECT", "LAST REPLY")
_WIDTHS = (0, 0, 0, 0, 40, 60, 120)
_TEXT_LIMIT = 1000
_WAITING = {"queued": "waiting", "sending": "sending", "accepted": "accepted", "dead": "dead"}


def table(rows: Sequence[QueueRow], now: float) -> Iterator[str]:
    """The lines of a table, the head first; ``now`` in Unix seconds."""
    lines = [_HEAD, *(_cells(row, now) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _cells(row: QueueRow, now: float) -> tuple[str, ...]:
    cells = (
        str(row.id),
        _age(row.queued_at, now),
        _WAITING[row.state],
        str(row.attempts),
        row.recipient,
        row.subject,
        _last(row) or "-",
    )
    return tuple(one_line(cell, width) if width else cell for cell, width in zip(cells, _WIDTHS, strict=True))


def details(mail: StoredMail, now: float) -> Iterator[str]:
    """One mail with all its recipients, line by line."""
    yield f"subject:     {one_line(mail.subject, _TEXT_LIMIT)}"
    yield f"message id:  {mail.message_id}"
    yield f"from:        {mail.envelope_from}"
    yield f"size:        {format_value(float(len(mail.data)), 'bytes')}"
    for row in mail.rows:
        yield ""
        yield f"{row.id}  {one_line(row.recipient, _TEXT_LIMIT)}"
        attempts = f"{row.attempts} attempt{'' if row.attempts == 1 else 's'}"
        yield f"    {_WAITING[row.state]}, {attempts}, decided {_age(row.queued_at, now)} ago"
        if row.state == "queued" and row.next_at > now:
            yield f"    next attempt: {format_timestamp(row.next_at)}"
        if last := _last(row):
            yield f"    {last}"
        if row.state == "dead" and row.outcome in MEANINGS:
            yield f"    that is: {MEANINGS[cast('Outcome', row.outcome)]}"


def as_json(rows: Sequence[QueueRow]) -> str:
    """The rows as a JSON list, one object a line, for scripts."""
    listed = ",\n".join(json.dumps(_document(row)) for row in rows)
    return f"[{listed}]"


def _document(row: QueueRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": _WAITING[row.state],
        "attempts": row.attempts,
        "recipient": row.recipient,
        "subject": row.subject,
        "queued_at": _moment(row.queued_at),
        "next_at": _moment(row.next_at) if row.state == "queued" else None,
        "outcome": row.outcome,
        "reply": row.reply,
        "notification": row.notification_id,
    }


def _last(row: QueueRow) -> str:
    return one_line(f"{row.outcome}: {row.reply}" if row.reply else row.outcome, _TEXT_LIMIT)


def _age(since: float, now: float) -> str:
    return format_value(float(max(round(now - since), 0)), "seconds")


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
