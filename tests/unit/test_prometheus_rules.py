import pathlib
from dataclasses import replace

import pytest
import yaml
from click.testing import CliRunner

from alerts.cli_rules import rules as rules_command
from alerts.prometheus_expressions import expression
from alerts.prometheus_rules import rule_file
from alerts.rules import SHIPPED, load_rules, rules_of
from gpuwarden.documents import DocumentError, parse

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "prometheus"
FIRING = 'max without (alertname, alertstate, severity) (ALERTS{alertname="A", alertstate="firing"'
HELD = f"({FIRING}}} * NaN)\n  unless host_cpus >= -Inf\n  and on (job, instance) up)"


def rules_in(text):
    return rules_of([parse(text, "rules.yml")])


def rule(keys, metric="host_cpus"):
    (made,) = rules_in(f"rules: [{{alert: A, metric: {metric}, severity: info, summary: s, {keys}}}]")
    return made


def parts(made):
    return expression(made).split("\nor\n")


def alerts_in(text):
    return yaml.safe_load(text)["groups"][0]["rules"]


@pytest.mark.parametrize("name", ["gpuwarden", "overrides"])
def test_the_rule_file_reads_as_it_did(name):
    """A change reaches every Prometheus unread (python -m tests.golden.remake)."""
    files = [GOLDEN / "overrides.yml"] if name == "overrides" else []
    made = rule_file(load_rules(SHIPPED, files))
    assert made == (GOLDEN / f"{name}.rules.yml").read_text("utf-8")
    assert made == rule_file(load_rules(SHIPPED, files))


@pytest.mark.parametrize(
    ("keys", "condition"),
    [
        ("above: 8", "host_cpus > 8"),
        ("below: 0.5", "host_cpus < 0.5"),
        ("equals: 0", "host_cpus == 0"),
        ("above: -1.0e-7", "host_cpus > -1e-07"),
        ("above: 12058624000000000000000", "host_cpus > 1.2058624e+22"),
        ("above: 0.30000000000000004", "host_cpus > 0.30000000000000004"),
    ],
)
def test_a_comparison_and_its_exact_number(keys, condition):
    """Prometheus compares with another number, or in another direction, than the rule says."""
    assert parts(rule(keys)) == [condition, HELD]


def test_clear_is_a_second_threshold_for_what_fires():
    """An alert at the edge of its threshold fires and ends every minute."""
    cleared = f"(host_cpus > 6\n  and {FIRING}}}))"
    assert parts(rule("above: 8, clear: 6")) == ["host_cpus > 8", cleared, HELD]
    assert parts(rule("below: 6, clear: 8"))[1] == cleared.replace("> 6", "< 8")
    assert parts(rule("above: 8, clear: 8")) == ["host_cpus > 8", HELD]


def test_where_picks_the_series_and_their_alerts():
    """A rule for one card judges all, or one for a label with quotes breaks the whole file."""
    made = rule(r"""above: 5, where: {gpu: "0", uuid: '!~a"b\.c'}""", "gpu_power_watts")
    matchers = r'gpu="0", uuid!~"a\"b\\.c"'
    condition, held = parts(made)
    assert condition == f"gpu_power_watts{{{matchers}}} > 5"
    assert f'alertstate="firing", {matchers}}}' in held


def test_an_override_leaves_its_series_to_the_other_part():
    """Two parts of an alert judge one series, and it fires by the threshold that was overridden."""
    rest, one, two = rules_in("""
rules:
  - {alert: A, metric: gpu_power_watts, above: 5, severity: info, summary: s}
  - {override: A, where: {gpu: "1"}, above: 6}
  - {override: A, where: {gpu: "!~1|2", job: lab}, above: 7}
""")
    assert parts(rest)[0] == '(gpu_power_watts{gpu!="1"} unless gpu_power_watts{gpu!="1", gpu!~"1|2", job="lab"}) > 5'
    assert parts(one)[0] == 'gpu_power_watts{gpu!~"1|2", job="lab", gpu!="1"} > 7'
    assert parts(two)[0] == 'gpu_power_watts{gpu="1"} > 6'


