import email
import email.policy
import re
import signal
import time
from pathlib import Path

import pytest

from alerts.evidence.stage import BATCH_SECONDS
from tests.e2e.running import CLIENT, Running, alerter, exporter, of_gpu, run, series, write
from tests.fakes.nvml.gpu import Process
from tests.fakes.smtp.server import SmtpServer, recorded
from tests.polling import wait_until

GIB = 2**30
FOR, KEEP, EXPORTER_INTERVAL, ALERTER_INTERVAL = 1.0, 1.5, 0.2, 0.2
QUICK = """\
rules:
  - override: GpuMemoryAlmostFull
    for: 1s
    keep_firing_for: 1500ms
"""
PASSWORD = "correct horse battery"


def parsed(mail):
    return email.message_from_bytes(mail.data, policy=email.policy.default)


def plain(message):
    return message.get_body(("plain",)).get_content()


class Box:
    """One card, the real exporter, the real alerter and a real mail server with STARTTLS and login."""

    def __init__(self, tmp_path, fake_driver, *, recipients=("ann@example.com", "bob@example.com")):
        self.home = tmp_path
        self.driver = fake_driver("rtx-3060")
        self.gpu = self.driver.gpu(0)
        self.fill(0.5)
        self.rules = write(tmp_path / "quick.yml", QUICK)
        write(tmp_path / "password", PASSWORD + "\n")
        self.smtp = SmtpServer(tmp_path / "smtp", security="starttls", user="ann@example.com", password=PASSWORD)
        self.recipients = recipients

    def fill(self, ratio):
        self.gpu.memory_used = int(ratio * (self.gpu.memory_total - self.gpu.memory_reserved))

    def settings(self):
        return {
            "GPUWARDEN_ALERTER_MAIL_HOST": "127.0.0.1",
            "GPUWARDEN_ALERTER_MAIL_PORT": str(self.smtp.port),
            "GPUWARDEN_ALERTER_MAIL_USERNAME": "ann@example.com",
            "GPUWARDEN_ALERTER_MAIL_PASSWORD_FILE": str(self.home / "password"),
            "GPUWARDEN_ALERTER_MAIL_CA_FILE": str(self.smtp.ca_file),
            "GPUWARDEN_ALERTER_MAIL_FROM": "gpuwarden <gpuwarden@example.com>",
            "GPUWARDEN_ALERTER_MAIL_TO": ",".join(self.recipients),
        }

    def exporter(self):
        return exporter(self.home, self.driver.environment())

    def alerter(self, url):
        return alerter(self.home, url, "--rules", str(self.rules), environ=self.settings())


def read_once(process):
    wait_until(lambda: CLIENT.get(f"{process.url}/-/ready").status_code == 200, 20, "not ready")


def test_from_half_full_to_full_and_back_is_one_mail_each_per_recipient_in_time(tmp_path, fake_driver):
    """The mail for which people install this would be late, doubled or missing."""
    box = Box(tmp_path, fake_driver)
    box.gpu.set_processes([Process(pid=4_100_000, memory=9 * GIB, name=b"/usr/bin/train_gpt")])
    with box.smtp, box.exporter() as page, box.alerter(page.url) as judge:
        read_once(judge)
        box.fill(0.95)
        filled = time.monotonic()
        box.smtp.wait_mails(2, 20)
        took = time.monotonic() - filled
        box.fill(0.80)
        emptied = time.monotonic()
        mails = box.smtp.wait_mails(4, 20)
        held = time.monotonic() - emptied
        judge.wait_for("resolved")

    assert FOR <= took <= EXPORTER_INTERVAL + 2 * ALERTER_INTERVAL + FOR + BATCH_SECONDS + 1
    assert held >= KEEP
    assert len(mails) == 4
    assert all(mail.tls and mail.user == "ann@example.com" for mail in mails)
    assert sorted(mail.recipients for mail in mails) == [("ann@example.com",)] * 2 + [("bob@example.com",)] * 2
    firing, resolved = (parsed(mail) for mail in mails if mail.recipients == ("ann@example.com",))
    assert "GPU 0 memory is 95.0 % full" in firing["Subject"]
    assert re.search(r"9\.0 GiB +train_gpt", plain(firing))
    assert "95.0 %" in firing.get_body(("html",)).get_content()
    assert resolved["Subject"].startswith("[RESOLVED]")
    assert resolved["In-Reply-To"] == firing["Message-ID"]
    assert firing["X-Gpuwarden-Reason"] == "first"
    assert firing["X-Gpuwarden-Simulated"] != "yes"
    assert PASSWORD not in page.output + judge.output


