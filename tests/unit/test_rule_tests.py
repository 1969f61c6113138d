import math
import pathlib

import pytest
import yaml
from click.testing import CliRunner

from alerts.cli_rules import rules as rules_command
from alerts.promtool_tests import promtool_document, without_annotations
from alerts.rule_test import parse_spans, spans_text
from alerts.rule_test_file import rule_tests
from alerts.rule_test_values import ValuesError, parse_values, written
from alerts.rule_tests import failures, run
from alerts.rules import rules_of
from alerts.series_text import SeriesTextError, parse_series
from gpuwarden.documents import DocumentError, parse, read

BAD = pathlib.Path(__file__).parent / "bad_rule_tests"
RULES = """
rules:
  - {alert: Full, metric: gpu_memory_used_ratio, above: 0.9, clear: 0.8, for: 2m, severity: critical, summary: full}
  - {alert: Grows, metric: gpu_xid_errors_total, over: {increase: 3m}, above: 0, severity: warning, summary: grows}
  - {alert: Old, metric: host_boot_timestamp_seconds, older: 5m, severity: info, summary: old}
  - {alert: Down, metric: up, equals: 0, severity: critical, summary: down}
  - {alert: NoCards, metric: gpu_info, absent: true, severity: critical, summary: none}
  - {alert: Any, expr: "vector(1)", severity: info, labels: {team: gpu}, summary: any}
"""


def rules():
    return rules_of([parse(RULES, "rules.yml")])


def read_tests(text, **options):
    return rule_tests(parse(text, "t.yml", as_written=True), rules(), **options)


def case(series, firing, interval="1m"):
    lines = [
        f"interval: {interval}",
        "tests:",
        "  - name: n",
        "    series:",
        *[f"      {name}: {values}" for name, values in series.items()],
        "    firing:",
        *[f"      '{name}': {spans}" for name, spans in firing.items()],
    ]
    return "\n".join(lines)


def failed(series, firing, interval="1m"):
    (test,) = read_tests(case(series, firing, interval))
    return [str(failure) for failure in failures(test, run(test, rules()))]


MEMORY = 'gpu_memory_used_ratio{gpu="0"}'


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.5x2 1", (0.5, 0.5, 0.5, 1.0)),
        ("1+2x2 9-1x1", (1.0, 3.0, 5.0, 9.0, 8.0)),
        ("_ _x2 stale 0x1", (None, None, None, None, 0.0, 0.0)),
        ("Inf +Inf -Inf +3 -.5 1e3", (math.inf, math.inf, -math.inf, 3.0, -0.5, 1000.0)),
    ],
)
def test_values_are_those_of_promtool(text, values):
    """Somebody who knows promtool's notation tests other series than they think."""
    assert parse_values(text) == values


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "hold no value"),
        ("1 x2", "'x2' is not a value"),
        ("0x1F", "'0x1F' is not a value"),
        ("stalex2", "'stalex2' repeats a word"),
        ("NaNx2", "'NaNx2' repeats a word"),
        ("1x10000", "more than 10000 values"),
        ("_x999999999", "more than 10000 values"),
    ],
)
def test_wrong_values_are_named(text, said):
    """A typing error makes a test of another series, or takes all memory."""
    with pytest.raises(ValuesError, match=said):
        parse_values(text)


def test_what_is_gone_is_written_as_stale():
    """Prometheus bridges a gap that the alerter sees, and the two seem to differ."""
    assert written(parse_values("_x2 1x3 _x3 2 _")) == "_x2 1x3 stale _x2 2 stale"


@pytest.mark.parametrize(
    ("text", "fires"), [("never", "...."), ("1m..", ".FFF"), ("0s..1m, 3m..", "F..F"), ("1m .. 2m", ".F..")]
)
def test_spans(text, fires):
    """A test of when an alert fires means other steps than it says."""
    steps = tuple(step == "F" for step in fires)
    assert parse_spans(text, 60.0, 4) == steps
    assert parse_spans(spans_text(steps, 60.0), 60.0, 4) == steps


@pytest.mark.parametrize("text", ["", "1m", "1m..1m", "2m..1m", "1m.., 2m..", "30s..", "4m..", "always", "..2m"])
def test_wrong_spans_are_refused(text):
    """A misspelt span passes as one that is never asserted."""
    with pytest.raises(ValueError, match=r"span|step|duration"):
        parse_spans(text, 60.0, 4)


