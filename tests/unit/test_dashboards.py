import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from alerts.matchers import matches
from alerts.prometheus_rules import rule_file
from alerts.rules import SHIPPED, load_rules
from dashboards import queries
from dashboards.cells import Scope, divide
from dashboards.generate import GENERATED, generate
from dashboards.grid import COLUMNS, ROWS_1080P, Band, Box, stack
from dashboards.palette import BY_SEVERITY, CALM, CRITICAL
from dashboards.thresholds import Step, equal_values, lines, rules_for, steps
from gpuwarden.catalog import CATALOG

ROOT = Path(__file__).parents[2]
MEMORY, MARGIN = "gpu_memory_used_ratio", "gpu_temperature_margin_celsius"
WARNING = BY_SEVERITY["warning"]
PROMQL_WORDS = re.compile(
    r"by|on|unless|or|and|group_left|topk|last_over_time|label_replace|count|max|min|avg|vector|ceil|clamp_min|time"
    r"|sum|round|increase|rate|histogram_quantile|quantile_over_time|NaN"
)


def rules(tmp_path, text=""):
    """The shipped rules with a user's file on top."""
    own = tmp_path / "own.yml"
    own.write_text(f"rules:\n{text}")
    return load_rules(SHIPPED, [own] if text else [])


def board(loaded):
    return json.loads(generate(loaded)["wall.json"])


@pytest.fixture
def wall(tmp_path):
    return board(rules(tmp_path))


@pytest.fixture(params=["models.json", "wall.json"])
def any_board(request, tmp_path):
    return json.loads(generate(rules(tmp_path))[request.param])


def expressions(wall):
    return [target["expr"] for panel in wall["panels"] for target in panel.get("targets", [])]


def chart_of(wall, metric):
    return next(p for p in wall["panels"] if p["type"] == "timeseries" and metric in p["targets"][0]["expr"])


def tile_of(wall, metric):
    """The tiles whose reading is the metric."""
    return next(p for p in wall["panels"] if p["type"] == "stat" and f"(({metric}" in p["targets"][0]["expr"])


def pairs(thresholds):
    return [(step["value"], step["color"]) for step in thresholds["steps"]]


def test_the_committed_wall_is_that_of_the_shipped_rules(tmp_path):
    """A user would hang up a wall with other limits than those that the mails follow."""
    assert {path.name: path.read_text() for path in GENERATED.iterdir()} == generate(rules(tmp_path)), (
        "python -m dashboards.generate writes them anew"
    )


