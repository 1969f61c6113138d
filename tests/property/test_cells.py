"""Any accepted rules file gives a wall of bounded size, whose every card has the colours of the rules that judge it."""

import itertools
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.matchers import matches
from alerts.rules import SHIPPED, rules_of
from dashboards.cells import MOST_CELLS, divide
from dashboards.generate import generate
from dashboards.palette import CALM
from dashboards.readings import LIMITS_LEFT_OUT, LINES_LEFT_OUT
from dashboards.thresholds import rules_for, steps
from gpuwarden.documents import DocumentError, parse, read

MEMORY, MARGIN, LOAD = "gpu_memory_used_ratio", "gpu_temperature_margin_celsius", "gpu_utilization_ratio"
METRICS = ("gpu_up", MEMORY, LOAD, "gpu_temperature_celsius", MARGIN)
ALERTS = ("GpuMemoryAlmostFull", "GpuTemperatureMarginLow", "GpuLost", "Busy", "Early")
OWN = [
    {"alert": "Busy", "metric": LOAD, "above": 0.99, "severity": "info", "summary": "s"},
    {"alert": "Early", "metric": MEMORY, "above": 0.7, "severity": "info", "summary": "s", "where": {"gpu": "!2"}},
]
GPUS, INSTANCES, UUIDS = ("0", "1", "2"), ("bag:1", "box:1"), ("a", "b")
TEXTS = {
    "gpu": st.sampled_from([*GPUS, "!0", "=~0|1", "!~1|2", "!"]),
    "instance": st.sampled_from([*INSTANCES, "!bag:1", "=~b.*", "!~bag.*"]),
    "uuid": st.sampled_from([*UUIDS, "!a"]),
}
WHERE = st.fixed_dictionaries({}, optional=TEXTS)
OVERRIDE = st.fixed_dictionaries(
    {"override": st.sampled_from(ALERTS), "where": WHERE},
    optional={"severity": st.sampled_from(["info", "warning", "critical"]), "enabled": st.just(False)},
)
SHIPPED_RULES = read(SHIPPED)


def loaded(entries):
    return rules_of([SHIPPED_RULES, parse(json.dumps({"rules": [*OWN, *entries]}), "own.yml")])


def covers(scope, labels):
    return matches(scope.where, labels) and not any(matches(group, labels) for group in scope.unless)


@settings(max_examples=60, deadline=None)
@given(st.lists(OVERRIDE, max_size=12))
def test_every_card_is_in_one_cell_with_the_colours_of_its_rules(entries):
    """A card is missing from the wall, is on it twice, or is coloured by the limits of another."""
    try:
        rules = loaded(entries)
    except DocumentError:
        return
    division = divide(rules, *METRICS)
    assert len(division.cells) <= MOST_CELLS
    for instance, gpu, uuid in itertools.product(INSTANCES, GPUS, UUIDS):
        labels = {"job": "gpuwarden", "instance": instance, "gpu": gpu, "uuid": uuid}
        mine = [
            cell
            for cell in division.cells
            if matches(cell.where, labels) and not any(covers(scope, labels) for scope in cell.outside)
        ]
        assert len(mine) == 1
        for metric in set(METRICS) - division.whole:
            judging = [rule for rule in rules_for(rules, metric) if rule.covers(labels)]
            assert steps(rules_for(mine[0].rules, metric), CALM) == steps(judging, CALM)


def scoped(alert, label, count, length=0, **changes):
    return [{"override": alert, "where": {label: f"{n}{'x' * length}"}, **changes} for n in range(count)]


HOST_METRICS = ("host_memory_used_ratio", "host_filesystem_used_ratio")
HOST_ALERTS = ("HostMemoryAlmostFull", "HostFilesystemAlmostFull")
FLOODS = {
    "scopes by three labels": [
        *scoped(ALERTS[0], "instance", 10, above=0.95),
        *scoped(ALERTS[1], "gpu", 8, below=4),
        *scoped("Busy", "uuid", 5, above=0.5),
    ],
    "long scopes": [
        entry for alert in (*ALERTS, *HOST_ALERTS) for entry in scoped(alert, "instance", 20, 9000, severity="info")
    ],
    "quotes": [entry for alert in ALERTS for entry in scoped(alert, "instance", 20, severity="info")]
    + [{"override": alert, "where": {"instance": '\\"\n' * 90}, "severity": "info"} for alert in ALERTS],
    "regexes": [
        {"override": alert, "where": {label: f"=~{n}.*"}, "severity": "info"}
        for alert in ALERTS
        for label in TEXTS
        for n in range(2)
    ],
    "as many as fit": [
        {"override": "Early", "enabled": False},
        *(
            {
                "alert": f"M{metric}{way}{severity}",
                "metric": metric,
                way: 0.5 + n / 10,
                "severity": severity,
                "summary": "s",
            }
            for metric in (*METRICS[1:3], *HOST_METRICS)
            for way in ("above", "below")
            for n, severity in enumerate(("info", "warning", "critical"))
        ),
        *(
            entry
            for alert in (ALERTS[0], *HOST_ALERTS)
            for entry in scoped(alert, "instance", MOST_CELLS - 1, 80, above=0.95, clear=0.85)
        ),
    ],
    "models": [
        *scoped("ModelProbeSlow", "model", MOST_CELLS - 1, 80, enabled=True, above=3),
        *scoped("ModelRequestSlow", "model", 60, enabled=True),
    ],
    "rules without number": [
        {"alert": f"A{n}", "metric": metric, key: n / 3000, "severity": "info", "summary": "s"}
        for n in range(1500)
        for metric, key in ((MEMORY, "above"),)
    ]
    + [{"alert": f"E{n}", "metric": MARGIN, "equals": n, "severity": "info", "summary": "s"} for n in range(1500)],
    "rules on some cards without number": [
        {"alert": f"A{n}", "metric": MEMORY, "above": 0.5, "where": {"gpu": "0"}, "severity": "info", "summary": "s"}
        for n in range(1500)
    ],
}


@pytest.mark.parametrize("entries", FLOODS.values(), ids=FLOODS)
def test_no_rules_file_makes_a_dashboard_that_cannot_be_loaded(entries):
    """Many overrides multiply into megabytes that Grafana refuses, or ``generate`` never ends."""
    rules = loaded(entries)
    started = time.process_time()
    made = generate(rules)
    assert time.process_time() - started < 2
    for name, text in made.items():
        assert len(text.encode()) < 1_000_000, name


def test_the_wall_says_which_limits_it_leaves_out():
    """A card with a limit of its own looks calm at it, and nobody can know why."""
    rules = loaded([*FLOODS["scopes by three labels"], *FLOODS["rules without number"]])
    panels = json.loads(generate(rules)["wall.json"])["panels"]
    descriptions = [panel.get("description", "") for panel in panels]
    assert sum(text.endswith(LIMITS_LEFT_OUT) for text in descriptions) == 2
    assert sum(text.endswith(LINES_LEFT_OUT) for text in descriptions) == 2


def test_as_many_limits_as_fit_are_drawn():
    """The wall leaves out limits although there is room for them."""
    assert divide(loaded(FLOODS["as many as fit"]), *METRICS).whole == frozenset()
