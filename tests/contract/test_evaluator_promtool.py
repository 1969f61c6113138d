"""The evaluator against Prometheus itself: random rules on random series, minute by minute, in one promtool run.

Unknown is written as the generated rules will write it: a firing alert is held while its series has no number
(``ALERTS unless m == m``). A series without a sample is written as ``stale``, what Prometheus records when a target
fails; a merely missing sample is another thing there, bridged for five minutes, and has no counterpart here.
"""

import itertools
import json
import math
import os
import random
import shutil
import subprocess
from dataclasses import replace

import pytest

from alerts.evaluator import step
from alerts.rule import Rule

pytestmark = pytest.mark.prometheus

MINUTE = 60.0
MINUTES = 40
OPERATORS = {"above": ">", "below": "<", "equals": "=="}
CLEAR = {"above": 0.8, "below": 0.95, "equals": None}


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("promtool is not installed, and CI must run this")
    if found is None:
        pytest.skip("promtool is not installed")
    return found


def every_rule() -> list[Rule]:
    times = itertools.product((0.0, 1.5 * MINUTE, 3 * MINUTE), (0.0, 2 * MINUTE, 4 * MINUTE))
    ways = [("above", True), ("above", False), ("below", True), ("below", False), ("equals", False)]
    return [
        Rule(
            alert=f"R{number}",
            metric="m",
            unit="count",
            comparison=comparison,
            threshold=0.9,
            clear=CLEAR[comparison] if with_clear else None,
            for_=for_,
            keep_firing_for=keep,
            severity="info",
            summary="s",
        )
        for number, ((for_, keep), (comparison, with_clear)) in enumerate(itertools.product(times, ways))
    ]


def some_series(seed: int, count: int) -> list[list[float | None]]:
    """Runs of equal readings around the boundaries, with gaps, not-a-numbers and infinities between."""
    source = random.Random(seed)
    kinds = [0.5, 0.8, 0.85, 0.9, 0.9, 0.92, 0.95, 0.97, math.inf, -math.inf, math.nan, None]
    made: list[list[float | None]] = []
    for _ in range(count):
        readings: list[float | None] = []
        while len(readings) < MINUTES:
            readings += [source.choice(kinds)] * source.choice([1, 1, 2, 3, 4, 6])
        made.append(readings[:MINUTES])
    return made


def firing(rule: Rule, readings: list[float | None]) -> list[bool]:
    state, found = None, []
    for minute, reading in enumerate(readings):
        state = step(rule, reading, state, minute * MINUTE, max_gap=2 * MINUTE).state
        found.append(state is not None and state.phase == "firing")
    return found


def expression(rule: Rule) -> str:
    mine = f'ALERTS{{alertname="{rule.alert}",alertstate="firing"}}'
    operator = OPERATORS[rule.comparison]
    parts = [f"m {operator} {rule.threshold}"]
    if rule.clear is not None:
        parts.append(f"(m {operator} {rule.clear} and on(series) {mine})")
    parts.append(f"(max by (series) ({mine}) unless on(series) (m == m))")
    return " or ".join(parts)


def written(reading: float | None) -> str:
    if reading is None:
        return "stale"
    return {math.inf: "+Inf", -math.inf: "-Inf"}.get(reading, "NaN" if math.isnan(reading) else repr(reading))


def verdict(promtool, folder, rules, all_series, expected_of) -> subprocess.CompletedProcess[str]:
    """Let promtool compare its alerts with ``expected_of(rule)``; JSON is YAML."""
    group = [
        {"alert": r.alert, "expr": expression(r), "for": f"{r.for_:g}s", "keep_firing_for": f"{r.keep_firing_for:g}s"}
        for r in rules
    ]
    tests = [test for rule in rules for test in expectations(rule.alert, expected_of(rule), all_series)]
    series = [
        {"series": f'm{{series="{number}"}}', "values": " ".join(map(written, readings))}
        for number, readings in enumerate(all_series)
    ]
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": group}]}))
    case = {"interval": "1m", "input_series": series, "alert_rule_test": tests}
    (folder / "test.yml").write_text(
        json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [case]})
    )
    command = [promtool, "test", "rules", str(folder / "test.yml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def expectations(alertname: str, rule: Rule, all_series) -> list[dict]:
    found = [firing(rule, readings) for readings in all_series]
    return [
        {
            "eval_time": f"{minute}m",
            "alertname": alertname,
            "exp_alerts": [{"exp_labels": {"series": str(n)}} for n, minutes in enumerate(found) if minutes[minute]],
        }
        for minute in range(MINUTES)
    ]


def test_fires_in_the_same_minutes_as_prometheus(promtool, tmp_path):
    """A rule means something else when the user moves from the small set-up to Prometheus."""
    result = verdict(promtool, tmp_path, every_rule(), some_series(1, 12), lambda rule: rule)
    assert "SUCCESS" in result.stdout, (result.stdout + result.stderr)[:4000]
    assert result.returncode == 0


@pytest.mark.parametrize(
    "mutation",
    [
        {"for_": 2 * MINUTE + 1},
        {"keep_firing_for": 2 * MINUTE + 1},
        {"keep_firing_for": MINUTE},
        {"threshold": 0.8999999},
        {"clear": 0.7999999},
        {"clear": None},
    ],
)
def test_a_wrong_evaluator_would_be_found(promtool, tmp_path, mutation):
    """The comparison passes whatever the evaluator does, since promtool also ends with 1 for a file it cannot read."""
    base = next(r for r in every_rule() if r.comparison == "above" and r.clear and r.keep_firing_for == 2 * MINUTE)
    base = replace(base, for_=2 * MINUTE)
    edges: list[float | None] = [0.9] * 4 + [0.95] * 5 + [0.85] * 4 + [0.8] * 4 + [0.5] * (MINUTES - 17)
    good = verdict(promtool, tmp_path, [base], [edges], lambda rule: rule)
    assert "SUCCESS" in good.stdout, good.stdout + good.stderr
    bad = verdict(promtool, tmp_path, [base], [edges], lambda rule: replace(rule, **mutation))
    assert "got:[" in bad.stdout + bad.stderr
