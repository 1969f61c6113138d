"""``gpuwarden mail report``: a report on the time until now, from the state file of an alerter that may be running."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from urllib.parse import quote

from alerts.delivery import transport_for
from alerts.mail_settings import split_address
from alerts.mail_trial import send_now
from alerts.notify.due import random_id
from alerts.report.compose import compose_report, report_notification, report_text
from alerts.report.facts import AlertFacts, OutboxFacts, Readings, ReportFacts
from alerts.report.gather import readings, stored_facts
from alerts.report.schedule import Period
from alerts.report.tally import SHEET_SECONDS, Sheet
from alerts.report.view import report_view
from alerts.settings import AlerterSettings
from alerts.store import FILE_NAME


def run_mail_report(settings: AlerterSettings, over: float, echo: Callable[[str], None], *, send: bool) -> int:
    """Print the report on the last ``over`` seconds, or mail it now; the exit status."""
    now = time.time()
    period = Period(now - over, now)
    try:
        facts, sheets = _stored(settings, period)
    except sqlite3.Error as error:
        echo(f"the state in {settings.state_folder} cannot be read: {error}")
        return 1
    url = settings.prometheus.url
    facts = replace(facts, readings=asyncio.run(readings(period, url, facts.readings, sheets)))
    view = report_view(facts, settings.report.tariff)
    if not send:
        echo(report_text(view).rstrip("\n"))
        return 0
    recipients = tuple(one for one in settings.report.to or settings.recipients if split_address(one))
    report = report_notification(facts, view, random_id(), recipients)
    message = compose_report(report, view, settings.delivery)
    ways = {"": transport_for(settings.delivery, settings.state_folder)}
    return send_now(message, recipients, ways, echo)


def _stored(settings: AlerterSettings, period: Period) -> tuple[ReportFacts, list[Sheet]]:
    """Only read, so that a running alerter is not disturbed."""
    file = settings.state_folder / FILE_NAME
    if not file.exists():
        missing = (f"No alerter has worked in {settings.state_folder} yet.",)
        return (
            ReportFacts(period=period, readings=Readings(missing=missing), alerts=AlertFacts(), outbox=OutboxFacts()),
            [],
        )
    with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as connection:
        return stored_facts(connection, period, slack=SHEET_SECONDS)
