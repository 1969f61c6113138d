"""What goes wrong between a real Alertmanager and the alerter: silences, restarts, twins, rubbish."""

import contextlib
import json
import re
import shlex

import httpx
import pytest

from tests.e2e.running import CLIENT, run, wait_until
from tests.e2e.test_alertmanager import SECRET, Stack, parsed, subjects, told
from tests.fakes.alertmanager_posts import payload, posted

pytestmark = pytest.mark.prometheus
MEMORY = "GpuMemoryAlmostFull"


def known(judge):
    """The cards whose memory alert the alerter takes for firing."""
    found = CLIENT.get(f"{judge.url}/api/v1/alerts").json()["data"]["alerts"]
    return {alert["labels"]["gpu"] for alert in found if alert["labels"]["alertname"] == MEMORY}


def reasons(stack):
    mails = [parsed(mail) for mail in stack.smtp.mails() if mail.recipients == ("ann@example.com",)]
    return [mail["X-Gpuwarden-Reason"] for mail in mails]


def test_the_command_in_the_mail_silences_in_alertmanager_and_what_ends_under_it_is_closed(tmp_path, fake_driver):
    """The line in the mail would be for one mode only, and an alert that ended under a silence would fire for ever."""
    with Stack(tmp_path, fake_driver) as stack:
        asking = {"ALERTMANAGER_URL": stack.url("alertmanager"), "ALERTMANAGER_ASK_AFTER": "3s"}
        environ = {"GPUWARDEN_ALERTER_JUDGE": "alertmanager"}
        environ["GPUWARDEN_ALERTER_ALERTMANAGER_URL"] = stack.url("alertmanager")
        with stack.alerter(**asking) as judge:
            words = lambda: f"{judge.output}\n{stack.tail()}"  # noqa: E731 -- said when a wait fails
            stack.fill(0, 0.95)
            wait_until(lambda: len(told(stack)) == 2, 40, words)
            text = parsed(stack.smtp.mails()[0]).get_body(("plain",)).get_content()
            line = shlex.split(re.search(r"^gpuwarden (silence add .*)$", text, re.MULTILINE)[1])
            made = run(*line, "--by", "ann", home=tmp_path, environ=environ)
            assert (made.returncode, made.stderr) == (0, "")
            assert f"at {stack.url('alertmanager')}" in made.stdout
            listed = run("silence", "list", home=tmp_path, environ=environ)
            assert re.search(rf'active .*alertname="{MEMORY}" uuid="GPU-\S+" +ann', listed.stdout)
            wait_until(lambda: stack.alerts("suppressed") == {"0"}, 30, words)
            assert known(judge) == {"0"}
            stack.fill(0, 0.5)
            judge.wait_for(rf"{MEMORY} dropped \(gone_from_alertmanager\)", 40)
            assert known(judge) == set()
            assert "was not taken" not in judge.output
            ended = run("silence", "end", "--all", home=tmp_path, environ=environ)
            assert ended.stdout.startswith("ended 1 silence at")
            stack.fill(0, 0.96)
            wait_until(lambda: len(told(stack)) == 4, 40, words)
        assert reasons(stack) == ["first", "first"]
        assert "96.0 %" in subjects(stack)[-1]


def test_an_alertmanager_that_was_killed_and_forgot_everything_tells_nothing_twice(tmp_path, fake_driver):
    """Each crash of Alertmanager would be another mail about everything that fires, or none about its end."""
    with Stack(tmp_path, fake_driver) as stack:
        asking = {"ALERTMANAGER_URL": stack.url("alertmanager"), "ALERTMANAGER_ASK_AFTER": "5s"}
        with stack.alerter(**asking) as judge:
            words = lambda: f"{judge.output}\n{stack.tail()}"  # noqa: E731 -- said when a wait fails
            stack.fill(0, 0.95)
            wait_until(lambda: len(told(stack)) == 2, 40, words)
            stack.alertmanagers["alertmanager"].kill()
            stack.alertmanagers["alertmanager"].wait(10)
            judge.wait_for("Alertmanager at .* cannot be asked about what it does not post", 40)
            assert known(judge) == {"0"}
            with stack.alertmanager():
                wait_until(lambda: stack.alerts("active") == {"0"}, 40, words)
                stack.fill(1, 0.97)
                wait_until(lambda: len(told(stack)) == 4, 40, words)
                judge.wait_for("Alertmanager at .* can be asked again", 40)
                stack.fill(0, 0.5)
                wait_until(lambda: len(told(stack)) == 6, 40, words)
            assert known(judge) == {"1"}
        assert "gone_from_alertmanager" not in judge.output
        assert reasons(stack) == ["first", "first", "resolved"]


