"""``gpuwarden silence`` beside the real alerter, and the command in a mail as a shell takes it."""

import email
import email.policy
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.running import CLIENT, alerter, exporter, run, series, wait_until, write
from tests.e2e.secure import PASSWORD, Secrets
from tests.fakes.smtp.server import SmtpServer

QUICK = "rules:\n  - {override: GpuMemoryAlmostFull, for: 0s, keep_firing_for: 0s}\n"
NAMED = "alertname=GpuMemoryAlmostFull"


class Box:
    """Two cards, exporter, alerter and a mail server, all real but the cards."""

    def __init__(self, tmp_path, fake_driver):
        self.home, self.driver = tmp_path, fake_driver("rtx-3060", "rtx-3090")
        for number in (0, 1):
            self.fill(number, 0.5)
        self.smtp = SmtpServer(tmp_path / "smtp")
        self.rules = write(tmp_path / "quick.yml", QUICK)

    def fill(self, number, ratio):
        gpu = self.driver.gpu(number)
        gpu.memory_used = int(ratio * (gpu.memory_total - gpu.memory_reserved))

    def alerter(self, target):
        settings = {
            "MAIL_HOST": "127.0.0.1",
            "MAIL_PORT": str(self.smtp.port),
            "MAIL_SECURITY": "none",
            "MAIL_FROM": "gpuwarden <gpuwarden@example.com>",
            "MAIL_TO": "ann@example.com",
        }
        environ = {f"GPUWARDEN_ALERTER_{key}": value for key, value in settings.items()}
        return alerter(self.home, target, "--rules", str(self.rules), environ=environ)

    def command(self, *words, url=None):
        """What ``gpuwarden silence`` says beside the alerter at ``url``."""
        environ = {"GPUWARDEN_ALERTER_STATE": str(self.home / "state")}
        if url:
            environ["GPUWARDEN_ALERTER_LISTEN"] = url.removeprefix("http://")
        done = run("silence", *words, home=self.home, environ=environ)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def mails(self):
        return [email.message_from_bytes(mail.data, policy=email.policy.default) for mail in self.smtp.mails()]

    def fires(self, url):
        return (
            series(url)
            .get("gpuwarden_alerter_alerts", {})
            .get((("alertname", "GpuMemoryAlmostFull"), ("state", "firing")), 0)
        )


def muting_line(mail):
    """The command in a mail, which its text and its HTML give alike."""
    text = mail.get_body(("plain",)).get_content()
    command = re.search(r"^gpuwarden silence add .*$", text, re.MULTILINE).group().strip()
    assert command in mail.get_body(("html",)).get_content().replace("&#39;", "'").replace("&#34;", '"')
    return command


def test_the_command_in_the_mail_silences_that_alert_and_what_still_fires_is_told_afterwards(tmp_path, fake_driver):
    """Who pastes the line from the mail would get an error, or would hear of another card no more."""
    box = Box(tmp_path, fake_driver)
    tools = tmp_path / "bin"
    tools.mkdir()
    write(tools / "gpuwarden", f'#!/bin/sh\nexec {sys.executable} -m gpuwarden "$@"\n').chmod(0o755)
    with box.smtp, exporter(tmp_path, box.driver.environment()) as page, box.alerter(page.url) as judge:
        url = judge.url
        box.fill(0, 0.95)
        wait_until(lambda: len(box.mails()) == 1, 20, lambda: judge.output)
        line = muting_line(box.mails()[0])
        listen = url.removeprefix("http://")
        root = str(Path(__file__).parents[2])
        environ = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(tmp_path), "PYTHONPATH": root}
        environ["GPUWARDEN_ALERTER_LISTEN"] = listen
        said = subprocess.run(
            ["sh", "-c", line], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=True
        )
        assert f"at {url}" in said.stdout
        box.fill(0, 0.5)
        wait_until(lambda: box.fires(url) == 0, 20, lambda: judge.output)
        box.fill(0, 0.96)
        wait_until(lambda: box.fires(url) == 1, 20, lambda: judge.output)
        box.fill(1, 0.97)
        wait_until(lambda: len(box.mails()) == 2, 20, lambda: judge.output)
        assert "GPU 1" in box.mails()[-1]["Subject"]
        assert "uuid=" in box.command("list", url=url)
        assert "; silences: 1" in CLIENT.get(f"{url}/status").text
        box.command("end", "--all", url=url)
        wait_until(lambda: len(box.mails()) == 3, 20, lambda: judge.output)
        assert "GPU 0 memory is 96.0 % full" in box.mails()[-1]["Subject"]
        assert box.mails()[-1]["X-Gpuwarden-Reason"] == "first"
        found = series(url)["gpuwarden_alerter_notifications_suppressed_total"]
        assert found[("reason", "silenced"),] >= 2


