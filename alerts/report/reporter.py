"""The loop behind reports: writes down what the rounds added up, and puts each report into the outbox when it is due.

A report and the note that it was made are one transaction, so there is one for each period whatever happens; what made
it fail is logged once and tried again. At the very first start there is nothing to tell, so the first report comes when
it is due next.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from alerts.compose_payload import with_payload
from alerts.in_force import Following, InForce
from alerts.mail_settings import bare_address
from alerts.notify.due import random_id
from alerts.report.compose import compose_report, report_notification
from alerts.report.facts import ReportFacts
from alerts.report.gather import readings, stored_facts
from alerts.report.records import (
    keep_report,
    last_sheet,
    note_reported,
    prune_sheets,
    reported_until,
    row_of,
    save_sheets,
)
from alerts.report.schedule import Period, Schedule, next_due, owed
from alerts.report.tally import SHEET_SECONDS, Sheet, Tally
from alerts.report.view import report_view
from alerts.series import Scrape
from alerts.store import Store, StoreUnavailableError
from gpuwarden.units import format_timestamp

FLUSH_SECONDS = 60.0
"""What ``gpuwarden mail report`` can lack at the end."""
_KEEP_SECONDS = 9 * 86_400.0
_MOST_UNSAVED = 240
_FAR_AHEAD_SECONDS = 86_400.0

_log = logging.getLogger(__name__)


class Reporter:
    """Reports as the settings in force say."""

    def __init__(
        self,
        store: Store,
        in_force: InForce,
        wake: Callable[[], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.made = 0
        """Reports since the start."""
        self._store = store
        self._in_force = in_force
        self._wake = wake
        self._clock = clock
        self._ended: list[Sheet] = []
        self._failed = ""
        now, found = clock(), store.read(last_sheet)
        self._tally = Tally(found if found and 0 <= now - found.until < SHEET_SECONDS else None)
        self._offset = Following(lambda: in_force.settings.report.schedule, self._hours_begin)

    def _hours_begin(self, schedule: Schedule | None) -> float:
        return next_due(schedule, self._clock()) % SHEET_SECONDS if schedule else 0.0

    def observe(self, scrapes: Sequence[Scrape], now: float, max_gap: float) -> None:
        """Add one round's readings."""
        ended = self._tally.take(scrapes, now, max_gap, self._offset.now)
        if ended:
            self._ended = [*self._ended, ended][-_MOST_UNSAVED:]

    async def run(self) -> None:
        """Report until cancelled; what was added up is written down at the end."""
        try:
            while True:
                seconds = await self._work()
                await self._in_force.sleep(seconds)
        finally:
            try:
                await asyncio.shield(self._flush())
            except StoreUnavailableError as error:
                _log.error("the readings of the last minutes are missing in the next report: %s", error)

    async def _work(self) -> float:
        """Flush, report what is due; seconds until there is more to do."""
        try:
            await self._flush()
            await self.report_if_due()
        except Exception as error:  # noqa: BLE001 -- it must not end the alerter, and is tried again
            if self._failed != str(error):
                _log.exception("no report can be made now")
            self._failed = str(error)
        else:
            self._failed = ""
        schedule, now = self._in_force.settings.report.schedule, self._clock()
        if schedule is None or self._failed:
            return FLUSH_SECONDS
        return min(max(next_due(schedule, now) - now, 0.05), FLUSH_SECONDS)

    async def _flush(self) -> None:
        ended, sheet = self._ended, self._tally.sheet
        # Put into words here, since the rounds go on writing on the sheet while the store writes.
        rows = [row_of(one) for one in (*ended, *([sheet] if sheet else []))]
        if rows:
            await self._store.call(self._store.change, save_sheets, rows)
            self._ended = [one for one in self._ended if all(one is not saved for saved in ended)]
            await self._store.call(self._store.change, prune_sheets, self._clock() - _KEEP_SECONDS)

    async def report_if_due(self) -> None:
        """Put the report that is due into the outbox, if one is.

        Raises:
            StoreUnavailableError: it is still due.
        """
        schedule, now = self._in_force.settings.report.schedule, self._clock()
        if schedule is None:
            return
        known = await self._store.call(self._store.read, reported_until)
        if known is None or known > now + _FAR_AHEAD_SECONDS:  # never, or by a clock that has been set back since
            await self._store.call(self._store.change, note_reported, now)
            return
        period = owed(schedule, known, now)
        if period:
            await self._report(period, now)

    async def _report(self, period: Period, now: float) -> None:
        settings = self._in_force.settings
        facts = await self._facts(period, settings.prometheus.url)
        view = report_view(facts, settings.report.tariff)
        recipients = settings.reported_to
        report = report_notification(facts, view, random_id(), recipients)
        message = with_payload(compose_report(report, view, settings.delivery), report)
        addresses = [bare_address(recipient) for recipient in recipients]
        await self._store.call(self._store.change, keep_report, report, message, addresses, now)
        self.made += 1
        _log.info("report until %s: %s", format_timestamp(period.end), view.subject)
        self._wake()

    async def _facts(self, period: Period, url: str | None) -> ReportFacts:
        facts, sheets = await self._store.call(self._store.read, stored_facts, period)
        return replace(facts, readings=await readings(period, url, facts.readings, sheets))