def test_two_alertmanagers_that_know_nothing_of_each_other_are_one_mail_for_each_incident(tmp_path, fake_driver):
    """Who runs two for safety would get everything twice."""
    twins = ("alertmanager", "alertmanager-two")
    with Stack(tmp_path, fake_driver, alertmanagers=twins) as stack, stack.alerter() as judge:
        words = lambda: f"{judge.output}\n{stack.tail()}"  # noqa: E731 -- said when a wait fails

        def both(state, cards):
            return all(stack.alerts(state, by=name) == cards for name in twins)

        stack.fill(0, 0.95)
        wait_until(lambda: both("active", {"0"}), 40, words)
        wait_until(lambda: len(told(stack)) == 2, 40, words)
        stack.fill(0, 0.5)
        wait_until(lambda: both("active", set()), 40, words)
        wait_until(lambda: len(told(stack)) == 4, 40, words)
        stack.fill(1, 0.95)
        wait_until(lambda: both("active", {"1"}), 40, words)
        wait_until(lambda: len(told(stack)) == 6, 40, words)
        with contextlib.suppress(AssertionError):  # time for the slower twin's post to do harm
            wait_until(lambda: len(told(stack)) > 6, 3, "")
        assert reasons(stack) == ["first", "resolved", "first"]


def test_what_ends_while_the_alerter_is_dead_is_told_after_its_start(tmp_path, fake_driver):
    """The all-clear would be lost in a crash: Alertmanager has it no more, and its post of it is still to come."""
    with Stack(tmp_path, fake_driver) as stack:
        asking = {"ALERTMANAGER_URL": stack.url("alertmanager"), "ALERTMANAGER_ASK_AFTER": "1m"}
        with stack.alerter(**asking) as judge:
            stack.fill(0, 0.95)
            wait_until(lambda: len(told(stack)) == 2, 40, lambda: f"{judge.output}\n{stack.tail()}")
            judge.kill()
        stack.fill(0, 0.5)
        wait_until(lambda: stack.alerts("active") == set(), 40, stack.tail)
        with stack.alerter(**asking) as again:
            wait_until(lambda: len(told(stack)) == 4, 50, lambda: f"{again.output}\n{stack.tail()}")
            assert known(again) == set()
            assert "gone_from_alertmanager" not in again.output
        assert reasons(stack)[-1] == "resolved"


RUBBISH = [
    b"",
    b"{",
    b"\x00\xff" * 1000,
    b"[" * 100_000,
    json.dumps({"version": "5", "alerts": []}).encode(),
    json.dumps({"version": "4", "alerts": [{"status": "firing"}]}).encode(),
    json.dumps({"version": "4", "alerts": [{"status": "firing", "labels": {"alertname": 7}}]}).encode(),
    payload(posted(start=1.0))[:-20],
    b" " * (11 * 2**20),
]


def test_rubbish_on_the_webhook_keeps_no_alert_from_its_mail_and_does_not_fill_the_log(tmp_path, fake_driver):
    """Anyone who reaches the port could bury the alert, or the one line in the log that matters."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {SECRET}"}
    with Stack(tmp_path, fake_driver) as stack, stack.alerter() as judge:
        url = judge.url
        for number in range(100):
            body = RUBBISH[number % len(RUBBISH)]
            with contextlib.suppress(httpx.TransportError):  # cut off while a large body is still being sent
                assert CLIENT.post(f"{url}/webhook", content=body, headers=headers).status_code in {400, 413}
            assert CLIENT.post(f"{url}/webhook", content=b"{}", headers={"authorization": "x"}).status_code == 401
        stack.fill(0, 0.95)
        wait_until(lambda: len(told(stack)) == 2, 40, lambda: f"{judge.output}\n{stack.tail()}")
        assert CLIENT.get(f"{url}/-/healthy").status_code == 200
        refusals = [line for line in judge.lines if "refused for good" in line]
        assert sorted(re.search(r"with (\d+)", line)[1] for line in refusals) == ["400", "401", "413"]
