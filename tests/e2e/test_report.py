import datetime as dt
import email
import email.policy
import sqlite3
import time
from contextlib import closing

from tests.e2e.running import alerter, run, series
from tests.e2e.test_digest import environ, page, plain
from tests.fakes.metrics_page import MetricsPage
from tests.fakes.smtp.server import SmtpServer
from tests.polling import wait_until

ENERGY = 'gpu_energy_joules_total{{gpu="0",uuid="u0"}} {}\n'


def was_read(url, after):
    """Whether the page was read in a round that began after this time (Unix seconds)."""
    found = series(url)
    begun = found.get("gpuwarden_alerter_last_round_timestamp_seconds", {}).get((), 0.0)
    return begun > after and set(found["gpuwarden_alerter_target_up"].values()) == {1.0}


def test_a_report_comes_by_mail_once_and_on_demand(tmp_path):
    """Nobody would get the report of the morning, or everybody would get it at each restart."""
    now = dt.datetime.now(dt.UTC)
    with SmtpServer(tmp_path / "smtp") as smtp, MetricsPage(page(50) + ENERGY.format(0)) as rack:
        report = {"EVERY": "day", "AT": f"{now - dt.timedelta(hours=1):%H:%M}", "TIME_ZONE": "UTC"}
        report |= {"PRICE_PER_KWH": "0.5", "CURRENCY": "CHF"}
        settings = (
            environ(smtp)
            | {"GPUWARDEN_ALERTER_INTERVAL": "500ms"}
            | {f"GPUWARDEN_ALERTER_REPORT_{key}": value for key, value in report.items()}
        )
        with alerter(tmp_path, rack.url, environ=settings) as first:
            wait_until(lambda: was_read(first.url, 0.0), 20, "no round")
            changed_at = time.time()
            rack.text = page(71) + ENERGY.format(7_200_000)
            wait_until(lambda: was_read(first.url, changed_at), 20, "no further round")
        # As if the alerter had been off when the report was due.
        with closing(sqlite3.connect(tmp_path / "state" / "alerter.sqlite3")) as db, db:
            db.execute("UPDATE tallies SET document = '0.0' WHERE name = 'reported'")
        for _ in range(2):
            with alerter(tmp_path, rack.url, environ=settings) as again:
                wait_until(lambda a=again: was_read(a.url, 0.0), 20, "no round")
                (mail,) = smtp.wait_mails(1, 20)
        asked = run("mail", "report", "--state", str(tmp_path / "state"), home=tmp_path, environ=settings)
        sent = run(
            "mail",
            "report",
            "--over",
            "1h",
            "--send",
            "--state",
            str(tmp_path / "state"),
            home=tmp_path,
            environ=settings,
        )
        smtp.wait_mails(2, 20)

    parsed = email.message_from_bytes(mail.data, policy=email.policy.default)
    assert parsed["Subject"].startswith("[REPORT] no alerts")
    assert "gpuwarden is alive" in plain(parsed)
    assert asked.returncode == 0
    assert "Cards of rack-7:" in asked.stdout
    assert "GPU 0: memory up to 10.0 %, temperature up to 71 °C, 2.00 kWh (1.00 CHF)" in asked.stdout
    assert (sent.returncode, "accepted: 250" in sent.stdout) == (0, True)


def test_a_report_on_nothing_says_so(tmp_path):
    """A typing mistake in the state folder would read like a quiet day."""
    asked = run("mail", "report", "--state", str(tmp_path / "nowhere"), home=tmp_path)
    assert asked.returncode == 0
    assert f"No alerter has worked in {tmp_path}/nowhere yet." in asked.stdout
    assert "alive" not in asked.stdout
    assert run("mail", "report", "--over", "soon", home=tmp_path).returncode == 2
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "alerter.sqlite3").write_text("this is no database, but long enough to look like one" * 20)
    asked = run("mail", "report", "--state", str(tmp_path / "damaged"), home=tmp_path)
    assert (asked.returncode, "damaged" in asked.stderr, "Traceback" in asked.stderr) == (1, True, False)
