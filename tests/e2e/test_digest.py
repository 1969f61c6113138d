import datetime as dt
import email
import email.policy

from tests.e2e.running import CLIENT, alerter, series, write
from tests.fakes.metrics_page import MetricsPage
from tests.fakes.smtp.server import SmtpServer
from tests.polling import wait_until

CARDS = 8
RULES = """\
rules:
  - alert: Hot
    metric: gpu_temperature_celsius
    above: 85
    for: 0s
    severity: warning
    summary: "GPU {{ gpu }} is at {{ value }}"
  - alert: Full
    metric: gpu_memory_used_ratio
    above: 0.9
    for: 0s
    severity: critical
    summary: "GPU {{ gpu }} memory is {{ value }} full"
"""


def page(celsius, ratio=0.1):
    """Eight cards of one host at this temperature, of which the first is so full."""
    lines = ['host_info{hostname="rack-7"} 1', f'gpu_memory_used_ratio{{gpu="0",uuid="u0"}} {ratio}']
    lines += [f'gpu_temperature_celsius{{gpu="{gpu}",uuid="u{gpu}"}} {celsius + gpu}' for gpu in range(CARDS)]
    lines += [f'gpu_up{{gpu="{gpu}",uuid="u{gpu}"}} 1' for gpu in range(CARDS)]
    return "\n".join(lines) + "\n"


def environ(smtp, **more):
    return {
        "GPUWARDEN_ALERTER_MAIL_HOST": "127.0.0.1",
        "GPUWARDEN_ALERTER_MAIL_PORT": str(smtp.port),
        "GPUWARDEN_ALERTER_MAIL_SECURITY": "none",
        "GPUWARDEN_ALERTER_MAIL_FROM": "gpuwarden <gpuwarden@example.com>",
        "GPUWARDEN_ALERTER_MAIL_TO": "ann@example.com",
        **{f"GPUWARDEN_ALERTER_NOTIFY_{key}": value for key, value in more.items()},
    }


def parsed(mail):
    return email.message_from_bytes(mail.data, policy=email.policy.default)


def plain(message):
    return message.get_body(("plain",)).get_content()


def test_a_burst_is_one_mail_that_names_each_alert_and_survives_kill_9(tmp_path):
    """A rack without cooling would send a mail per card, or a crash would lose all of them at once."""
    rules = write(tmp_path / "rules.yml", RULES)
    with SmtpServer(tmp_path / "smtp") as smtp, MetricsPage(page(90)) as rack:
        settings = environ(smtp, DIGEST_ABOVE="5", DIGEST_WAIT="1s")
        smtp.hold("data")
        with alerter(tmp_path, rack.url, "--rules", str(rules), environ=settings) as first:
            smtp.wait_at("data", 20)
            first.kill()
        smtp.release("data")
        with alerter(tmp_path, rack.url, "--rules", str(rules), environ=settings) as second:
            smtp.wait_mails(1, 20)
            rack.text = page(30)
            wait_until(lambda: len({mail.data for mail in smtp.mails()}) == 2, 20, "no second digest")
            found = series(second.url)["gpuwarden_alerter_messages_composed_total"]

    firing, over = (parsed(mail) for mail in {mail.data: mail for mail in smtp.mails()}.values())
    assert firing["Subject"] == "[8 WARNING] 8 alerts on rack-7"
    assert over["Subject"] == "[8 RESOLVED] 8 alerts on rack-7"
    assert firing["X-Gpuwarden-Reason"] == over["X-Gpuwarden-Reason"] == "digest"
    for gpu in range(CARDS):
        assert f"GPU {gpu} is at {90 + gpu} °C" in plain(firing)
        assert f"Hot (resolved) gpu={gpu}" in plain(over)
    assert found == {(("kind", "digest"),): 1.0}


def test_in_quiet_hours_only_what_is_critical_is_told(tmp_path):
    """People would be woken by a warm card, or not be woken by a full one."""
    rules = write(tmp_path / "rules.yml", RULES)
    now = dt.datetime.now(dt.UTC)
    hours = {"FROM": now - dt.timedelta(hours=1), "TO": now + dt.timedelta(hours=2)}
    quiet = {f"QUIET_HOURS_{key}": f"{time:%H:%M}" for key, time in hours.items()}
    with SmtpServer(tmp_path / "smtp") as smtp, MetricsPage(page(90)) as rack:
        settings = environ(smtp, QUIET_HOURS_TIME_ZONE="UTC", **quiet)
        with alerter(tmp_path, rack.url, "--rules", str(rules), environ=settings) as judge:
            judge.wait_for(r"Hot first is held \(quiet\) until 20")
            rack.text = page(90, ratio=0.95)
            (mail,) = smtp.wait_mails(1, 20)
            status = CLIENT.get(f"{judge.url}/status").text
            held = series(judge.url)["gpuwarden_alerter_notifications_held_total"]

    assert parsed(mail)["Subject"] == "[CRITICAL] GPU 0 memory is 95.0 % full on rack-7"
    assert "8 mails are held by the quiet hours until 20" in status
    assert held == {(("reason", "quiet"),): 8.0}
    assert len(smtp.mails()) == 1