@pytest.mark.parametrize("stage", ["greeting", "begin", "data", "recorded"])
def test_kill_9_between_the_decision_and_the_250_loses_nothing(tmp_path, fake_driver, stage):
    """A power loss at the wrong moment would swallow the alert."""
    box = Box(tmp_path, fake_driver, recipients=("ann@example.com",))
    box.fill(0.95)
    with box.smtp, box.exporter() as page:
        box.smtp.hold(stage)
        with box.alerter(page.url) as first:
            box.smtp.wait_at(stage, 20)
            first.kill()
        held = len(box.smtp.mails())
        box.smtp.release(stage)
        with box.alerter(page.url):
            mails = box.smtp.wait_mails(held + 1, 30)

    assert {mail.data for mail in mails} == {mails[0].data}
    assert {parsed(mail)["Message-ID"] for mail in mails} == {parsed(mails[0])["Message-ID"]}
    assert len(mails) <= 2


def test_kill_9_at_any_moment_after_the_decision_loses_nothing(tmp_path, fake_driver):
    """The same, at moments that nobody chose."""
    box = Box(tmp_path, fake_driver, recipients=("ann@example.com",))
    write(box.rules, "rules:\n  - {override: GpuMemoryAlmostFull, for: 0s, keep_firing_for: 0s}\n")
    with box.smtp, box.exporter() as page:
        for number in range(1, 5):
            box.fill(0.95)
            with box.alerter(page.url) as victim:
                victim.wait_for("fired")
                time.sleep(0.004 * number)
                victim.kill()
            with box.alerter(page.url) as survivor:
                wait_until(lambda n=number: len({mail.data for mail in box.smtp.mails()}) >= 2 * n - 1, 20, "lost")
                box.fill(0.5)
                survivor.wait_for("resolved")
                wait_until(lambda n=number: len({mail.data for mail in box.smtp.mails()}) >= 2 * n, 20, "lost")

    by_id: dict[str, set[bytes]] = {}
    for mail in recorded(box.smtp.folder):
        by_id.setdefault(parsed(mail)["Message-ID"], set()).add(mail.data)
    assert len(by_id) == 8
    assert all(len(bodies) == 1 for bodies in by_id.values())


def test_a_restart_while_an_alert_fires_sends_no_second_mail(tmp_path, fake_driver):
    """Each restart of the alerter would mail everything again."""
    box = Box(tmp_path, fake_driver, recipients=("ann@example.com",))
    box.fill(0.95)
    with box.smtp, box.exporter() as page:
        for _ in range(3):
            with box.alerter(page.url) as judge:
                box.smtp.wait_mails(1, 20)
                read_once(judge)
                wait_until(lambda j=judge: "firing: GpuMemoryAlmostFull" in CLIENT.get(f"{j.url}/status").text, 10, "?")

        assert len(box.smtp.mails()) == 1


def test_a_failed_scrape_does_not_resolve_a_firing_alert(tmp_path, fake_driver):
    """A dead exporter would send the all-clear."""
    box = Box(tmp_path, fake_driver, recipients=("ann@example.com",))
    box.fill(0.95)
    with box.smtp, box.exporter() as page, box.alerter(page.url) as judge:
        box.smtp.wait_mails(1, 20)
        page.kill()
        judge.wait_for("cannot be read")
        rounds = series(judge.url)["gpuwarden_alerter_last_round_timestamp_seconds"][()]
        wait_until(
            lambda: series(judge.url)["gpuwarden_alerter_last_round_timestamp_seconds"][()] > rounds + 2 * KEEP,
            20,
            "no further rounds",
        )

        assert "firing: GpuMemoryAlmostFull" in CLIENT.get(f"{judge.url}/status").text
        assert len(box.smtp.mails()) == 1


