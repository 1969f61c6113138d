"""SIGHUP to the real alerter: what it does afterwards."""

import contextlib
import re
import signal

from tests.e2e.running import CLIENT, Running, series, write
from tests.e2e.test_alertmanager import free_port
from tests.fakes.smtp.server import SmtpServer
from tests.polling import wait_until
from tests.scenarios.kill_loop import RULES, Incident, Watched

SETTINGS = """\
alerter:
  listen: 127.0.0.1:{port}
  interval: {interval}
  targets: [{targets}]
  rules: [rules.yml]
  state: state
  mail: {{host: 127.0.0.1, port: {smtp}, security: none, from: gpuwarden@example.com, to: [{to}]}}
"""
SUCCESSFUL = "gpuwarden_alerter_config_last_reload_successful"


def hang_up(process, pattern):
    """Send SIGHUP and wait for one more line like ``pattern``."""
    before = len(re.findall(pattern, process.output))
    process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(re.findall(pattern, process.output)) > before, 20, lambda: process.output)


def test_targets_interval_recipients_and_mail_server_change_while_alerts_fire(tmp_path):
    """Each new colleague or box would cost a restart, and a mail too many or too few."""
    first, second = Watched(free_port()), Watched(free_port())
    servers = SmtpServer(tmp_path / "one"), SmtpServer(tmp_path / "two")
    write(tmp_path / "rules.yml", RULES)
    port = free_port()

    def settings(**changes):
        now = {
            "port": port,
            "interval": "5m",
            "targets": first.target,
            "smtp": servers[0].port,
            "to": "ann@example.com",
        }
        write(tmp_path / "gpuwarden.yml", SETTINGS.format(**now | changes))

    with contextlib.ExitStack() as stack:
        for part in (*servers, first.open(), second.open()):
            stack.enter_context(part)
        first.tell(Incident(1, brief=False), over=False)
        second.tell(Incident(2, brief=False), over=False)
        settings()
        process = stack.enter_context(Running("alerter", home=tmp_path))
        servers[0].wait_mails(1, 20)
        changes = {"interval": "200ms", "targets": f"{first.target}, {second.target}", "smtp": servers[1].port}
        settings(**changes, to="ann@example.com, bob@example.com")
        hang_up(process, r"reloaded \d+ rules")
        mails = servers[1].wait_mails(2, 20)
        url = process.url
        assert series(url)[SUCCESSFUL][()] == 1

        settings(**changes, to="nobody")
        hang_up(process, r"gpuwarden\.yml:7: alerter\.mail\.to: 'nobody' is not a mail address")
        assert series(url)[SUCCESSFUL][()] == 0
        assert "the last reload was refused" in CLIENT.get(f"{url}/status").text
        first.tell(Incident(3, brief=False), over=False)
        mails = servers[1].wait_mails(4, 20)

    assert [mail.recipients for mail in servers[0].mails()] == [("ann@example.com",)]
    assert sorted(mail.recipients for mail in mails) == [("ann@example.com",)] * 2 + [("bob@example.com",)] * 2
    assert len({mail.data for mail in mails}) == 2