def test_up_means_our_targets_and_is_never_missing():
    """Every silent target of a shared Prometheus makes a mail of ours."""
    assert expression(rule("equals: 0", "up")) == 'up{job="gpuwarden"} == 0'
    assert expression(rule("equals: 0, where: {job: dcgm}", "up")) == 'up{job="dcgm"} == 0'


@pytest.mark.parametrize("terms", ["metric: up, equals: 0", "metric: m, unit: count, absent: true"])
def test_an_override_only_narrows_which_targets_are_meant(terms):
    """Who takes one job out of a rule gets the alerts of every other exporter of a shared Prometheus instead."""
    own = f"{{alert: A, {terms}, severity: info, summary: s}}"
    rest, narrowed = rules_in(f"""
rules:
  - {own}
  - {{override: A, where: {{job: "!node", instance: "=~a.*"}}, severity: warning}}
""")
    assert 'up{job="gpuwarden", job!="node", instance=~"a.*"}' in expression(narrowed).replace(
        'instance=~"a.*", job!="node"', 'job!="node", instance=~"a.*"'
    )
    assert 'up{job="gpuwarden"}' in expression(rest)
    with pytest.raises(DocumentError, match="no series of the rule can satisfy this"):
        rules_in(f"rules: [{own}, {{override: A, where: {{job: dcgm}}, severity: warning}}]")


def test_a_label_of_the_alert_itself_gets_another_name():
    """A rule on our own alerts, or on ECC errors by severity, fails in Prometheus for every series."""
    made = rule("above: 5, where: {alertname: GpuLost}", "gpuwarden_alerter_alerts")
    condition, held = parts(made)
    own = (
        'label_replace(gpuwarden_alerter_alerts{alertname="GpuLost"}, "exported_alertname", "$1", "alertname", "(.*)")'
    )
    assert condition == f"max without (alertname) ({own}) > 5"
    assert 'alertname="A", alertstate="firing", exported_alertname="GpuLost"' in held


def test_times_and_labels():
    """Prometheus waits for another time than the rule says, or a new alert is made at each evaluation."""
    (watchdog, made) = alerts_in(rule_file([rule("above: 8, for: 90s, keep_firing_for: 1500ms")]))
    assert (made["for"], made["keep_firing_for"], made["labels"]) == ("1m30s", "1s500ms", {"severity": "info"})
    assert (watchdog["alert"], watchdog["expr"], watchdog["labels"]) == ("Watchdog", "vector(1)", {"severity": "none"})
    at_once = alerts_in(rule_file([rule("above: 8")]))[1]
    assert "for" not in at_once
    assert "keep_firing_for" not in at_once


def test_texts_become_templates():
    """A mail that Alertmanager sends itself shows our placeholders instead of a card and a value."""
    made = replace(rule("above: 5", "gpu_power_watts"), summary="{{gpu}}: {{ value }}", action="{{ threshold }} {x}")
    annotations = alerts_in(rule_file([made]))[1]["annotations"]
    assert annotations == {
        "summary": '{{ $labels.gpu }}: {{ if ne $value $value }}unknown{{ else }}{{ printf "%.0f" $value }} W{{ end }}',
        "action": "5 W {x}",
        "value": "{{ $value }}",
    }


def test_a_rule_may_be_called_watchdog():
    """A user's own Watchdog is doubled, so that Prometheus posts it under two severities."""
    (mine,) = rules_in("rules: [{alert: Watchdog, metric: up, equals: 1, severity: info, summary: s}]")
    assert [alert["labels"]["severity"] for alert in alerts_in(rule_file([mine]))] == ["info"]


def test_the_command_prints_the_file(tmp_path):
    """Who keeps the rules in a repository of their own has no way to get at the file."""
    shown = CliRunner().invoke(rules_command, ["prometheus", "--rules", str(GOLDEN / "overrides.yml")])
    assert (shown.exit_code, shown.output) == (0, (GOLDEN / "overrides.rules.yml").read_text("utf-8"))
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("rules: [{override: GpuLos, equals: 1}]")
    refused = CliRunner().invoke(rules_command, ["prometheus", "--rules", str(wrong)])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "GpuLost" in refused.stderr
