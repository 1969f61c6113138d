"""The generated rule file against our evaluator: random series, minute by minute, in one promtool run.

Gaps are as far in it as both mean the same: a ``stale`` marker is unknown at once, and a merely missing sample (``_``)
is bridged for less than the lookback. What differs on purpose is told in ``alerts.prometheus_rules``.
"""

import itertools
import math
import random

import pytest

from alerts.evaluator import step
from alerts.prometheus_rules import rule_file
from tests.contract.rules_in_promtool import BOX, expected, labels_in, rules_in, run

pytestmark = pytest.mark.prometheus

MINUTE = 60.0


def test_fires_in_the_same_minutes_as_our_evaluator(tmp_path):
    """A rule means something else when the user moves from the small set-up to Prometheus."""
    rules = every_rule()
    cards = {f'gpu="{number % 4}",{BOX},uuid="{number}"': readings(number) for number in range(10)}
    series = {f"m{{{labels}}}": " ".join(map(written, values)) for labels, values in cards.items()}
    tests = []
    for alertname, variants in itertools.groupby(rules, key=lambda rule: rule.alert):
        parts = list(variants)
        fires = {labels: minutes_of(parts, labels_in(labels), values) for labels, values in cards.items()}
        assert any("F" in minutes for minutes in fires.values())
        tests += expected(alertname, fires, "info")
    said = run(tmp_path, rule_file(rules), {**series, f"up{{{BOX}}}": f"1x{MINUTES}"}, tests)
    assert "SUCCESS" in said, said


MINUTES = 40
GAP = "_"


def every_rule():
    """Each comparison with and without ``clear``, each with waits, and with two overrides for some cards."""
    ways = ["above: 0.9", "above: 0.9, clear: 0.8", "below: 0.9", "below: 0.9, clear: 0.95", "equals: 0.9"]
    waits = itertools.product(("0s", "90s", "3m"), ("0s", "2m"))
    entries = []
    for number, (way, (for_, keep)) in enumerate(itertools.product(ways, waits)):
        rest = f"for: {for_}, keep_firing_for: {keep}, severity: info, summary: s"
        entries.append(f"  - {{alert: R{number}, metric: m, unit: count, {way}, {rest}}}")
        if number % 2:
            entries.append(f'  - {{override: R{number}, where: {{gpu: "1"}}, enabled: false}}')
            entries.append(
                f'  - {{override: R{number}, where: {{gpu: "=~2|3", uuid: "!6"}}, for: 1m, equals: 0.85, clear: null}}'
            )
    return rules_in("rules:\n" + "\n".join(entries))


def readings(seed):
    """Runs around the boundaries, with stale markers, gaps shorter than the lookback, not-a-numbers and infinities."""
    source = random.Random(seed)
    kinds = [0.5, 0.8, 0.85, 0.9, 0.9, 0.92, 0.95, 0.97, math.inf, -math.inf, math.nan, None, None]
    made = []
    while len(made) < MINUTES:
        made += [source.choice(kinds)] * source.choice([1, 1, 2, 3, 4, 6])
        made += [GAP] * source.choice([0, 0, 0, 1, 4])
    return made[:MINUTES]


def minutes_of(parts, labels, values):
    rule = next((rule for rule in parts if rule.covers(labels)), None)
    state, bridged, found = None, None, ""
    for minute, value in enumerate(values):
        bridged = bridged if value == GAP else value
        state = step(rule, bridged, state, minute * MINUTE, max_gap=2 * MINUTE).state if rule else None
        found += "F" if state and state.phase == "firing" else "."
    return found


def written(reading):
    if reading is None or reading == GAP:
        return reading or "stale"
    return {math.inf: "+Inf", -math.inf: "-Inf"}.get(reading, "NaN" if math.isnan(reading) else repr(reading))