def test_the_same_rules_give_the_same_bytes():
    """Grafana would reload, and a review show, a dashboard in which nothing has changed."""
    code = (
        "from alerts.rules import SHIPPED, load_rules; from dashboards.generate import generate;"
        "import hashlib; print(hashlib.sha256(repr(generate(load_rules(SHIPPED, []))).encode()).hexdigest())"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(made) == 1


def test_an_override_of_the_memory_limit_moves_line_and_colour(tmp_path):
    """The wall would stay calm at a level at which the user asked for an alarm."""
    own = "  - override: GpuMemoryAlmostFull\n    above: 0.8\n    clear: 0.7\n    severity: warning\n"
    made = board(rules(tmp_path, own))

    chart, tile = chart_of(made, MEMORY), tile_of(made, MEMORY)
    assert pairs(chart["fieldConfig"]["defaults"]["thresholds"]) == [(None, "transparent"), (0.8, WARNING)]
    assert chart["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"] == {"mode": "line"}
    assert pairs(tile["fieldConfig"]["overrides"][0]["properties"][0]["value"]) == [(None, CALM), (0.8, WARNING)]


def test_a_rule_that_is_switched_off_leaves_no_colour(tmp_path):
    """The wall would shout about what the user has said is fine."""
    own = "".join(f"  - override: {name}\n    enabled: false\n" for name in ("GpuMemoryAlmostFull", "GpuMemoryHigh"))
    made = board(rules(tmp_path, own))

    assert pairs(chart_of(made, MEMORY)["fieldConfig"]["defaults"]["thresholds"]) == [(None, "transparent")]
    assert "0.9" not in json.dumps(tile_of(made, MEMORY)["fieldConfig"]["overrides"])


def test_a_below_rule_colours_what_lies_below(tmp_path):
    """A card one degree from its limit would look calm, and a cold one alarming."""
    judging = rules_for(rules(tmp_path), MARGIN)

    assert steps(judging, CALM) == (Step(None, WARNING), Step(5, CALM))
    assert lines(judging) == (Step(None, "transparent"), Step(5, WARNING))


def test_the_worst_of_several_rules_gives_the_colour(tmp_path):
    """A critical level would be painted as a mere warning."""
    own = (
        f"  - {{alert: Early, metric: {MEMORY}, above: 0.8, severity: warning, summary: s}}\n"
        f"  - {{alert: Idle, metric: {MEMORY}, below: 0.01, severity: info, summary: s}}\n"
        f"  - {{alert: Full, metric: {MEMORY}, equals: 1, severity: critical, summary: s}}\n"
    )
    judging = rules_for(rules(tmp_path, own), MEMORY)

    assert steps(judging, CALM) == (
        Step(None, BY_SEVERITY["info"]),
        Step(0.01, CALM),
        Step(0.8, WARNING),
        Step(0.9, CRITICAL),
    )
    assert equal_values(judging) == {1.0: CRITICAL}
    assert [step.value for step in lines(judging)] == [None, 0.01, 0.8, 0.9, 1.0]


def in_scope(scope, labels):
    return matches(scope.where, labels) and not any(matches(group, labels) for group in scope.unless)


SCOPED = {
    "one": "  - override: GpuMemoryAlmostFull\n    where: {gpu: '1'}\n    above: 0.97\n    clear: 0.9\n",
    "off for one": "  - override: GpuMemoryAlmostFull\n    where: {gpu: '1'}\n    enabled: false\n",
    "nested": (
        "  - override: GpuMemoryAlmostFull\n    where: {gpu: '=~0|1'}\n    above: 0.95\n"
        "  - override: GpuMemoryAlmostFull\n    where: {gpu: '1'}\n    above: 0.97\n"
        f"  - {{alert: Early, metric: {MEMORY}, where: {{gpu: '!2'}}, above: 0.5, severity: info, summary: s}}\n"
    ),
}


@pytest.mark.parametrize("own", SCOPED.values(), ids=SCOPED.keys())
def test_every_card_is_drawn_once_by_the_rules_that_judge_it(tmp_path, own):
    """A card with a limit of its own would be coloured by another card's, or be missing from the wall."""
    judging = rules(tmp_path, own)

    for index in range(4):
        labels = {"gpu": str(index), "uuid": f"GPU-{index}"}
        mine = [
            cell
            for cell in divide(judging, MEMORY).cells
            if in_scope(Scope(cell.where), labels) and not any(in_scope(scope, labels) for scope in cell.outside)
        ]
        assert len(mine) == 1
        assert set(mine[0].rules) == {rule for rule in rules_for(judging, MEMORY) if rule.covers(labels)}


def test_a_card_with_its_own_limit_has_its_own_query_and_steps(tmp_path):
    """Grafana would colour all cards by one limit although the mails follow two."""
    made = board(rules(tmp_path, SCOPED["one"]))
    tile = tile_of(made, MEMORY)

    tops = {
        override["matcher"]["options"]: override["properties"][0]["value"]["steps"][-1]["value"]
        for override in tile["fieldConfig"]["overrides"]
    }
    assert {override["matcher"]["id"] for override in tile["fieldConfig"]["overrides"]} == {"byFrameRefID"}
    limits = {target["expr"]: tops[target["refId"]] for target in tile["targets"]}
    assert sorted(limits.values()) == [0.9, 0.97]
    assert all((f'{MEMORY} unless {MEMORY}{{gpu="1"}}' in text) is (limit == 0.9) for text, limit in limits.items())
    assert [step[0] for step in pairs(chart_of(made, MEMORY)["fieldConfig"]["defaults"]["thresholds"])] == [
        None,
        0.8,
        0.9,
        0.97,
    ]


def test_rows_stay_in_one_order_when_cards_have_limits_of_their_own(tmp_path):
    """A reading would stand under the name of another card."""
    own = SCOPED["one"] + "  - override: GpuTemperatureMarginLow\n    where: {gpu: '3'}\n    below: 2\n"
    tables = [panel for panel in board(rules(tmp_path, own))["panels"] if "last_over_time(gpu_up" in str(panel)]

    orders = [re.findall(r"0 \* (.*?) \+ on", target["expr"])[0] for panel in tables for target in panel["targets"]]
    count = len(tables[0]["targets"])
    assert (len(tables), count) == (6, 3)
    assert orders == orders[:count] * 6


def test_every_metric_of_a_query_exists(any_board):
    """A panel would stay empty for ever."""
    used = set()
    for expression in expressions(any_board):
        bare = re.sub(r'"[^"]*"|\b(by|on|group_left) \([^)]*\)|\{[^}]*\}|\[[^]]*\]', " ", expression)
        used |= {word for word in re.findall(r"[a-zA-Z_:][\w:]*", bare) if not PROMQL_WORDS.fullmatch(word)}

    assert {name.removesuffix("_bucket") for name in used} <= {*CATALOG, "ALERTS"}
    assert {"up", "host_info", "gpuwarden_exporter_simulated"} <= used


def test_panels_fill_the_screen_without_overlap_or_scrolling(any_board):
    """What lies below the edge of a wall is never seen."""
    boxes = [Box(**panel["gridPos"]) for panel in any_board["panels"]]

    assert not [(one, other) for one, other in combinations(boxes, 2) if one.overlaps(other)]
    assert all(box.x + box.w <= COLUMNS for box in boxes)
    assert max(box.y + box.h for box in boxes) <= ROWS_1080P


def test_nothing_moves_up_when_grafana_closes_gaps(any_board):
    """The words beside the rows would slide away from their rows."""
    boxes = [Box(**panel["gridPos"]) for panel in any_board["panels"]]

    for box in boxes:
        if box.y > 0:
            above = Box(box.x, box.y - 1, box.w, 1)
            assert any(above.overlaps(other) for other in boxes), box


def test_the_grid_refuses_what_does_not_fit():
    """A new row would silently push the last one off the screen."""
    with pytest.raises(ValueError, match="25 columns do not fit into 24"):
        stack([Band(1, (20, 5))])
    with pytest.raises(ValueError, match="28 rows do not fit into 27"):
        stack([Band(14, (24,)), Band(14, (24,))])


def test_grafana_can_provision_it(any_board):
    """Grafana would refuse the file, draw old shapes or ask the reader for a data source."""
    panels = any_board["panels"]

    assert (any_board["schemaVersion"], any_board["id"]) == (41, None)
    assert (any_board["uid"], any_board["refresh"]) in {("gpuwarden-wall", "5s"), ("gpuwarden-models", "30s")}
    assert any_board["timepicker"]["hidden"] is True
    assert len({panel["id"] for panel in panels}) == len(panels)
    variable = any_board["templating"]["list"][0]
    assert (variable["type"], variable["name"], variable["hide"]) == ("datasource", "datasource", 2)
    assert variable["current"]["value"] == "gpuwarden-prometheus"
    for panel in panels:
        assert panel["type"] in {"stat", "timeseries", "text"}
        for target in panel.get("targets", []):
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert target["instant"] is not target["range"]
        if panel["type"] == "stat":
            assert panel["options"]["reduceOptions"]["calcs"] == ["lastNotNull"]
            assert all(target["instant"] for target in panel["targets"])
            assert panel["fieldConfig"]["defaults"]["noValue"] == "NO DATA"
            assert panel["description"]
        if panel["type"] != "text":
            assert pairs(panel["fieldConfig"]["defaults"]["thresholds"])[0][0] is None


def test_what_is_missing_has_a_word_and_a_colour_of_its_own(wall):
    """A dead card or exporter would look like a calm one."""
    words = {
        word["text"]: word["color"]
        for panel in wall["panels"]
        if panel["type"] == "stat"
        for mapping in panel["fieldConfig"]["defaults"]["mappings"]
        if mapping["type"] == "value"
        for word in mapping["options"].values()
        if "text" in word
    }

    for word in ("LOST", "NO DATA", "NO GPU SEEN", "UNKNOWN", "ALERTS UNKNOWN", "NO TARGET", "SIMULATED"):
        assert words[word] != CALM, word
    assert words["LOST"] == CRITICAL


def test_no_sensor_delivers_the_numbers_of_what_is_missing():
    """A card three degrees beyond its limit would be shown as one without an exporter."""
    codes = (queries.UNSUPPORTED, queries.LOST, queries.SILENT, queries.NOTHING)

    assert len(set(codes)) == 4
    assert all(code < -273 for code in codes)


def test_the_wall_waits_for_the_watchdog_that_the_rules_define(tmp_path):
    """The wall would say for ever that alerts are unknown, or never."""
    alerts = yaml.safe_load(rule_file(rules(tmp_path)))["groups"][0]["rules"]
    (always,) = (alert["alert"] for alert in alerts if alert["expr"] == "vector(1)")

    assert f'alertname="{always}"' in queries.alert_count()
    assert f'alertname!="{always}"' in queries.alert_count()
