import asyncio
import email
import email.policy
import json
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace

import pytest

from alerts.command_settings import CommandSettings
from alerts.compose_mail import compose
from alerts.report.reporter import Reporter
from alerts.report_settings import ReportSettings
from alerts.settings import AlerterSettings
from alerts.state import AlertKey, State
from alerts.store import FILE_NAME, Store
from alerts.transport import Reply
from gpuwarden import settings
from gpuwarden.documents import DocumentError
from tests.golden.example_mails import FIRING, RESOLVED, SETTINGS
from tests.in_force import in_force
from tests.unit.test_report_tally import scrape

DUE = 1_780_041_600.0  # 2026-05-29 08:00 UTC
DAY = 86_400.0
DAILY = ReportSettings(every="day", time_zone="UTC", price_per_kwh=0.3)
KEY = AlertKey("GpuMemoryAlmostFull", (("gpu", "2"), ("instance", "a:9400")))


@pytest.fixture
def store(tmp_path):
    """An empty store that does not wait long for a lock."""
    with Store.open(tmp_path) as opened:
        opened._connection.execute("PRAGMA busy_timeout = 10")
        yield opened


class Life:
    """One run of the alerter after another on the same state, with a clock that the test moves."""

    def __init__(self, store, chosen=DAILY, now=DUE - 100):
        self.store, self.chosen, self.now = store, chosen, now
        self.woken = 0
        self.restart()

    def restart(self):
        terms = in_force(mail=SETTINGS, report=self.chosen)
        self.reporter = Reporter(self.store, terms, self.wake, clock=lambda: self.now)

    def wake(self):
        self.woken += 1

    def at(self, now):
        """Let the loop work once at this time."""
        self.now = now
        asyncio.run(self.reporter._work())

    def reports(self):
        """What waits in the outbox."""
        letters = iter(lambda: self.store.claim(1e12), None)
        return [email.message_from_bytes(one.letter.data, policy=email.policy.default) for one in letters]


def test_a_report_comes_once_for_each_period_whatever_restarts(store):
    """Each update of the alerter would send yesterday's report again."""
    life = Life(store)
    life.at(DUE - 1)
    assert life.reports() == []
    for now in (DUE, DUE + 1, DUE + 3600, DUE + DAY - 1, DUE + DAY):
        life.restart()
        life.at(now)
        life.at(now)
    assert life.woken == 2
    assert {one["To"] for one in life.reports()} == {"ann@example.com, Bob <bob@example.com>"}
    assert store.uncomposed() == []


def test_a_command_can_get_reports(store):
    """A phone or a chat could be told of alerts, but not that all is well."""
    life = Life(store, replace(DAILY, to=("command:push", "ann@example.com")))
    life.at(DUE - 1)
    life.at(DUE)
    letters = {one.letter.recipient: one.letter for one in iter(lambda: store.claim(1e12), None)}
    assert letters.keys() == {"command:push", "ann@example.com"}
    told = json.loads(letters["command:push"].payload)
    assert (told["reason"], told["subject"]) == ("report", "[REPORT] no alerts")
    assert "gpuwarden is alive" in told["text"]


def test_a_report_of_the_demo_goes_to_nobody_else():
    """A phone would be told of simulated cards, or its command wait for three days, since the demo runs none."""
    report = ReportSettings(every="day", to=("boss@example.com", "command:push"))
    commands = (CommandSettings("push", ("/bin/true",)),)
    assert AlerterSettings(report=report, commands=commands).reported_to == report.to
    demo = AlerterSettings(report=report, commands=commands, demo=True)
    assert demo.reported_to == demo.recipients == ("gpuwarden <gpuwarden@localhost>",)


def test_the_first_start_sends_none(store):
    """Whoever switches reports on would at once get one about nothing."""
    life = Life(store, now=DUE + 60)
    life.at(DUE + 60)
    assert life.reports() == []


def test_one_that_was_missed_is_sent_late_but_not_days_later(store):
    """A box that is switched off at eight would never report, or report a holiday day by day."""
    life = Life(store)
    life.at(DUE - 1)
    life.at(DUE + 5 * 3600)
    assert life.woken == 1
    weekly = Life(store, replace(DAILY, every="week", on="fri"))
    weekly.at(DUE + 7 * DAY + 2 * DAY)
    assert weekly.woken == 0


def test_a_clock_set_back_loses_no_report_for_years(store):
    """A wrong clock of one morning would silence the reports until it is right."""
    life = Life(store, now=DUE + 900 * DAY)
    life.at(DUE + 900 * DAY)
    life.at(DUE - 100)
    life.at(DUE)
    assert life.woken == 1


