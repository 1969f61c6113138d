"""The road through a real Prometheus and a real Alertmanager, from a driver's reading to a mail server."""

import contextlib
import datetime as dt
import email
import email.policy
import os
import re
import shutil
import socket
import sqlite3
import subprocess

import httpx
import pytest
import yaml

from alerts.alertmanager_config import alertmanager_config
from alerts.prometheus_rules import rule_file
from alerts.rules import SHIPPED, load_rules
from alerts.store import FILE_NAME
from tests.e2e.running import CLIENT, alerter, exporter, wait_until, write
from tests.fakes.nvml.gpu import Process
from tests.fakes.smtp.server import SmtpServer
from tests.fakes.waited import told_earlier

pytestmark = pytest.mark.prometheus
GIB = 2**30
SECRET = "correct horse battery"
QUICK = "rules:\n  - {override: GpuMemoryAlmostFull, for: 1s, keep_firing_for: 1s}\n"


def program(name):
    """The path of an installed program, else the test is not run; in CI that is a failure."""
    found = shutil.which(name)
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{name} is not installed")
    return found


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@contextlib.contextmanager
def running(folder, name, *arguments):
    """A server of the stack for the time of the block; its words are in ``folder``."""
    with (
        (folder / f"{name}.log").open("ab") as log,
        subprocess.Popen([program(name), *arguments], cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


class Stack:
    """Two cards, exporter, Prometheus, Alertmanager, alerter and a mail server, all real but the cards."""

    def __init__(self, tmp_path, fake_driver, quick=QUICK, alertmanagers=("alertmanager",), *, repeat="1h"):
        self.home, self.repeat = tmp_path, repeat
        self.driver = fake_driver("rtx-3060", "rtx-3090")
        for number in (0, 1):
            self.fill(number, 0.5)
        self.smtp = SmtpServer(tmp_path / "smtp")
        self.quick = write(tmp_path / "quick.yml", quick)
        self.secret = write(tmp_path / "secret", f"{SECRET}\n")
        self.ports = {name: free_port() for name in ("prometheus", *alertmanagers, "alerter")}
        self.alertmanagers = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        with self._stack as stack:
            stack.enter_context(self.smtp)
            self.page = stack.enter_context(exporter(self.home, self.driver.environment()))
            for name in (name for name in self.ports if name.startswith("alertmanager")):
                self.alertmanagers[name] = stack.enter_context(self.alertmanager(name))
            stack.enter_context(self.prometheus(self.page.url.removeprefix("http://")))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *failure):
        return self._stack.__exit__(*failure)

    def fill(self, number, ratio):
        gpu = self.driver.gpu(number)
        gpu.memory_used = int(ratio * (gpu.memory_total - gpu.memory_reserved))

    def url(self, name):
        return f"http://127.0.0.1:{self.ports[name]}"

    def alerter(self, **more):
        """The alerter; Prometheus is its witness and Alertmanager its judge. ``more`` are settings of it."""
        settings = {
            "JUDGE": "alertmanager",
            "PROMETHEUS_URL": self.url("prometheus"),
            "WEBHOOK_SECRET_FILE": str(self.secret),
            "MAIL_HOST": "127.0.0.1",
            "MAIL_PORT": str(self.smtp.port),
            "MAIL_SECURITY": "none",
            "MAIL_FROM": "gpuwarden <gpuwarden@example.com>",
            "MAIL_TO": "ann@example.com,bob@example.com",
            "LISTEN": f"127.0.0.1:{self.ports['alerter']}",
            **more,
        }
        environ = {f"GPUWARDEN_ALERTER_{key}": value for key, value in settings.items()}
        arguments = ("--rules", str(self.quick), "--listen", settings["LISTEN"])
        return alerter(self.home, "http://127.0.0.1:1", *arguments, environ=environ)

    def alertmanager(self, name="alertmanager"):
        """An Alertmanager; each one by its own ``name`` and port knows nothing of the others."""
        hook = {
            "url": f"{self.url('alerter')}/webhook",
            "send_resolved": True,
            "http_config": {"authorization": {"type": "Bearer", "credentials_file": str(self.secret)}},
        }
        times = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": self.repeat}
        made = yaml.safe_load(alertmanager_config(hook["url"], None, load_rules(SHIPPED, [self.quick])))
        document = {
            "route": {"receiver": "gpuwarden", "group_by": ["..."], **times},
            "inhibit_rules": made["inhibit_rules"],
            "receivers": [{"name": "gpuwarden", "webhook_configs": [hook]}],
        }
        write(self.home / "alertmanager.yml", yaml.safe_dump(document))
        listen = f"--web.listen-address=127.0.0.1:{self.ports[name]}"
        alone = "--cluster.listen-address="
        files = ("--config.file=alertmanager.yml", f"--storage.path={self.home / name}")
        return running(self.home, "prometheus-alertmanager", *files, listen, alone)

    def prometheus(self, target, *flags):
        write(self.home / "gpuwarden.rules.yml", rule_file(load_rules(SHIPPED, [self.quick])))
        everyone = [f"127.0.0.1:{port}" for name, port in self.ports.items() if name.startswith("alertmanager")]
        am = {"static_configs": [{"targets": everyone}]}
        document = {
            "global": {"scrape_interval": "300ms", "scrape_timeout": "300ms", "evaluation_interval": "300ms"},
            "rule_files": ["gpuwarden.rules.yml"],
            "alerting": {"alertmanagers": [am]},
            "scrape_configs": [{"job_name": "gpuwarden", "static_configs": [{"targets": [target]}]}],
        }
        write(self.home / "prometheus.yml", yaml.safe_dump(document))
        listen = f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}"
        files = ("--config.file=prometheus.yml", f"--storage.tsdb.path={self.home / 'prometheus'}")
        often = flags or ("--rules.alert.resend-delay=1s",)
        return running(self.home, "prometheus", *files, listen, "--log.level=warn", *often)

    def alerts(self, state, alertname="GpuMemoryAlmostFull", *, by="alertmanager"):
        """The cards whose memory alert an Alertmanager holds in this state; none while it does not answer."""
        try:
            found = CLIENT.get(f"{self.url(by)}/api/v2/alerts").json()
        except httpx.TransportError:
            return set()
        mine = [alert for alert in found if alert["labels"]["alertname"] == alertname]
        return {alert["labels"]["gpu"] for alert in mine if alert["status"]["state"] == state}

    def silence(self, gpu):
        """Silence a card through Alertmanager's API; returns the silence's id."""
        now = dt.datetime.now(dt.UTC)
        body = {
            "matchers": [{"name": "gpu", "value": gpu, "isRegex": False}],
            "startsAt": now.isoformat(),
            "endsAt": (now + dt.timedelta(hours=1)).isoformat(),
            "createdBy": "ann",
            "comment": "known",
        }
        return CLIENT.post(f"{self.url('alertmanager')}/api/v2/silences", json=body).json()["silenceID"]

    def tail(self):
        logs = [path.read_text()[-2000:] for path in self.home.glob("*.log")]
        return "\n".join(logs)


