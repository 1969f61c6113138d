"""The embedded judge against promtool of Prometheus 2 and 3, on random rules and series, minute by minute.

``python -m tests.perf.rules_differential`` does the same for 10,000 rules and prints what it compared.
"""

import math
import random
from dataclasses import replace

import pytest

from alerts import evaluator, readings
from tests.contract.differential import Compared, compare
from tests.contract.rules_in_promtool import tool

pytestmark = pytest.mark.prometheus

WORLDS, RULES = 6, 30


@pytest.mark.parametrize("name", ["promtool", "promtool3"])
@pytest.mark.parametrize("seed", range(WORLDS))
def test_a_rule_fires_in_the_same_minutes_under_prometheus(tmp_path, name, seed):
    """A rule means something else when the user moves from the small set-up to Prometheus, or to its next version."""
    compared = Compared()
    compare(tool(name), tmp_path, random.Random(seed), RULES, compared, old=name == "promtool")
    assert compared.minutes
    assert not compared.disagreed, f"seed {seed}:\n{compared.disagreed[0][:4000]}"


STEP, READ = evaluator.step, readings.readings


def holds_at_the_threshold(rule, value, *, firing):
    limit = rule.clear if firing and rule.clear is not None else rule.threshold
    return value >= limit if rule.comparison in {"above", "older"} else value <= limit


def nothing_is_unknown(*arguments):
    found = READ(*arguments)
    return {labels: -1.0 if value is None or math.isnan(value) else value for labels, value in found.items()}


def slower(**more):
    def step(rule, *arguments, **keywords):
        changed = replace(rule, **{name: getattr(rule, name) + seconds for name, seconds in more.items()})
        return STEP(changed, *arguments, **keywords)

    return step


def never_gone(*arguments, **keywords):
    return STEP(*arguments, **{**keywords, "gone": False})


MUTATIONS = {
    "alerts.rule.Rule.holds": [holds_at_the_threshold],
    "alerts.judge.readings": [nothing_is_unknown],
    "alerts.evaluator.step": [slower(for_=1.0), slower(keep_firing_for=1.0), never_gone],
    "alerts.windows._CLOSE": [-1.0],
    "alerts.windows._increase": [lambda samples, *_: samples.values[-1] - samples.values[0]],
    "alerts.windows._line_at": [lambda samples, *_: samples.values[-1]],
    "alerts.windows.bucket_quantile": [lambda _, buckets: buckets[-1][0]],
}
"""What a wrong judge would do in one place."""


@pytest.mark.parametrize(("place", "wrong"), [(place, wrong) for place, found in MUTATIONS.items() for wrong in found])
def test_a_wrong_judge_would_be_found(tmp_path, monkeypatch, place, wrong):
    """The comparison passes whatever the judge does."""
    monkeypatch.setattr(place, wrong)
    compared = Compared()
    for seed in range(4 * WORLDS):
        compare(tool("promtool3"), tmp_path, random.Random(seed), RULES, compared, old=False)
        if compared.disagreed:
            break
    assert any("got:[" in said for said in compared.disagreed)