def test_series_as_text():
    """A label with a quote or a brace cannot be tested."""
    assert parse_series(r"""a:b{c="d,}\"", e='f',}""") == ("a:b", {"c": 'd,}"', "e": "f"})
    for wrong in ("", "{a='b'}", "a{b}", "a{b='c'", "a{b='c' d='e'}", "a{b='c', b='d'}", r"a{b='\q'}", "a b"):
        with pytest.raises(SeriesTextError):
            parse_series(wrong)


def test_a_failing_test_says_when_the_alert_fired():
    """Somebody whose rule fires at another time is not told at which, for which card, or where they wrote it."""
    assert failed({MEMORY: "0.5 0.95x6 0.7x2"}, {"Full": "3m..8m"}) == []
    assert failed({MEMORY: "0.5 0.95x6 0.7x2"}, {"Full": "1m.."}) == [
        't.yml:7: n: Full{gpu="0"} fires 3m..8m, expected 1m..'
    ]


def test_labels_pick_the_series_and_the_most_of_them_win():
    """One card that never fires cannot be told from one that does."""
    series = {MEMORY: "0.95x5", 'gpu_memory_used_ratio{gpu="1"}': "0.5"}
    assert failed(series, {"Full": "2m..", 'Full{gpu="1"}': "never"}) == []
    assert failed(series, {"Full": "2m.."}) == ['t.yml:8: n: Full{gpu="1"} fires never, expected 2m..']


def test_a_series_that_nobody_judges_fails_the_test():
    """A test with a misspelt label passes without having tested anything."""
    assert failed({MEMORY: "0.5"}, {'Full{gpu="7"}': "never", "Grows": "never"}) == [
        't.yml:7: n: Full{gpu="7"} is judged on no series of the test, expected never'
    ]
    assert failed({MEMORY: "0.5"}, {"Grows": "0s.."}) == [
        "t.yml:7: n: Grows is judged on no series of the test, expected 0s.."
    ]


def test_a_target_that_fails_gives_no_samples():
    """A test of an exporter that dies tests one that goes on."""
    series = {"up": "1x3 0x2 1", MEMORY: "0.95x3 0.5x2 0.95"}
    assert failed(series, {"Full": "2m..", "Down": "4m..7m", "NoCards": "0s.."}) == []


def test_two_targets_are_two():
    """Two hosts both have a GPU 0, and one's test reads the other's card."""
    other = MEMORY.replace("{", '{instance="b:1", ')
    series = {MEMORY: "0.95x5", other: "0.5", 'up{instance="b:1"}': "0x5"}
    assert failed(series, {"Full": "2m..", "Down": "never", 'Down{instance="b:1"}': "0s.."}) == []


def test_another_job_is_not_a_target_of_ours():
    """A test says that a rule fires for a node exporter that is down, which it never does in Prometheus."""
    series = {'up{job="node"}': "0x3", "up": "1"}
    assert failed(series, {"Down": "never", "NoCards": "0s.."}) == []
    assert failed(series, {'Down{job="node"}': "0s.."}) == [
        't.yml:8: n: Down{job="node"} is judged on no series of the test, expected 0s..'
    ]


def test_windows_are_whole_from_the_start_and_time_begins_at_nought():
    """A test of a rule with a window waits for minutes in which Prometheus judges."""
    series = {'gpu_xid_errors_total{gpu="0", xid="79"}': "0 1 1 1 1 1", "host_boot_timestamp_seconds": "-120"}
    assert failed(series, {"Grows": "1m..3m", "Old": "4m.."}) == []


def test_intervals_below_a_second():
    """Steps that no binary number holds are judged beside the times that the test names."""
    assert failed({MEMORY: "0.5x5 0.95x2000"}, {"Full": "2m600ms.."}, "100ms") == []


@pytest.mark.parametrize("case", sorted(path.stem for path in BAD.glob("*.yml")))
def test_every_mistake_of_a_file_is_named_at_once(case):
    """Somebody corrects one line only to learn of the next, or is not told where and what."""
    with pytest.raises(DocumentError) as caught:
        rule_tests(read(BAD / f"{case}.yml", as_written=True), rules(), off=["Off"])
    said = str(caught.value).replace(f"{BAD}/", "")
    assert said + "\n" == (BAD / f"{case}.txt").read_text(encoding="utf-8")


