"""The models' dashboard: limits of rules on series that a tile shows only some of, and what is missing."""

import json

import pytest

from alerts.matchers import parse_matcher
from alerts.rules import SHIPPED, load_rules
from dashboards import model_queries, queries
from dashboards.generate import generate
from dashboards.model_queries import PROBE_LABELS
from dashboards.palette import BY_SEVERITY, CALM
from dashboards.thresholds import limits_for, narrowed, rules_for

ANSWER, FIRST_TOKEN = "model_probe_duration_seconds", "model_time_to_first_token_seconds"
WARNING = BY_SEVERITY["warning"]
SLOW = "  - {override: ModelProbeSlow, where: {%s}, enabled: true, above: 3}\n"


@pytest.fixture
def rules(tmp_path):
    def load(text=""):
        own = tmp_path / "own.yml"
        own.write_text(f"rules:\n{text}")
        return load_rules(SHIPPED, [own] if text else [])

    return load


def board(loaded):
    return json.loads(generate(loaded)["models.json"])


def row_of(made, metric):
    """The tiles of a reading."""
    return next(p for p in made["panels"] if p["type"] == "stat" and f"({metric}" in p["targets"][0]["expr"])


def limits_of(panel):
    """The steps of each query with a limit, and the query."""
    found = {}
    for override in panel["fieldConfig"]["overrides"]:
        steps = override["properties"][0]["value"]["steps"]
        if len(steps) > 1:
            (query,) = (t["expr"] for t in panel["targets"] if t["refId"] == override["matcher"]["options"])
            found[query] = [(step["value"], step["color"]) for step in steps]
    return found


def lines_of(made, metric):
    panel = next(p for p in made["panels"] if p["type"] == "timeseries" and metric in p["targets"][0]["expr"])
    return [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]


def test_a_model_with_a_limit_is_coloured_by_it_and_no_other(rules):
    """The one model that must be fast looks calm when it is slow, or all others are coloured by its limit."""
    made = board(rules(SLOW % 'model: gpt2-small, gpu: "0"'))

    ((query, limits),) = limits_of(row_of(made, ANSWER)).items()
    assert limits == [(None, CALM), (3, WARNING)]
    assert 'model_probe_skipped_total{gpu="0", model="gpt2-small", reason="busy"}' in query
    assert 3 in lines_of(made, ANSWER)


def test_without_a_limit_nothing_is_coloured(rules):
    """The stand-in number of a rule that is switched off would be taken for a limit."""
    made = board(rules())

    assert limits_of(row_of(made, ANSWER)) == {}
    assert lines_of(made, ANSWER) == [None]
    assert lines_of(made, FIRST_TOKEN) == [None]


def test_a_limit_on_what_users_wait_is_a_line(rules):
    """A user would look for the number that the mail names."""
    own = "  - {override: ModelFirstTokenSlow, where: {model: chat}, enabled: true, above: 0.3}\n"
    loaded = rules(own)

    assert rules_for(loaded, FIRST_TOKEN) == ()
    assert [rule.threshold for rule in limits_for(loaded, FIRST_TOKEN)] == [0.3]
    assert lines_of(board(loaded), FIRST_TOKEN) == [None, 0.3]


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ('percentile: "50"', [()]),
        ('percentile: "=~50|90", model: gpt2-small', [(parse_matcher("model", "gpt2-small"),)]),
        ('percentile: "90"', []),
        ("precision: fp16", []),
    ],
)
def test_a_rule_on_what_a_tile_does_not_show_colours_nothing(rules, where, left):
    """A median would be coloured by the limit of the slowest tenth."""
    own = f"  - {{alert: Mine, metric: {ANSWER}, where: {{{where}}}, above: 1, severity: info, summary: s}}\n"
    loaded = [rule for rule in limits_for(rules(own), ANSWER) if rule.alert == "Mine"]

    assert [rule.where for rule in narrowed(loaded, {"percentile": "50"}, PROBE_LABELS)] == left


def test_an_exception_for_what_is_shown_is_an_exception(rules):
    """A model for which a rule was switched off would still be coloured by it."""
    own = SLOW % 'percentile: "50"' + '  - {override: ModelProbeSlow, where: {percentile: "!90"}, enabled: false}\n'
    loaded = limits_for(rules(own), ANSWER)

    assert narrowed(loaded, {"percentile": "50"}, PROBE_LABELS) == ()


def test_all_rows_stand_under_each_other(rules):
    """A reading would stand under the name of another model."""
    made = board(rules(SLOW % "model: gpt2-small" + SLOW % 'gpu: "1"'))
    rows = [p for p in made["panels"] if p["type"] == "stat" and "last_over_time(model_probe" in str(p["targets"])]

    orders = [[target["expr"].partition(" + on (")[0] for target in row["targets"]] for row in rows]
    assert len(rows) == 6
    assert len(orders[0]) > 2
    assert orders == [orders[0]] * 6


def test_numbers_for_what_is_missing_are_apart():
    """A probe that has not run would be shown as one whose exporter is away."""
    codes = (model_queries.NOT_YET, model_queries.OLD, queries.UNSUPPORTED, queries.LOST, queries.SILENT)

    assert len({*codes, queries.NOTHING, model_queries.FAILED, model_queries.CAME_THROUGH}) == 8
    assert all(code < -1000 for code in codes)
