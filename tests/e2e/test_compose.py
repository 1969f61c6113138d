"""The demo stack from the real files, with a real engine: from a simulated card to a mail, and the rules of a user."""

import json
import re

import pytest

from tests.docker.stack import Stack, images, require_engine
from tests.polling import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]

RULE = "GpuMemoryAlmostFull"
# Shorter waits than the shipped ones, as a user would write them.
RULES = f"rules:\n  - {{override: {RULE}, for: 10s, keep_firing_for: 10s}}\n"
LOWER = f"rules:\n  - {{override: {RULE}, for: 10s, keep_firing_for: 10s, above: 0.70, clear: 0.65}}\n"
WRONG = f"rules:\n  - {{override: {RULE}, abov: 0.70}}\n"
MINUTE = 60.0


@pytest.fixture
def stack(tmp_path):
    require_engine()
    with images():
        running = Stack(tmp_path, RULES)
        try:
            running.up()
            yield running
        finally:
            print(running.report())
            running.down()


def test_the_demo_mails_and_follows_the_users_rules(stack):
    """The promise of the first screen: one command, a mail about the full card, thresholds that one file changes."""
    _a_mail_comes_about_the_full_card(stack)
    _every_query_of_the_wall_has_data(stack)
    made = stack.inside("alerter", "gpuwarden", "silence", "add", "--for", "1h", f"alertname={RULE}", "gpu=3")
    silence = stack.amtool("silence", "query", "--quiet")
    assert made.endswith(f"gpuwarden silence end {silence}\n")
    _one_file_changes_rule_and_wall(stack)
    wait_until(lambda: _states(stack, "3") == ["suppressed"], MINUTE, "card 3 does not fire at the new threshold")
    _a_mistake_changes_nothing(stack)
    _its_resolved_mail_comes(stack)
    assert _states(stack, "3") == ["suppressed"]
    assert stack.mails("gpu=3D3") == [], "a mail came in spite of the silence"
    assert "ended 1 silence at http://alertmanager:9093" in stack.inside(
        "alerter", "gpuwarden", "silence", "end", "--all"
    )
    wait_until(lambda: stack.mails("gpu=3D3"), MINUTE, "no mail after the silence")
    assert b"above 70.0 %" in stack.mails("gpu=3D3")[0].data


def _a_mail_comes_about_the_full_card(stack):
    wait_until(lambda: stack.mails("gpu=3D2"), 3 * MINUTE, "no mail within three minutes")
    (mail,) = stack.mails("gpu=3D2")
    assert mail.tls
    assert mail.user == "me@example.com"
    assert mail.recipients == ("me@example.com",)
    for part in (b"Subject: [SIMULATED] [CRITICAL] GPU 2 memory is 9", b"above 90.0 %", b"train_gpt2.py"):
        assert part in mail.data


def _its_resolved_mail_comes(stack):
    wait_until(lambda: stack.mails("gpu=3D2", "RESOLVED"), 4 * MINUTE, "no resolved mail")
    first, resolved = stack.mails("gpu=3D2")
    root = re.search(rb"(?mi)^Message-ID: (\S+)", first.data).group(1)
    assert re.search(rb"(?mi)^In-Reply-To: (\S+)", resolved.data).group(1) == root


def _every_query_of_the_wall_has_data(stack):
    dashboard = json.loads(stack.generated("grafana/dashboards/wall.json"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert queries
    for query in queries:
        now = re.sub(r"\$__(rate_)?interval\b|\$\{__(rate_)?interval\}", "20s", query)
        wait_until(lambda now=now: stack.query(now), MINUTE, f"the wall asks in vain: {query}")


def _one_file_changes_rule_and_wall(stack):
    before = stack.generated("grafana/dashboards/wall.json")
    assert _threshold(stack) == "0.9"
    stack.write_rules(LOWER)
    stack.up()
    wait_until(lambda: _threshold(stack) == "0.7", MINUTE, "Prometheus has the old rule")
    after = stack.generated("grafana/dashboards/wall.json")
    assert '"value": 0.9' in before
    assert '"value": 0.7' not in before
    assert '"value": 0.7' in after


def _a_mistake_changes_nothing(stack):
    before = stack.generated("prometheus/gpuwarden.rules.yml")
    stack.write_rules(WRONG)
    assert stack.up(check=False).returncode != 0
    assert "did you mean 'above'?" in stack.compose("logs", "generate").stdout
    assert stack.generated("prometheus/gpuwarden.rules.yml") == before
    stack.write_rules(LOWER)


def _threshold(stack):
    """The number in the first comparison of the rule that Prometheus judges."""
    (rule,) = (rule for group in stack.prometheus("rules")["groups"] for rule in group["rules"] if rule["name"] == RULE)
    return re.match(r"gpu_memory_used_ratio > ([\d.]+)", rule["query"]).group(1)


def _states(stack, gpu):
    return [alert["status"]["state"] for alert in stack.alerts(RULE, gpu=gpu)]