def test_a_process_name_with_line_breaks_leaves_the_mail_valid(tmp_path, fake_driver):
    """Any user of the box could forge mail headers by the name of a program, or stop the mail."""
    box = Box(tmp_path, fake_driver, recipients=("ann@example.com",))
    names = [b"a\r\nBcc: eve@example.com\r\n\r\n<script>", b'"quoted"', b"\xff\xfe", b"x" * 10_000, b"nul\x00after"]
    box.gpu.set_processes([Process(pid=4_100_000 + i, memory=GIB, name=name) for i, name in enumerate(names)])
    box.fill(0.95)
    with box.smtp, box.exporter() as page, box.alerter(page.url):
        (mail,) = box.smtp.wait_mails(1, 20)

    message = parsed(mail)
    assert message.defects == []
    assert message["Bcc"] is None
    assert mail.data.isascii()
    assert max(map(len, mail.data.split(b"\r\n"))) <= 998
    assert "<script>" not in message.get_body(("html",)).get_content()
    assert "1.0 GiB" in plain(message)


def test_a_bad_rules_file_is_refused_at_the_start_and_kept_out_on_sighup(tmp_path, fake_driver):
    """A typing mistake in a rules file would stop the alerting of a running box."""
    box = Box(tmp_path, fake_driver, recipients=("ann@example.com",))
    bad = "rules:\n  - override: GpuMemoryAlmostFull\n    above: 90\n  - {alert: A, metric: gpu_memory_usd_ratio}\n"
    with box.smtp, box.exporter() as page, box.alerter(page.url) as judge:
        read_once(judge)
        write(box.rules, bad)
        judge.process.send_signal(signal.SIGHUP)
        judge.wait_for(r"quick\.yml:3: rules\[0\]\.above: .*0\.90?")
        judge.wait_for("did you mean 'gpu_memory_used_ratio'")
        box.fill(0.95)
        box.smtp.wait_mails(1, 20)
        write(box.rules, QUICK)
        judge.process.send_signal(signal.SIGHUP)
        judge.wait_for(r"reloaded \d+ rules")

    write(box.rules, bad)
    checked = run("rules", "check", str(box.rules), home=tmp_path)
    started = run("alerter", "--rules", str(box.rules), "--listen", "127.0.0.1:0", home=tmp_path)
    assert checked.returncode == started.returncode == 2
    assert "quick.yml:3: rules[0].above" in checked.stderr
    assert checked.stderr == started.stderr


def test_a_second_alerter_on_the_same_state_says_so(tmp_path, fake_driver):
    """Two alerters would send every mail twice."""
    box = Box(tmp_path, fake_driver)
    with box.smtp, box.exporter() as page, box.alerter(page.url) as first:
        read_once(first)
        with box.alerter(page.url) as second:
            assert second.process.wait(20) == 1
            assert "another alerter works with the state folder" in second.output


def test_without_a_mail_server_mails_go_into_the_maildir_and_it_is_said(tmp_path, fake_driver):
    """A person would wait for mails that lie in a folder."""
    box = Box(tmp_path, fake_driver)
    box.fill(0.95)
    with box.exporter() as page, alerter(tmp_path, page.url, "--rules", str(box.rules)) as judge:
        folder = judge.wait_for(r"mails go into the Maildir (\S+)").group(1)
        assert folder == str(tmp_path / "state" / "mail")
        judge.wait_for("written to")
        (file,) = (tmp_path / "state" / "mail" / "new").iterdir()

    assert (
        "GPU 0 memory is 95.0 % full"
        in email.message_from_bytes(file.read_bytes(), policy=email.policy.default)["Subject"]
    )