def parsed(mail):
    return email.message_from_bytes(mail.data, policy=email.policy.default)


def subjects(stack):
    return [str(parsed(mail)["Subject"]) for mail in stack.smtp.mails() if mail.recipients == ("ann@example.com",)]


def test_from_the_driver_through_prometheus_and_alertmanager_to_the_inbox(tmp_path, fake_driver):
    """The stack that people start would not send the one mail for which it is there, or one that nobody can use."""
    with Stack(tmp_path, fake_driver) as stack, stack.alerter() as judge:
        process = Process(pid=4_100_000, memory=9 * GIB, name=b"/usr/bin/train_gpt")
        stack.driver.gpu(0).set_processes([process])
        judge.wait_for("listening")
        stack.fill(0, 0.95)
        wait_until(lambda: len(stack.smtp.mails()) >= 2, 40, lambda: f"no mail\n{judge.output}\n{stack.tail()}")
        stack.fill(0, 0.70)
        mails = stack.smtp.wait_mails(4, 30)

        firing, resolved = (parsed(mail) for mail in mails if mail.recipients == ("ann@example.com",))
        text = firing.get_body(("plain",)).get_content()
        assert "GPU 0 memory is 95.0 % full" in firing["Subject"]
        assert re.search(r"9\.0 GiB +train_gpt", text)
        assert f"Host: {socket.gethostname()}" in text
        assert "above 90.0 %" in text
        assert firing["X-Gpuwarden-Reason"] == "first"
        assert resolved["Subject"].startswith("[RESOLVED]")
        assert resolved["In-Reply-To"] == firing["Message-ID"]
        assert "70.0 %" in resolved.get_body(("plain",)).get_content()
        assert SECRET not in judge.output

        silence = stack.silence("0")
        stack.fill(0, 0.96)
        wait_until(lambda: stack.alerts("suppressed") == {"0"}, 30, stack.tail)
        stack.fill(1, 0.97)
        mails = stack.smtp.wait_mails(6, 30)
        assert len(mails) == 6
        assert "GPU 1 memory is 97.0 % full" in subjects(stack)[-1]

        CLIENT.delete(f"{stack.url('alertmanager')}/api/v2/silence/{silence}")
        stack.smtp.wait_mails(8, 30)
        assert "GPU 0 memory is 96.0 % full" in subjects(stack)[-1]
        assert len(stack.smtp.mails()) == 8


