"""The generated files under Prometheus's and Alertmanager's own tools: hysteresis, dead targets, overrides.

A value ``stale`` is what Prometheus records when a target fails, ``_`` a sample that is merely missing, which it
bridges for its lookback of five minutes.
"""

import contextlib
import json
import pathlib
import subprocess

import pytest

from alerts.alertmanager_config import DEFAULT_WEBHOOK, alertmanager_config
from alerts.prometheus_rules import rule_file
from alerts.promql import WORDS, quote
from alerts.rules import SHIPPED, load_rules
from gpuwarden.documents import DocumentError
from tests.contract.rules_in_promtool import BOX, expected, labels_in, rules_in, run, tool

pytestmark = pytest.mark.prometheus

OVERRIDES = pathlib.Path(__file__).parents[1] / "golden" / "prometheus" / "overrides.yml"
CARD = f'gpu="0",{BOX},uuid="a"'
MEMORY = f"gpu_memory_used_ratio{{{CARD}}}"
KNOWN = f"gpu_up{{{CARD}}}"
"""The exporter counts the card, whether it answers or not."""


def memory_rule(*, for_="0s", keep="0s", clear="clear: 0.8"):
    return rules_in(f"""
rules:
  - {{alert: M, metric: gpu_memory_used_ratio, above: 0.9, {clear}, for: {for_}, keep_firing_for: {keep},
     severity: critical, summary: s}}
""")


def assert_fires(folder, rules, series, fires, alertname="M", severity="critical"):
    said = run(folder, rule_file(rules), series, expected(alertname, fires, severity))
    assert "SUCCESS" in said, said