def test_a_simulated_card_that_fills_and_empties_leaves_one_thread_of_two_marked_mails(tmp_path):
    """The demo would prove nothing, or its mails would be taken for real ones."""
    rules = write(tmp_path / "quick.yml", QUICK)
    scenario = Path(__file__).parents[1] / "scenarios" / "fill-and-empty.yml"
    folder = tmp_path / "state" / "demo" / "mail" / "new"
    server = {"GPUWARDEN_ALERTER_JUDGE": "alertmanager"}
    server |= {f"GPUWARDEN_ALERTER_MAIL_{key}": "a@mail.invalid" for key in ("FROM", "TO")}
    server["GPUWARDEN_ALERTER_MAIL_HOST"] = "mail.invalid"
    with (
        exporter(tmp_path, None, "--demo", "--scenario", str(scenario)) as page,
        alerter(tmp_path, page.url, "--demo", "--rules", str(rules), environ=server) as judge,
    ):
        wait_until(lambda: folder.exists() and len(list(folder.iterdir())) == 2, 30, "no two mails")
        mails = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in folder.iterdir()]

    resolved, firing = sorted(mails, key=lambda mail: "In-Reply-To" not in mail)
    assert firing["Subject"].startswith("[SIMULATED] [CRITICAL] GPU 0 memory is 96.0 %")
    assert "train_resnet.py (pid 4711, user me, container trainer)" in plain(firing)
    assert "SIMULATED" in firing.get_body(("html",)).get_content()
    # On a machine that is busy enough, a mail goes without, and the log says so.
    assert "image/png" in [part.get_content_type() for part in resolved.walk()] or "without pictures" in judge.output
    assert re.search(r"Peak +9\d\.\d %", plain(resolved))
    assert resolved["Subject"].startswith("[SIMULATED] [RESOLVED]")
    assert resolved["In-Reply-To"] == resolved["References"] == firing["Message-ID"]


def test_up_supervises_both_restarts_a_child_and_ends_cleanly(tmp_path, fake_driver):
    """The one command would leave a half-dead stack, or orphans that hold the ports."""
    driver = fake_driver("rtx-3060")
    environ = {
        **driver.environment(),
        "GPUWARDEN_EXPORTER_LISTEN": "127.0.0.1:0",
        "GPUWARDEN_ALERTER_LISTEN": "127.0.0.1:0",
        "GPUWARDEN_EXPORTER_INTERVAL": "200ms",
        "GPUWARDEN_ALERTER_INTERVAL": "200ms",
    }
    with Running("up", "--state", str(tmp_path / "state"), home=tmp_path, environ=environ) as process:
        url = process.wait_for(r"open (http://\S+)").group(1)
        process.wait_for("1 of 1 GPUs answer.*nothing fires")
        assert of_gpu(series(url), "gpu_up", 0) == 1
        process.process.send_signal(signal.SIGHUP)
        process.wait_for(r"reloaded \d+ rules")
        driver.upgrade()
        process.wait_for("the exporter ended with status 75; starting it again", 60)
        process.process.send_signal(signal.SIGINT)
        assert process.process.wait(20) == 0

    assert "Traceback" not in process.output
    assert process.lines[-1] == "ended"
    with pytest.raises(Exception, match=r"refused|Connect"):
        CLIENT.get(f"{url}/-/healthy")


def test_children_end_when_their_supervisor_is_killed(tmp_path):
    """A killed `gpuwarden up` would leave processes that hold the ports against the next one."""
    environ = {
        "LD_LIBRARY_PATH": str(tmp_path),
        "GPUWARDEN_EXPORTER_LISTEN": "127.0.0.1:0",
        "GPUWARDEN_ALERTER_LISTEN": "127.0.0.1:0",
    }
    with Running("up", "--state", str(tmp_path / "state"), home=tmp_path, environ=environ) as process:
        url = process.wait_for(r"open (http://\S+)").group(1)
        process.process.kill()

        def gone():
            try:
                CLIENT.get(f"{url}/-/healthy")
            except Exception:  # noqa: BLE001 -- whatever it is, nobody answers
                return True
            return False

        wait_until(gone, 15, "the exporter outlived its supervisor")