def told(stack):
    """Who got which mail; a kill -9 between a mail's end and its mark sends the same one again."""
    return {(mail.recipients, parsed(mail)["Message-ID"]) for mail in stack.smtp.mails()}


def test_alertmanager_keeps_what_the_alerter_could_not_take(tmp_path, fake_driver):
    """An alert that fires while the alerter is down, or while its disk takes nothing, would never be told."""
    with Stack(tmp_path, fake_driver) as stack:
        stack.fill(0, 0.95)
        wait_until(lambda: stack.alerts("active") == {"0"}, 40, stack.tail)
        with stack.alerter() as judge:
            wait_until(lambda: len(told(stack)) == 2, 40, stack.tail)
            judge.kill()
        with (
            stack.alerter() as again,
            contextlib.closing(sqlite3.connect(tmp_path / "state" / FILE_NAME, isolation_level=None)) as blocker,
        ):
            again.wait_for("listening")
            blocker.execute("BEGIN IMMEDIATE")
            stack.fill(1, 0.97)
            again.wait_for("a post was not taken: the state in .* is not available", 40)
            assert CLIENT.get(f"{again.url}/-/healthy").status_code == 503
            blocker.execute("ROLLBACK")
            wait_until(lambda: len(told(stack)) == 4, 40, lambda: f"{again.output}\n{stack.tail()}")
            stack.fill(0, 0.5)
            wait_until(lambda: len(told(stack)) == 6, 40, lambda: f"{again.output}\n{stack.tail()}")
            assert CLIENT.get(f"{again.url}/-/healthy").status_code == 200

        assert [subject.partition("]")[0] for subject in subjects(stack)].count("[RESOLVED") == 1


LADDER = """
rules:
  - {override: GpuMemoryAlmostFull, for: 1s, keep_firing_for: 1s}
  - {override: GpuMemoryHigh, for: 3s, keep_firing_for: 1s}
"""


