"""The real alerter's heartbeat, from its settings to the calls that come and stop."""

import pytest

from tests.e2e.running import CLIENT, alerter, exporter, series, write
from tests.e2e.test_webhook import post, settings
from tests.fakes.alertmanager_posts import posted
from tests.fakes.smtp.server import SmtpServer
from tests.polling import wait_until
from tests.unit.test_heartbeat import SECRET, called

BEATS = {"GPUWARDEN_ALERTER_HEARTBEAT_INTERVAL": "1s"}


def beats(url):
    found = series(url).get("gpuwarden_alerter_heartbeats_total", {})
    return {dict(labels)["outcome"]: value for labels, value in found.items()}


@pytest.mark.parametrize("where", ["url", "url_file"])
def test_it_beats_while_rounds_succeed(tmp_path, where):
    """Nobody would notice that the alerter of a box is dead."""
    with called() as (url, calls), exporter(tmp_path, None, "--demo") as page:
        value = url if where == "url" else str(write(tmp_path / "url", f"{url}\n"))
        environ = {**BEATS, f"GPUWARDEN_ALERTER_HEARTBEAT_{where.upper()}": value}
        with alerter(tmp_path, page.url, environ=environ) as judge:
            judge.wait_for("the heartbeat goes out")
            wait_until(lambda: len(calls) >= 2, 20, "it stopped after the first beat")
            assert beats(judge.url)["called"] >= 2
            assert "gpuwarden_alerter_last_heartbeat_timestamp_seconds" in series(judge.url)
    assert SECRET not in judge.output


def test_behind_alertmanager_it_beats_while_the_watchdog_comes_and_mails_go_out(tmp_path):
    """A broken way from Prometheus to the mail server would look well from outside."""
    smtp = SmtpServer(tmp_path / "smtp")
    with called() as (url, calls), smtp:
        environ = {**settings(smtp), **BEATS, "GPUWARDEN_ALERTER_HEARTBEAT_URL": url}
        with alerter(tmp_path, "http://127.0.0.1:1", environ=environ) as judge:
            judge.wait_for(r"no heartbeat \(not_deciding\): no Watchdog yet")
            assert calls == []
            assert post(judge.url, posted(alertname="Watchdog")).status_code == 200
            judge.wait_for("the heartbeat goes out")
            smtp.script(mail="530 log in first")
            assert post(judge.url, posted()).status_code == 200
            judge.wait_for(r"no heartbeat \(mail_misconfigured\)")
            assert "the heartbeat fails (mail_misconfigured)" in CLIENT.get(f"{judge.url}/status").text
