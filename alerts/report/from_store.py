"""What the state file says of a period: the alerts that were told, and the mails. Reads only."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence

from alerts.notify.notification import Notification
from alerts.report.facts import AlertFacts, OutboxFacts
from alerts.report.schedule import Period
from alerts.store_records import UnreadableRecordError, load_key, load_notification, load_state
from gpuwarden.units import format_timestamp

_OPENS = frozenset({"first", "lowered"})
_MOST_NAMED = 20


def alert_facts(connection: sqlite3.Connection, period: Period) -> AlertFacts:
    """The alerts that people were told of within ``period``, and what fires now."""
    told = [one for one in _told(connection, period) if one.reason != "report"]
    opened = [one for one in told if one.reason in _OPENS]
    by_rule = Counter(one.alertname for one in opened)
    return AlertFacts(
        count=len(opened),
        by_rule=dict(by_rule.most_common()),
        longest=_longest(told),
        firing=tuple(_firing(connection))[:_MOST_NAMED],
        simulated=any(one.simulated for one in told),
    )


def outbox_facts(connection: sqlite3.Connection, period: Period) -> OutboxFacts:
    """Mails that went out within ``period``, and what waits or is given up now."""
    query = "SELECT count(*) FROM deliveries WHERE state = 'accepted' AND ended_at >= ? AND ended_at < ?"
    sent = connection.execute(query, (period.begin, period.end)).fetchone()[0]
    states = dict(connection.execute("SELECT state, count(*) FROM deliveries GROUP BY state").fetchall())
    waiting = states.get("queued", 0) + states.get("sending", 0)
    return OutboxFacts(sent=sent, waiting=waiting, dead=states.get("dead", 0))


def _told(connection: sqlite3.Connection, period: Period) -> Iterator[Notification]:
    query = "SELECT CAST(document AS BLOB) FROM notifications WHERE at >= ? AND at < ? ORDER BY number"
    for (text,) in connection.execute(query, (period.begin, period.end)):
        try:
            yield load_notification(text)
        except UnreadableRecordError:
            continue  # the store logs it where it is needed


def _longest(told: Sequence[Notification]) -> tuple[float, str] | None:
    """The longest of those that ended, with its words."""
    over = [(one.at - one.started_at, f"{one.alertname} on {one.host}") for one in told if one.reason == "resolved"]
    return max(over, default=None)


def _firing(connection: sqlite3.Connection) -> Iterator[str]:
    """What was told and goes on, the oldest first."""
    found: list[tuple[float, str]] = []
    query = "SELECT CAST(alert AS BLOB), CAST(state AS BLOB) FROM alert_states"
    for key_text, state_text in connection.execute(query):
        try:
            key, state = load_key(key_text), load_state(state_text)
        except UnreadableRecordError:
            continue
        if state.phase == "firing" and state.incident:
            where = state.host or dict(key.labels).get("instance", "")
            gpu = dict(key.labels).get("gpu")
            of_card = f", GPU {gpu}" if gpu else ""
            found.append((state.active_at, f"{key.alertname} on {where}{of_card}"))
    return (f"{words}, since {format_timestamp(since)}" for since, words in sorted(found))
