"""A Prometheus that is started anew while an alert fires: what the stack's grace period is for."""

import contextlib
import datetime as dt

import pytest

from tests.e2e.running import CLIENT, wait_until, write
from tests.e2e.test_alertmanager import Stack, subjects

pytestmark = pytest.mark.prometheus

GRACE = "--rules.alert.for-grace-period=1s"
"""Scaled as the rest is; in compose/base.yaml it is 10s, two evaluations."""

RESEND = "--rules.alert.resend-delay=3s"
"""Alertmanager ends an alert of which it hears nothing for four times this."""

PATIENT = "rules:\n  - {override: GpuMemoryAlmostFull, for: 16s, keep_firing_for: 1s}\n"
"""Longer than those 12 s: an alert that waits for its `for` anew is ended meanwhile."""


class Restartable(Stack):
    """The stack, whose Prometheus can be killed and started again on the same data."""

    def __init__(self, tmp_path, fake_driver):
        super().__init__(tmp_path, fake_driver)
        self.quick = write(tmp_path / "quick.yml", PATIENT)

    @contextlib.contextmanager
    def prometheus(self, target):
        self.start = lambda: super(Restartable, self).prometheus(target, GRACE, RESEND)
        self.running = contextlib.ExitStack()
        with self.running:
            self.process = self.running.enter_context(self.start())
            yield

    def restart(self):
        self.process.kill()
        self.running.close()
        self.process = self.running.enter_context(self.start())

    def heard_of(self, gpu):
        """When Alertmanager last heard of the card's alert, empty where it knows of none."""
        found = CLIENT.get(f"{self.url('alertmanager')}/api/v2/alerts").json()
        mine = [alert for alert in found if alert["labels"].get("gpu") == gpu]
        return max((alert["updatedAt"] for alert in mine), default="")


def test_a_restart_of_prometheus_is_no_news(tmp_path, fake_driver):
    """An update of the stack mails RESOLVED about a card that is as full as before, and then that it is full."""
    with Restartable(tmp_path, fake_driver) as stack, stack.alerter() as judge:
        judge.wait_for("listening")
        stack.fill(0, 0.95)
        wait_until(lambda: len(stack.smtp.mails()) == 2, 40, lambda: f"no mail\n{judge.output}\n{stack.tail()}")
        stack.restart()
        restarted = dt.datetime.now(dt.UTC).isoformat()
        wait_until(lambda: stack.heard_of("0") > restarted, 30, stack.tail)
        assert stack.alerts("active") == {"0"}
        assert len(stack.smtp.mails()) == 2, subjects(stack)
        stack.fill(0, 0.5)
        wait_until(lambda: len(stack.smtp.mails()) == 4, 40, stack.tail)
        assert subjects(stack)[-1].startswith("[RESOLVED]")