def test_a_report_tells_readings_alerts_and_mails(store):
    """It would come, and say nothing."""
    life = Life(store)
    life.at(DUE - DAY + 10)
    for number in range(100):
        page = scrape(gpu_memory_used_ratio=0.9, gpu_power_watts=150.0, gpu_energy_joules_total=36_000.0 * number)
        life.reporter.observe([page], DUE - 500 + 5 * number, 10.0)
    told = [replace(FIRING, at=DUE - 3600), replace(RESOLVED, at=DUE - 100, started_at=DUE - 3700)]
    late = replace(FIRING, id="later", incident="later", root="later", at=DUE + 1)
    state = State(phase="firing", active_at=DUE - 60, fired_at=DUE, value=1.0, seen_at=DUE, incident="x", host="gpubox")
    store.commit_round({KEY: state}, [*told, late])
    store.add_message(FIRING.id, compose(told[0], SETTINGS), ["ann@example.com"])
    store.accepted(store.claim(DUE - 50), Reply(250, "ok"), DUE - 40)
    life.at(DUE)
    (report, _) = life.reports()
    assert report["Subject"] == "[REPORT] 1 alert, 1 still firing, 0.99 kWh (0.30 EUR)"
    assert report["X-Gpuwarden-Reason"] == "report"
    for kind in ("plain", "html"):
        text = report.get_body((kind,)).get_content()
        for words in ("memory up to 90.0 %", "up to 150 W", "0.99 kWh (0.30 EUR)", "1 h 0 min", "GpuMemoryAlmostFull"):
            assert words in text
        assert "There are no readings before" in text
        assert "GpuMemoryAlmostFull on gpubox, GPU 2, since" in text
    assert "Sent: 1" in report.get_body(("plain",)).get_content()


def test_what_was_read_survives_a_restart(store):
    """The report of the day on which the alerter was updated would begin at the update."""
    life = Life(store)

    async def story():
        task = asyncio.create_task(life.reporter.run())
        life.reporter.observe([scrape(gpu_power_watts=222.0)], DUE - 7200, 10.0)
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(story())
    life.restart()
    life.reporter.observe([scrape(gpu_power_watts=111.0)], DUE - 30, 10.0)
    life.at(DUE - 20)
    life.at(DUE)
    assert "up to 222 W" in life.reports()[0].get_body(("plain",)).get_content()


def test_a_disk_that_takes_nothing_delays_the_report_and_ends_nothing(store, caplog):
    """A full disk at eight would end the alerter, or lose the report of that day."""
    life = Life(store)
    life.at(DUE - 1)
    with closing(sqlite3.connect(store.folder / FILE_NAME, isolation_level=None)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        life.at(DUE)
        life.at(DUE + 1)
        blocker.execute("ROLLBACK")
    assert life.woken == 0
    assert caplog.text.count("no report can be made now") == 1
    life.at(DUE + 2)
    assert life.woken == 1


def test_old_sheets_are_dropped(store):
    """The file would grow by an hour's readings for ever."""
    life = Life(store)
    for day in range(12):
        life.reporter.observe([scrape(gpu_power_watts=1.0)], DUE + day * DAY, 10.0)
        life.at(DUE + day * DAY)
    count = store.read(lambda db: db.execute("SELECT count(*) FROM tallies WHERE name LIKE 'sheet:%'").fetchone()[0])
    assert count == 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{every: month}", "report.every: 'month' is not one of day, week"),
        ("{every: day, at: 8}", "report.at: must be a time of day"),
        ("{every: day, to: [nobody]}", "report.to: 'nobody' is not a mail address"),
        ("{every: day, to: [command:push]}", "report.to: 'push' is not the name of a command"),
        ("{every: day, price_per_kwh: -1}", "report.price_per_kwh: is not a price"),
        ("{every: day, time_zone: Mars}", "report.time_zone: 'Mars' is not a time zone"),
    ],
)
def test_a_mistake_in_the_settings_is_told(tmp_path, text, said):
    """A slip of the pen would be found out by a report that does not come."""
    file = tmp_path / "gpuwarden.yml"
    file.write_text(f"alerter: {{report: {text}}}\n")
    with pytest.raises(DocumentError) as caught:
        settings.load("alerter", AlerterSettings, config=file, environ={})
    assert said in str(caught.value)


def test_without_every_nothing_is_sent(store):
    """People who never asked for reports would get them."""
    life = Life(store, ReportSettings())
    life.at(DUE)
    life.at(DUE + DAY)
    assert life.woken == 0