def test_values_are_read_as_they_are_written():
    """YAML takes 0x5 for the number 5, and five minutes of zeros become one sample."""
    (test,) = read_tests(case({MEMORY: "0x5"}, {"Full": "never"}))
    assert test.series[0].values == (0.0,) * 6


def test_for_promtool_every_step_of_every_alert_is_asserted():
    """Prometheus fires where the test says it must not, and promtool has not been asked."""
    series = {MEMORY: "0.95x2", 'gpu_memory_used_ratio{gpu="1"}': "0.95x2", "up": "1 1 0"}
    (test,) = read_tests(case(series, {'Full{gpu="0"}': "2m..", 'Any{a="b"}': "0s..1m"}), with_expr=True)
    document = yaml.safe_load(promtool_document([(test, run(test, rules()))], rules()))
    (group,) = document["tests"]
    target = {"instance": "test:9400", "job": "gpuwarden"}
    assert group["input_series"][1]["values"] == "0.95x1 stale"
    assert [(one["eval_time"], one["alertname"], one["exp_alerts"]) for one in group["alert_rule_test"]] == [
        *[("0s", "Full", []), ("1m", "Full", [])],
        ("2m", "Full", [{"exp_labels": {"gpu": "0", "severity": "critical", **target}}]),
        ("0s", "Any", [{"exp_labels": {"a": "b", "severity": "info", "team": "gpu"}}]),
        *[("1m", "Any", []), ("2m", "Any", [])],
    ]


def test_annotations_are_left_out_and_nothing_else():
    """Promtool refuses every test for a text that nobody can write down beforehand."""
    text = "groups: [{name: g, rules: [{alert: A, expr: a > 1, labels: {b: c}, annotations: {summary: s}}]}]"
    kept = [{"alert": "A", "expr": "a > 1", "labels": {"b": "c"}}]
    assert yaml.safe_load(without_annotations(text)) == {"groups": [{"name": "g", "rules": kept}]}


def invoke(tmp_path, text, *flags):
    file = tmp_path / "t.yml"
    file.write_text(text, encoding="utf-8")
    return CliRunner().invoke(rules_command, ["test", str(file), *flags])


SHIPPED_CASE = {"series": {MEMORY: "0.5 0.95x6"}, "firing": {"GpuMemoryAlmostFull": "2m.."}}


def test_the_command_says_how_many_tests_passed(tmp_path):
    """Nobody knows whether any test ran."""
    result = invoke(tmp_path, case(**SHIPPED_CASE))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "ok: 1 test\n", "")


def test_the_command_fails_with_status_1_and_judges_by_the_rules_given(tmp_path):
    """A rules file whose alert no longer fires passes its test."""
    mine = tmp_path / "mine.yml"
    mine.write_text("rules: [{override: GpuMemoryAlmostFull, above: 0.97}]", encoding="utf-8")
    result = invoke(tmp_path, case(**SHIPPED_CASE), "--rules", str(mine))
    assert result.exit_code == 1
    assert result.stdout == (
        f'FAILED {tmp_path}/t.yml:7: n: GpuMemoryAlmostFull{{gpu="0"}} fires never, expected 2m..\n'
        "1 of 1 tests failed\n"
    )


def test_the_command_ends_with_status_2_for_a_wrong_file(tmp_path):
    """A script takes a test that was never run for one that failed."""
    result = invoke(tmp_path, "tests: []")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"{tmp_path}/t.yml:1: tests: holds no test\n"


def test_promtool_must_be_there(tmp_path, monkeypatch):
    """Somebody without promtool gets a traceback, or believes that Prometheus was asked."""
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(rules_command, ["test", "--promtool", str(tmp_path / "t.yml")])
    assert result.exit_code == 2
    (tmp_path / "t.yml").write_text(case(**SHIPPED_CASE), encoding="utf-8")
    from gpuwarden.cli import main

    result = CliRunner().invoke(main, ["rules", "test", "--promtool", str(tmp_path / "t.yml")])
    assert result.exit_code == 2
    assert "promtool is not on the PATH" in result.stderr