@pytest.mark.parametrize("files", [[], [OVERRIDES]])
def test_promtool_accepts_the_rules(tmp_path, files):
    """Prometheus does not start with the file that was generated for it."""
    (tmp_path / "made.yml").write_text(rule_file(load_rules(SHIPPED, files)))
    result = subprocess.run(
        [tool("promtool"), "check", "rules", "made.yml"], cwd=tmp_path, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_a_full_card_fires_with_its_value(tmp_path):
    """The alert that reaches Alertmanager says nothing of what was read, or on which card."""
    rules = load_rules(SHIPPED, [])
    names = f'host_info{{hostname="lab-7",{BOX}}}'
    memory = f"host_memory_used_ratio{{{BOX}}}"
    series = {MEMORY: "0.5 0.934 0.934", memory: "0.5 0.96 0.97 0.97", names: "1x5", f"up{{{BOX}}}": "1x5"}
    actions = {rule.alert: rule.action for rule in rules}
    tests = [
        {"eval_time": "1m", "alertname": "GpuMemoryAlmostFull", "exp_alerts": []},
        {
            "eval_time": "2m",
            "alertname": "GpuMemoryAlmostFull",
            "exp_alerts": [
                {
                    "exp_labels": {"severity": "critical", **labels_in(CARD)},
                    "exp_annotations": {
                        "summary": "GPU 0 memory is 93.4% full",
                        "action": actions["GpuMemoryAlmostFull"],
                        "value": "0.934",
                    },
                }
            ],
        },
        {
            "eval_time": "3m",
            "alertname": "HostMemoryAlmostFull",
            "exp_alerts": [
                {
                    "exp_labels": {"severity": "critical", **labels_in(BOX)},
                    "exp_annotations": {
                        "summary": "Main memory of lab-7 is 97% full",
                        "action": actions["HostMemoryAlmostFull"],
                        "value": "0.97",
                    },
                }
            ],
        },
    ]
    said = run(tmp_path, rule_file(rules), series, tests, annotated=True)
    assert "SUCCESS" in said, said
    tests[0]["exp_alerts"] = tests[1]["exp_alerts"]
    assert "got:[" in run(tmp_path, rule_file(rules), series, tests, annotated=True)


def test_an_alert_without_a_reading_says_so(tmp_path):
    """A mail hours after the exporter died shows the last number as if it were today's."""
    rules = rules_in(
        'rules: [{alert: M, metric: gpu_memory_used_ratio, above: 0.9, severity: info, summary: "at {{ value }}"}]'
    )
    alert = {
        "exp_labels": {"severity": "info", **labels_in(CARD)},
        "exp_annotations": {"summary": "at unknown", "value": "NaN"},
    }
    test = {"eval_time": "2m", "alertname": "M", "exp_alerts": [alert]}
    series = {MEMORY: "0.95 stale", f"up{{{BOX}}}": "1 0 0"}
    said = run(tmp_path, rule_file(rules), series, [test], annotated=True)
    assert "SUCCESS" in said, said


def test_hysteresis_is_each_series_own(tmp_path):
    """A card that never passed the threshold fires because the GPU 0 of another machine did."""
    other = CARD.replace("box", "bag")
    series = {
        MEMORY: ".95 .85 .85 .85 .75 .85 .95 .85",
        f"gpu_memory_used_ratio{{{other}}}": ".85x7",
        f"up{{{BOX}}}": "1x7",
    }
    assert_fires(tmp_path, memory_rule(), series, {CARD: "FFFF..FF", other: "........"})


def test_an_alert_outlives_its_exporter(tmp_path):
    """The exporter of a machine with a full card is killed, and people get the mail that all is well."""
    dead = 25
    series = {
        MEMORY: f".95 .95 {'stale ' * dead} .5 .5 .5 .5",
        f"up{{{BOX}}}": f"1 1 {'0 ' * dead} 1 1 1 1",
    }
    fires = {CARD: "F" * (2 + dead) + "FF.."}
    assert_fires(tmp_path, memory_rule(keep="2m"), series, fires)


def test_an_alert_outlives_its_card(tmp_path):
    """A full card falls off the bus while its exporter goes on, and people get the mail that all is well."""
    series = {MEMORY: ".95 stale", KNOWN: "1 0x19", f"up{{{BOX}}}": "1x20"}
    assert_fires(tmp_path, memory_rule(), series, {CARD: "F" * 20})


def test_a_card_that_is_forgotten_ends_its_alerts(tmp_path):
    """A card that was full when it was taken out is full for ever."""
    series = {MEMORY: ".95 stale", KNOWN: "1 0 0 stale", f"up{{{BOX}}}": "1x6"}
    assert_fires(tmp_path, memory_rule(), series, {CARD: "FFF..."})
    assert_fires(tmp_path, memory_rule(keep="1m"), series, {CARD: "FFFF.."})


def test_a_series_that_fades_away_is_held(tmp_path):
    """An exporter whose samples end without a stale marker ends its alerts after the lookback."""
    series = {MEMORY: ".95 _x15", KNOWN: "1x20", f"up{{{BOX}}}": "1x20"}
    assert_fires(tmp_path, memory_rule(), series, {CARD: "F" * 15})


def test_a_machine_that_was_taken_away_ends_its_alerts(tmp_path):
    """An alert of a machine that is no longer watched fires for ever."""
    series = {MEMORY: ".95 .95 stale", KNOWN: "1 1 1 stale", f"up{{{BOX}}}": "1 1 1 stale"}
    assert_fires(tmp_path, memory_rule(), series, {CARD: "FFF..."})


def test_what_only_waits_ends_without_a_reading(tmp_path):
    """A card that was full for seconds before its exporter stopped wakes someone."""
    series = {MEMORY: ".95 .95 stale stale stale", f"up{{{BOX}}}": "1 1 0 0 0"}
    assert_fires(tmp_path, memory_rule(for_="2m"), series, {CARD: "....."})


def test_an_override_judges_its_series_only(tmp_path):
    """A threshold that was raised for one card is raised for none, or for all."""
    rules = rules_in("""
rules:
  - {alert: M, metric: gpu_memory_used_ratio, above: 0.9, severity: critical, summary: s}
  - {override: M, where: {gpu: "1", instance: "=~bag.*"}, above: 0.97}
  - {override: M, where: {gpu: "2"}, enabled: false}
""")
    cards = {
        f'gpu="{gpu}",instance="{instance}",job="gpuwarden"': minutes
        for gpu, instance, minutes in [
            ("0", "bag", "..FF"),
            ("1", "bag", "...F"),
            ("1", "box", "..FF"),
            ("2", "box", "...."),
        ]
    }
    series = {f"gpu_memory_used_ratio{{{labels}}}": ".5 .9 .95 .98" for labels in cards}
    assert_fires(tmp_path, rules, series, cards)


def test_a_silent_target_of_another_job_is_not_ours(tmp_path):
    """Every exporter in a shared Prometheus that is down makes a mail of ours."""
    other = 'instance="web:80",job="web"'
    series = {f"up{{{BOX}}}": "1 0 0 0 0 1 1 1", f"up{{{other}}}": "0x8"}
    fires = {BOX: "..FFFF..", other: "........"}
    assert_fires(tmp_path, load_rules(SHIPPED, []), series, fires, "TargetDown")


def test_a_label_that_the_alert_needs_itself_is_kept(tmp_path):
    """A rule on ECC errors fails for every card, since their ``severity`` is overwritten by the alert's."""
    rules = rules_in("""
rules:
  - {alert: M, metric: gpu_ecc_errors_total, above: 5, clear: 1, severity: info, summary: s}
  - {override: M, where: {severity: corrected}, above: 100, severity: critical}
""")
    series = {
        f'gpu_ecc_errors_total{{{CARD},severity="{severity}"}}': values
        for severity, values in {"corrected": "0 50 200 50 stale 1", "uncorrected": "0 50 200 50 stale 1"}.items()
    } | {KNOWN: "1x9", f"up{{{BOX}}}": "1x9"}
    tests = expected("M", {f'exported_severity="uncorrected",{CARD}': ".FFFF."}, "info")
    for test, when in zip(tests, "..FFF.", strict=True):
        if when == "F":
            labels = {"exported_severity": "corrected", "severity": "critical", **labels_in(CARD)}
            test["exp_alerts"].append({"exp_labels": labels})
    said = run(tmp_path, rule_file(rules), series, tests)
    assert "SUCCESS" in said, said


def test_any_metric_name_and_label_value_is_promql(tmp_path):
    """One odd name in a user's rule, and Prometheus refuses the whole file."""
    names = ["sum", "Bool", "on", "inf", "NaN", "start", "limitk", "group_left", "job:m:rate5m", "m"]
    value = 'a"b\\c\té{{ x }}'
    rules = rules_in(
        json.dumps(
            {
                "rules": [
                    {
                        "alert": f"A{number}",
                        "metric": name,
                        "unit": "count",
                        "where": {"path": value, "other": r"!~a\.b|"},
                        "below": -1.5e-9,
                        "severity": "info",
                        "summary": 'say "{{ path }}" {1} $x `y`: {{ value }}',
                        "action": "one\ntwo # three",
                    }
                    for number, name in enumerate(names)
                ]
            }
        )
    )
    labels = f'other="yes",path={json.dumps(value, ensure_ascii=False)}'
    tests = [
        {
            "eval_time": "0m",
            "alertname": f"A{number}",
            "exp_alerts": [
                {
                    "exp_labels": {"path": value, "other": "yes", "severity": "info"},
                    "exp_annotations": {
                        "summary": f'say "{value}" {{1}} $x `y`: -2',
                        "action": "one\ntwo # three",
                        "value": "-2",
                    },
                }
            ],
        }
        for number in range(len(names))
    ]
    series = {f'{{__name__="{name}",{labels}}}': "-2" for name in names}
    said = run(tmp_path, rule_file(rules), series, tests, annotated=True)
    assert "SUCCESS" in said, said


@pytest.mark.parametrize("name", ["promtool", "promtool3"])
def test_a_rules_label_is_no_word_that_breaks_the_file(tmp_path, name):
    """One rule with a label that is called like a word of PromQL, and Prometheus refuses the whole file."""
    taken = []
    for word in sorted(WORDS):
        for label in (word, word.upper()):
            keys = f"unit: count, above: 0, clear: -1, labels: {{{json.dumps(label)}: x}}, severity: info, summary: s"
            with contextlib.suppress(DocumentError):
                taken += rules_in(f"rules: [{{alert: A_{label}, metric: m, {keys}}}]")
    (tmp_path / "made.yml").write_text(rule_file(taken))
    command = [tool(name), "check", "rules", "made.yml"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert len(taken) > len(WORDS), "nearly all are fine as labels: group, count, start"


def test_any_text_is_a_label_value(tmp_path):
    """A label with a control character makes the whole file invalid."""
    values = ("\x01\x1f\x7f", '\\x41"', "\t\r\n", "é\u2028")
    rule = {"metric": "m", "unit": "count", "above": 0, "severity": "info", "summary": "s"}
    text = json.dumps({"rules": [{**rule, "alert": f"A{n}", "where": {"l": value}} for n, value in enumerate(values)]})
    tests = [
        {
            "eval_time": "0m",
            "alertname": f"A{n}",
            "exp_alerts": [{"exp_labels": {"l": value, "severity": "info"}}],
        }
        for n, value in enumerate(values)
    ]
    series = {f"m{{l={quote(value)}}}": "1" for value in values}
    said = run(tmp_path, rule_file(rules_in(text)), series, tests)
    assert "SUCCESS" in said, said


LADDER = r"""
rules:
  - {alert: Grave, metric: gpu_ecc_errors_total, above: 9, severity: critical, summary: s}
  - {alert: Slight, metric: gpu_ecc_errors_total, above: 1, severity: warning, summary: s, muted_by: [Grave]}
  - {override: Slight, where: {uuid: "a\"b\\c\n\x01\u663e{}", severity: "=~x|y\\d"}, muted_by: []}
"""


@pytest.mark.parametrize("secret_file", [None, "/run/secrets/webhook"])
@pytest.mark.parametrize("rules", ["rules: []", LADDER])
def test_alertmanager_accepts_its_configuration(tmp_path, secret_file, rules):
    """Alertmanager does not start with the file that was generated for it."""
    text = alertmanager_config(DEFAULT_WEBHOOK, secret_file, rules_in(rules))
    (tmp_path / "alertmanager.yml").write_text(text)
    command = [tool("amtool"), "check-config", "alertmanager.yml"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "1 receivers" in result.stdout
    assert f"{2 if 'Grave' in rules else 0} inhibit rules" in result.stdout