def test_without_a_running_alerter_the_silence_waits_for_it_in_the_state_folder(tmp_path, fake_driver):
    """Whoever wants quiet before the start would have to hurry after it, and a kill -9 would forget a silence."""
    box = Box(tmp_path, fake_driver)
    nobody = "http://127.0.0.1:1"
    said = box.command("add", "--for", "1h", NAMED, "gpu=0", "--comment", "at work", "--by", "ann", url=nobody)
    assert f"in {tmp_path / 'state'}, since no alerter runs" in said
    box.fill(0, 0.95)
    with box.smtp, exporter(tmp_path, box.driver.environment()) as page:
        with box.alerter(page.url) as judge:
            first = judge.url
            wait_until(lambda: box.fires(first) == 1, 20, lambda: judge.output)
            own = {"GPUWARDEN_ALERTER_STATE": str(tmp_path / "state"), "GPUWARDEN_ALERTER_LISTEN": "127.0.0.1:1"}
            refused = run("silence", "list", home=tmp_path, environ=own)
            assert refused.returncode == 1
            assert "another alerter works with the state folder" in refused.stderr
            judge.kill()
        with box.alerter(page.url) as judge:
            url = judge.url
            listed = box.command("list", url=url)
            assert re.search(r'active +in 59 min .*alertname="GpuMemoryAlmostFull" gpu="0" +ann +at work', listed)
            box.fill(1, 0.95)
            wait_until(lambda: len(box.mails()) == 1, 20, lambda: judge.output)
        assert "GPU 1" in box.mails()[0]["Subject"]
        identity = listed.splitlines()[1].split()[0]
        assert "ended 1 silence in" in box.command("end", identity, url=nobody)
        assert "no silences in" in box.command("list", url=nobody)
        assert "expired" in box.command("list", "--ended", url=nobody)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["add"], 2, "Missing argument"),
        (["add", "gpu"], 2, "is not a matcher"),
        (["add", "gpu=~(", "--for", "1h"], 2, "is not a regular expression"),
        (["add", "gpu=", "--for", "1h"], 2, "would cover everything"),
        (["add", "gpu=1", "--for", "0s"], 2, "--for"),
        (["add", "gpu=1", "--for", "4 hours"], 2, "write 30s, 5m, 1h30m"),
        (["end"], 2, "--all"),
        (["end", "nope"], 2, "there is no silence 'nope'"),
        (["list", "--url", "http://127.0.0.1:1"], 1, "nothing answers at http://127.0.0.1:1"),
        (["list", "--url", "nonsense"], 2, "--url: is not an http or https URL"),
    ],
)
def test_a_mistake_is_told_in_words_and_by_the_exit_status(tmp_path, words, status, said):
    """A script would go on as if all were quiet."""
    environ = {"GPUWARDEN_ALERTER_LISTEN": "127.0.0.1:1"}
    done = run("silence", *words, home=tmp_path, environ=environ)
    assert (done.returncode, "Traceback" in done.stderr) == (status, False)
    assert said in done.stderr


def test_behind_alertmanager_the_settings_must_say_where_it_is(tmp_path):
    """The silence would go into a folder in which nobody looks."""
    environ = {"GPUWARDEN_ALERTER_JUDGE": "alertmanager"}
    done = run("silence", "list", home=tmp_path, environ=environ)
    assert done.returncode == 2
    assert "alerter.alertmanager.url" in done.stderr


def test_a_misspelt_alert_is_said(tmp_path):
    """Somebody would believe in a silence that covers nothing."""
    environ = {"GPUWARDEN_ALERTER_LISTEN": "127.0.0.1:1"}
    done = run("silence", "add", "alertname=GpuMemoryAlmostFul", home=tmp_path, environ=environ)
    assert done.returncode == 0
    assert "no rule in force is called 'GpuMemoryAlmostFul' (did you mean 'GpuMemoryAlmostFull'?)" in done.stderr


def test_an_alerter_behind_tls_and_a_password_is_reached_with_the_keys_in_the_settings(tmp_path):
    """Who locks the alerter's page could not silence it any more."""
    secrets = Secrets(tmp_path)
    locked = {"GPUWARDEN_ALERTER_WEB_CONFIG": str(secrets.config())}
    with alerter(tmp_path, "http://127.0.0.1:1", environ=locked) as judge:
        url = judge.wait_for(r"listening on (https://\S+)").group(1)
        own = {**locked, "GPUWARDEN_ALERTER_LISTEN": url.removeprefix("https://")}
        own["GPUWARDEN_ALERTER_STATE"] = str(tmp_path / "state")
        refused = run("silence", "add", "gpu=1", home=tmp_path, environ=own)
        assert (refused.returncode, "certificate" in refused.stderr) == (1, True)
        own["GPUWARDEN_ALERTER_SCRAPE_CA_FILE"] = str(tmp_path / "ca.pem")
        refused = run("silence", "add", "gpu=1", home=tmp_path, environ=own)
        assert (refused.returncode, "answered 401" in refused.stderr) == (1, True)
        assert "alerter.scrape.username and password_file" in refused.stderr
        own["GPUWARDEN_ALERTER_SCRAPE_USERNAME"] = "alice"
        own["GPUWARDEN_ALERTER_SCRAPE_PASSWORD_FILE"] = str(write(tmp_path / "password", f"{PASSWORD}\n"))
        made = run("silence", "add", "gpu=1", home=tmp_path, environ=own)
        assert (made.returncode, f"at {url}" in made.stdout) == (0, True)


@pytest.mark.prometheus
def test_alertmanagers_own_tool_works_with_the_alerter(tmp_path):
    """Who has scripts around amtool would have to write them anew."""
    amtool = shutil.which("amtool")
    if amtool is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("amtool is not installed")
    with alerter(tmp_path, "http://127.0.0.1:1") as judge:
        url = judge.url

        def ask(*words):
            command = [amtool, f"--alertmanager.url={url}", "silence", *words]
            return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout

        identity = ask("add", "--author=ann", "--comment=known", "-d", "2h", NAMED, 'model=~"gpt.*"').strip()
        assert re.search(rf'{identity} +alertname="GpuMemoryAlmostFull" model=~"gpt\.\*"', ask("query"))
        assert identity in ask("query", NAMED)
        assert identity not in ask("query", "alertname=Other")
        assert identity in ask("update", "-d", "3h", identity)
        ask("expire", identity)
        assert identity not in ask("query")
        assert identity in ask("query", "--expired")
        assert CLIENT.get(f"{url}/api/v2/silence/{identity}").json()["status"] == {"state": "expired"}
