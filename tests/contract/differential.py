"""The embedded judge against promtool: which alerts fire in which minute, for random rules on a random world.

Prometheus 2 extrapolates a counter that begins inside a window a little differently (``DIFFERENCES``). For it the
window's growth is computed by its own formula here, so that everything else is still compared to the minute.
"""

import contextlib
import json
import math
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from alerts import windows
from alerts.alert_labels import in_alert
from alerts.history import History
from alerts.judge import judge
from alerts.prometheus_rules import rule_file
from alerts.rule import Rule
from alerts.series import LabelSet
from alerts.state import AlertKey, State
from tests.contract.random_rules import MINUTE, MINUTES, World, random_rules, random_world

Firing = list[dict[AlertKey, Rule]]
"""What fires in each minute, and by which rule."""


@dataclass
class Compared:
    """What was compared: rules on worlds, rules on single series, minutes in which something fired."""

    rules: int = 0
    series: int = 0
    minutes: int = 0
    disagreed: list[str] = field(default_factory=list)


def firing(rules: Sequence[Rule], world: World) -> Firing:
    """The embedded judge's verdicts, as if it had watched for ever."""
    history, states, found = History(watched_since=-math.inf), {}, []
    for minute in range(MINUTES):
        now, scrapes = minute * MINUTE, world.scrapes(minute)
        history.take(rules, scrapes, now, max_gap=2 * MINUTE)
        states = _after(judge(rules, scrapes, states, now, max_gap=2 * MINUTE, history=history))
        found.append({key: rule for key, (state, rule) in states.items() if state.phase == "firing"})
        states = {key: state for key, (state, _) in states.items()}
    return found


def _after(changes) -> dict[AlertKey, tuple[State, Rule]]:
    return {change.key: (change.state, change.rule) for change in changes if change.state and change.rule}


def expectations(rules: Sequence[Rule], found: Firing) -> list[dict]:
    """The tests for promtool: every alert in every minute."""
    return [
        {
            "eval_time": f"{minute}m",
            "alertname": alertname,
            "exp_alerts": [
                {"exp_labels": in_alert(rule, key.labels)} for key, rule in fires.items() if key.alertname == alertname
            ],
        }
        for alertname in dict.fromkeys(rule.alert for rule in rules)
        for minute, fires in enumerate(found)
    ]


def said_by(tool: str, folder: Path, rules: Sequence[Rule], world: World, tests: list[dict]) -> str:
    """What promtool says, empty where it agrees."""
    groups = yaml.safe_load(rule_file(rules))
    for alert in groups["groups"][0]["rules"]:
        del alert["annotations"]
    inputs = [
        {"series": f"{name}{{{_selector(labels)}}}", "values": world.written(name, labels)}
        for name, labels in world.series
    ]
    inputs += [
        {"series": f'up{{instance="{instance}",job="gpuwarden"}}', "values": " ".join(map(repr, values))}
        for instance, values in world.up.items()
    ]
    case = {"interval": "1m", "input_series": inputs, "alert_rule_test": tests}
    (folder / "rules.yml").write_text(json.dumps(groups))
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [case]}
    (folder / "test.yml").write_text(json.dumps(document))
    command = [tool, "test", "rules", str(folder / "test.yml")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    said = result.stdout + result.stderr
    assert (result.returncode == 0) == ("SUCCESS" in said), said[:4000]
    return "" if "SUCCESS" in said else said


def _selector(labels: LabelSet) -> str:
    return ",".join(f"{name}={json.dumps(value)}" for name, value in labels)


def compare(tool: str, folder: Path, source, count: int, compared: Compared, *, old: bool) -> None:
    """``count`` random rules on one random world; what promtool says otherwise goes to ``disagreed``."""
    gaps = source.random() < 0.25
    rules, world = random_rules(source, count, windows=not gaps), random_world(source, gaps=gaps)
    with growth_of_prometheus_2() if old else contextlib.nullcontext():
        found = firing(rules, world)
    said = said_by(tool, folder, rules, world, expectations(rules, found))
    compared.rules += count
    compared.series += sum(_judged(rule, world) for rule in rules)
    compared.minutes += sum(len(fires) for fires in found)
    if said:
        compared.disagreed.append(said)


def _judged(rule: Rule, world: World) -> int:
    if rule.comparison == "absent":
        return len(world.up)
    names = {rule.metric, f"{rule.metric}_count"}
    return sum(name in names and rule.covers(dict(labels)) for name, labels in world.series)


@contextlib.contextmanager
def growth_of_prometheus_2() -> Iterator[None]:
    """Let a counter grow as it did before 2.52: the counter's zero is looked at before the threshold, not after."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "_to_start", _to_start_of_prometheus_2)
        yield


def _to_start_of_prometheus_2(to_start, between, to_zero):
    to_start = min(to_start, to_zero)
    return to_start if to_start < between * 1.1 else between / 2
