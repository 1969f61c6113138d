import email
import email.policy
import socket
import time

import pytest

from tests.e2e.running import CLIENT, alerter, run, series, wait_until, write
from tests.fakes.alertmanager_posts import payload, posted
from tests.fakes.smtp.server import SmtpServer, recorded

JSON = {"content-type": "application/json"}
NOBODY = "http://127.0.0.1:1"


def settings(smtp, recipients="ann@example.com", **more):
    return {
        "GPUWARDEN_ALERTER_JUDGE": "alertmanager",
        "GPUWARDEN_ALERTER_MAIL_HOST": "127.0.0.1",
        "GPUWARDEN_ALERTER_MAIL_PORT": str(smtp.port),
        "GPUWARDEN_ALERTER_MAIL_SECURITY": "none",
        "GPUWARDEN_ALERTER_MAIL_FROM": "gpuwarden <gpuwarden@example.com>",
        "GPUWARDEN_ALERTER_MAIL_TO": recipients,
        **more,
    }


def behind(tmp_path, smtp, **more):
    """The alerter behind Alertmanager."""
    return alerter(tmp_path, NOBODY, environ=settings(smtp, **more))


def post(url, *alerts, **headers):
    return CLIENT.post(f"{url}/webhook", content=payload(*alerts), headers=JSON | headers)


def parsed(mail):
    return email.message_from_bytes(mail.data, policy=email.policy.default)


def card(number, status="firing", **more):
    return posted(status, gpu=str(number), uuid=f"GPU-{number}", **more)


def test_a_post_is_one_mail_per_recipient_and_its_end_one_in_the_same_thread(tmp_path):
    """Behind Alertmanager nobody would be told, or everybody twice."""
    smtp = SmtpServer(tmp_path / "smtp")
    with smtp, behind(tmp_path, smtp, recipients="ann@example.com,bob@example.com") as judge:
        assert [CLIENT.get(f"{judge.url}/-/{path}").status_code for path in ("healthy", "ready")] == [200, 200]
        assert "nothing fires; no post yet" in CLIENT.get(f"{judge.url}/status").text
        for _ in range(3):
            assert post(judge.url, posted(start=time.time() - 5)).status_code == 200
        smtp.wait_mails(2, 20)
        assert "firing: GpuMemoryAlmostFull; last post 2" in CLIENT.get(f"{judge.url}/status").text
        found = series(judge.url)
        assert "gpuwarden_alerter_last_round_timestamp_seconds" not in found
        assert found["gpuwarden_alerter_notifications_total"][("reason", "first"),] == 1
        assert post(judge.url, posted("resolved", start=time.time() - 5, end=time.time())).status_code == 200
        mails = smtp.wait_mails(4, 20)

    assert len(mails) == 4
    firing, resolved = (parsed(mail) for mail in mails if mail.recipients == ("bob@example.com",))
    assert "GPU 0 memory is 95.0 % full" in firing["Subject"]
    assert resolved["Subject"].startswith("[RESOLVED]")
    assert resolved["In-Reply-To"] == firing["Message-ID"]
    assert "Alertmanager judges" in judge.output
    assert "GpuMemoryAlmostFull fired (posted_firing)" in judge.output


def test_kill_9_right_after_the_200_loses_nothing(tmp_path):
    """A power loss just after Alertmanager was told "ok" would swallow the alert."""
    smtp = SmtpServer(tmp_path / "smtp")
    with smtp:
        for number in range(4):
            with behind(tmp_path, smtp) as victim:
                victim.wait_for("listening")
                assert post(victim.url, card(number), card(number + 10)).status_code == 200
                time.sleep(0.004 * number)
                victim.kill()
        with behind(tmp_path, smtp) as survivor:
            wait_until(lambda: len({mail.data for mail in smtp.mails()}) == 8, 20, f"lost\n{survivor.output}")
            for number in range(4):
                assert post(survivor.url, card(number), card(number + 10)).status_code == 200
            assert "gpuwarden_alerter_notifications_total" not in series(survivor.url)

    by_id: dict[str, set[bytes]] = {}
    for mail in recorded(smtp.folder):
        by_id.setdefault(parsed(mail)["Message-ID"], set()).add(mail.data)
    assert len(by_id) == 8
    assert all(len(bodies) == 1 for bodies in by_id.values())


def test_the_answer_waits_neither_for_prometheus_nor_for_the_mail_server(tmp_path):
    """Alertmanager would give up on an alerter that waits for others, and send everything again."""
    smtp = SmtpServer(tmp_path / "smtp")
    with smtp, socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        smtp.hold("greeting")
        with behind(tmp_path, smtp, GPUWARDEN_ALERTER_PROMETHEUS_URL=url) as judge:
            judge.wait_for("listening")
            begun = time.monotonic()
            assert [post(judge.url, card(number)).status_code for number in range(3)] == [200] * 3
            assert time.monotonic() - begun < 2
            judge.wait_for("no evidence from Prometheus at http://127.0.0.1:.*no complete answer within 3 s")
            smtp.release("greeting")
            smtp.wait_mails(3, 20)


def test_the_secret_is_asked_for_and_stays_secret(tmp_path):
    """Anyone on the network could send alarms."""
    smtp, secret = SmtpServer(tmp_path / "smtp"), write(tmp_path / "secret", "correct horse\n")
    more = {"GPUWARDEN_ALERTER_WEBHOOK_SECRET_FILE": str(secret)}
    with smtp, behind(tmp_path, smtp, **more) as judge:
        judge.wait_for("listening")
        assert post(judge.url, posted()).status_code == 401
        assert post(judge.url, posted(), authorization="Bearer correct horse").status_code == 200
        smtp.wait_mails(1, 20)
        large = CLIENT.post(f"{judge.url}/webhook", content=b" " * (12 * 2**20), headers={"authorization": "x"} | JSON)
        assert large.status_code == 401
        allowed = JSON | {"authorization": "Bearer correct horse"}
        large = CLIENT.post(f"{judge.url}/webhook", content=b" " * (12 * 2**20), headers=allowed)
        assert large.status_code == 413

    assert "correct horse" not in judge.output


@pytest.mark.parametrize(("listen", "refused"), [("0.0.0.0:0", True), ("[::]:0", True), ("localhost:0", False)])
def test_without_a_secret_only_this_machine_may_post(tmp_path, listen, refused):
    """An open webhook on the network would take alarms from anyone."""
    file = write(tmp_path / "gpuwarden.yml", f"alerter:\n  judge: alertmanager\n  listen: '{listen}'\n")
    shown = run("config", "--config", str(file), home=tmp_path)

    assert shown.returncode == (2 if refused else 0)
    assert ("alerter.webhook.secret_file: anyone who reaches" in shown.stderr) is refused


def test_an_alerter_that_judges_by_itself_takes_no_posts(tmp_path):
    """Two judges would tell every alert twice."""
    with alerter(tmp_path, NOBODY) as judge:
        assert post(judge.url, posted()).status_code == 404
