"""Everything that a report tells, from where it is: the state file, and Prometheus where there is one."""

import sqlite3
from collections.abc import Sequence

from alerts.report.facts import Readings, ReportFacts
from alerts.report.from_prometheus import ask_prometheus
from alerts.report.from_store import alert_facts, outbox_facts
from alerts.report.from_tallies import readings_of
from alerts.report.records import load_sheets
from alerts.report.schedule import Period
from alerts.report.tally import Sheet


def stored_facts(connection: sqlite3.Connection, period: Period, slack: float = 0.0) -> tuple[ReportFacts, list[Sheet]]:
    """What the state file knows; sheets may begin ``slack`` seconds before ``period``."""
    sheets = load_sheets(connection, period.begin - slack, period.end)
    facts = ReportFacts(
        period=period,
        readings=readings_of(sheets, period),
        alerts=alert_facts(connection, period),
        outbox=outbox_facts(connection, period),
    )
    return facts, sheets


async def readings(period: Period, url: str | None, own: Readings, sheets: Sequence[Sheet]) -> Readings:
    """What Prometheus at ``url`` says, else what the alerter read itself (``own``, of ``sheets``)."""
    if url is None:
        return own
    asked = await ask_prometheus(url, period)
    return own if sheets and not asked.cards else asked
