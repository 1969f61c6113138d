"""``gpuwarden mail report``: a report on the time until now, from the state file of an alerter that may be running."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from alerts.delivery import transport_for
from alerts.mail_settings import split_address
from alerts.mail_trial import send_now
from alerts.notify.due import random_id
from alerts.outbox_rows import look
from alerts.report.compose import compose_report, report_notification, report_text
from alerts.report.facts import AlertFacts, OutboxFacts, Readings, ReportFacts
from alerts.report.gather import readings, stored_facts
from alerts.report.schedule import Period
from alerts.report.tally import SHEET_SECONDS, Sheet
from alerts.report.view import report_view
from alerts.settings import AlerterSettings
from alerts.store_file import FILE_NAME, typed_errors


def run_mail_report(settings: AlerterSettings, over: float, echo: Callable[[str], None], *, send: bool) -> int:
    """Print the report on the last ``over`` seconds, or mail it now; the exit status.

    Raises:
        StoreUnavailableError: the state cannot be read.
    """
    now = time.time()
    period = Period(now - over, now)
    facts, sheets = _stored(settings.state_folder, period)
    url = settings.prometheus.url
    facts = replace(facts, readings=asyncio.run(readings(period, url, facts.readings, sheets)))
    view = report_view(facts, settings.report.tariff, alive=False)
    if not send:
        echo(report_text(view).rstrip("\n"))
        return 0
    recipients = tuple(one for one in settings.reported_to if split_address(one))
    report = report_notification(facts, view, random_id(), recipients)
    message = compose_report(report, view, settings.delivery)
    ways = {"": transport_for(settings.delivery, settings.state_folder)}
    return send_now(message, recipients, ways, echo)


def _stored(folder: Path, period: Period) -> tuple[ReportFacts, list[Sheet]]:
    """Only read, so that a running alerter is not disturbed; where none has run yet, Prometheus may still know much."""
    if not (folder / FILE_NAME).exists():
        missing = (f"No alerter has worked in {folder} yet.",)
        none = ReportFacts(period=period, readings=Readings(missing=missing), alerts=AlertFacts(), outbox=OutboxFacts())
        return none, []
    with typed_errors(folder), look(folder) as connection:
        return stored_facts(connection, period, slack=SHEET_SECONDS)