def test_a_ladder_is_one_mail_for_each_rung_that_a_card_falls(tmp_path, fake_driver):
    """A card that fills up would be a mail for each rule about it, and one that is 84 % full would be called well."""
    with Stack(tmp_path, fake_driver, LADDER) as stack, stack.alerter() as judge:
        judge.wait_for("listening")
        stack.fill(0, 0.95)
        wait_until(lambda: "0" in stack.alerts("suppressed", "GpuMemoryHigh"), 40, stack.tail)
        assert len(subjects(stack)) == 1
        stack.fill(0, 0.84)
        wait_until(lambda: len(subjects(stack)) >= 3, 40, lambda: f"{judge.output}\n{stack.tail()}")
        stack.fill(0, 0.50)
        wait_until(lambda: len(subjects(stack)) >= 4, 40, lambda: f"{judge.output}\n{stack.tail()}")

        mails = [parsed(mail) for mail in stack.smtp.mails() if mail.recipients == ("ann@example.com",)]
        mails = [parsed(mail) for mail in stack.smtp.mails() if mail.recipients == ("ann@example.com",)]
        story = [(mail["X-Gpuwarden-Alert"], mail["X-Gpuwarden-Reason"]) for mail in mails]
        grave, slight = "GpuMemoryAlmostFull", "GpuMemoryHigh"
        assert (story[0], story[3]) == ((grave, "first"), (slight, "resolved"))
        # Alertmanager posts each alert by itself, in any order.
        assert story[1:3] in ([(grave, "resolved"), (slight, "lowered")], [(slight, "first"), (grave, "resolved")])
        assert [mail["In-Reply-To"] for mail in mails] == [None, *[mails[0]["Message-ID"]] * 3]


def test_a_repeat_answers_the_post_after_its_time(tmp_path, fake_driver):
    """A card that stays full would be one mail, or one with each post of Alertmanager."""
    with Stack(tmp_path, fake_driver, repeat="3s") as stack:
        stack.fill(0, 0.95)
        with stack.alerter() as judge:
            wait_until(lambda: len(told(stack)) == 2, 40, lambda: f"{judge.output}\n{stack.tail()}")
            seen = CLIENT.get(f"{judge.url}/status").text
            wait_until(lambda: CLIENT.get(f"{judge.url}/status").text != seen, 40, "no further post")
            judge.kill()
        assert told_earlier(tmp_path / "state", 5 * 3600) == 1
        with stack.alerter() as again:
            wait_until(lambda: len(told(stack)) == 4, 40, lambda: f"{again.output}\n{stack.tail()}")
            stack.fill(0, 0.5)
            wait_until(lambda: len(told(stack)) == 6, 40, lambda: f"{again.output}\n{stack.tail()}")

        mails = {parsed(mail)["Message-ID"]: parsed(mail) for mail in stack.smtp.mails()}.values()
        assert [mail["X-Gpuwarden-Reason"] for mail in mails] == ["first", "repeat", "resolved"]


def test_what_comes_and_goes_is_told_once_and_again_when_it_lasts_and_nobody_silenced_it(tmp_path, fake_driver):
    """A silence that somebody makes because of what flaps would be broken by the next mail about it."""
    with Stack(tmp_path, fake_driver) as stack:
        flapping = {
            f"NOTIFY_FLAPPING_{key}": text for key, text in (("COUNT", "2"), ("DELAY", "3s"), ("LONGEST", "3s"))
        }
        asked = {"ALERTMANAGER_URL": stack.url("alertmanager"), "ALERTMANAGER_ASK_AFTER": "2s"}
        with stack.alerter(**flapping, **asked) as judge:
            for number, ratio in enumerate((0.95, 0.5, 0.95), 1):
                stack.fill(0, ratio)
                wait_until(lambda n=number: len(told(stack)) == 2 * n, 40, lambda: f"{judge.output}\n{stack.tail()}")
            silence = stack.silence("0")
            wait_until(lambda: stack.alerts("suppressed") == {"0"}, 30, stack.tail)
            stack.fill(1, 0.97)
            wait_until(lambda: len(told(stack)) == 8, 40, lambda: f"{judge.output}\n{stack.tail()}")
            CLIENT.delete(f"{stack.url('alertmanager')}/api/v2/silence/{silence}")
            wait_until(lambda: len(told(stack)) == 10, 40, lambda: f"{judge.output}\n{stack.tail()}")

        mails = [parsed(mail) for mail in stack.smtp.mails() if mail.recipients == ("ann@example.com",)]
        story = [mail["X-Gpuwarden-Reason"] for mail in mails]
        assert story == ["first", "resolved", "flapping", "first", "repeat"]
        assert "fired 2 times" in mails[-1].get_body(("plain",)).get_content()
        assert mails[-1]["In-Reply-To"] == mails[0]["Message-ID"]
