"""The override that a mail offers for what is normal here: what the shipped rules make of it."""

import pytest

from alerts.rules import SHIPPED, load_rules, rules_of
from alerts.series import label_set
from alerts.suggestion import suggestion
from gpuwarden.documents import parse

RULES = {rule.alert: rule for rule in load_rules(SHIPPED, [])}
CARD = label_set({"job": "gpuwarden", "instance": "box:9400", "gpu": "0", "uuid": "GPU-a"})
OFF = "    enabled: false"


def own(text):
    (rule,) = rules_of([parse(f"rules: [{{alert: A, {text}, severity: info, summary: s}}]", "own.yml")])
    return rule


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (RULES["GpuIdleMemoryHeld"], 86_460.0),
        (own("metric: gpu_throttle_seconds_total, above: 60"), 61.0),
        (own("metric: gpu_pcie_replays_total, above: 60"), 61.0),
        (own("metric: node_vmstat_oom_kill_total, unit: count, above: 0"), 1.0),
        (own("metric: job_age_seconds, unit: seconds, above: 60"), 61.0),
    ],
)
def test_a_number_that_grows_is_not_outrun(rule, value):
    """Somebody pastes the override, and the same mail comes again nine minutes later."""
    text = suggestion(rule, CARD, value).splitlines()
    assert text[-1] == OFF
    assert not any("above" in line for line in text)


def test_a_number_that_only_wavers_is_moved():
    """A rule would be lost for a card that is merely a little warmer than others."""
    rule = RULES["GpuMemoryTemperatureHigh"]
    assert "    above: 97 # or: enabled: false" in suggestion(rule, CARD, 96.0).splitlines()
    rule = own("metric: model_probe_duration_seconds, above: 2")
    model = label_set({"instance": "box:9400", "model": "gpt2", "precision": "fp16", "percentile": "50"})
    assert "    above: 2.2 # or: enabled: false" in suggestion(rule, model, 2.1).splitlines()


@pytest.mark.parametrize("name", ["GpuXidHardware", "GpuEccUncorrected", "GpuRowRemapFailed", "GpuLost"])
def test_what_is_never_normal_is_not_called_so(name):
    """A mail about a broken card would say how to never hear of it again."""
    assert suggestion(RULES[name], CARD, 1.0) == ""


def test_only_the_word_never_says_so():
    """A mail would lose its override because of a word that begins alike."""
    assert suggestion(own("metric: gpu_up, equals: 0, skip_when: Nevertheless wanted"), CARD, 0.0)
    assert not suggestion(own("metric: gpu_up, equals: 0, skip_when: never"), CARD, 0.0)
