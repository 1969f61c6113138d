import pytest
import yaml
from click.testing import CliRunner

from alerts.cli_rules import rules as rules_command
from alerts.explain import condition, facts
from alerts.override_text import override_text
from alerts.rules import SHIPPED, load_parts, load_rules, rules_of
from gpuwarden.cli import main
from gpuwarden.documents import parse


def rule(keys):
    text = f"rules: [{{alert: A, severity: info, summary: s, {keys}}}]"
    (made,) = rules_of([parse(text, "own.yml")])
    return made


def said(made, **options):
    return {fact.topic: fact.text for fact in facts(made, **options)}


CONDITIONS = {
    "metric: gpu_memory_used_ratio, above: 0.9": "gpu_memory_used_ratio above 90.0 %",
    "metric: gpu_up, equals: 0, where: {gpu: '1'}": 'gpu_up{gpu="1"} equals 0',
    "metric: gpu_xid_errors_total, above: 5, over: {increase: 10m}": "gpu_xid_errors_total increase over 10m above 5",
    "metric: gpu_memory_used_ratio, above: 0.9, predict: 30m": (
        "gpu_memory_used_ratio predicted 30m ahead above 90.0 %"
    ),
    "metric: model_request_duration_seconds, above: 2, quantile: 0.95, over: {increase: 1h}": (
        "model_request_duration_seconds quantile 0.95 over 1h above 2 s"
    ),
    "metric: gpu_xid_last_timestamp_seconds, within: 10m": "gpu_xid_last_timestamp_seconds within 10m",
    "metric: model_probe_last_run_timestamp_seconds, older: 1d": "model_probe_last_run_timestamp_seconds older 1d",
    "metric: gpu_up, absent: true, where: {gpu: '1', instance: a}": ('gpu_up{gpu="1"} on {instance="a"} absent'),
    "expr: 'sum(gpu_up)\n  < 4'": "sum(gpu_up) < 4 (Prometheus only)",
    f"expr: 'vector({'1' * 80})'": f"vector({'1' * 53}... (Prometheus only)",
}


@pytest.mark.parametrize(("keys", "line"), CONDITIONS.items())
def test_every_kind_of_rule_has_a_line(keys, line):
    """The list of rules hides the window, or calls something not a number, and nobody sees what is judged."""
    assert condition(rule(keys)) == line


def test_a_rule_is_told_in_full():
    """Somebody who wants to know when a rule fires must read YAML and know the defaults."""
    made = rule(
        "metric: gpu_xid_errors_total, where: {xid: '79'}, above: 5, clear: 2, over: {increase: 1h30m}, for: 5m,"
        " keep_firing_for: 1h, when_gone: end, labels: {team: gpu}, action: act, why: because, skip_when: never"
    )
    assert said(made, enabled=False) == {
        "is off": "until an override says enabled: true",
        "judges": 'each card and class by itself, where xid="79": gpu_xid_errors_total'
        " (XID errors that the driver reported while we watched)",
        "compares": "how much it grew in the last 1 h 30 min",
        "fires": "when it is above 5 and has been for 5 min",
        "ends": "when it is no longer above 2, and has not been for 1 h",
        "without reading": (
            "a firing alert ends when its target answers without the series, and is held while that does not answer"
        ),
        "severity": "info",
        "labels": "team=gpu",
        "says": "s",
        "advises": "act",
        "why": "because",
        "not wanted": "never",
    }


@pytest.mark.parametrize(
    ("keys", "topic", "text"),
    [
        ("metric: gpu_up, equals: 0", "fires", "when it is 0, at once"),
        (
            "metric: gpu_up, equals: 0",
            "judges",
            "each card by itself: gpu_up (1 while the card answers; 0 when it is lost",
        ),
        ("metric: host_memory_used_ratio, above: 0.9", "judges", "each host by itself: "),
        ("metric: host_filesystem_used_ratio, above: 0.9", "judges", "each file system by itself: "),
        ("metric: up, equals: 0", "judges", "each target by itself: "),
        ("metric: foreign, unit: count, above: 1", "judges", "each series by itself: foreign"),
        ("metric: gpu_xid_last_timestamp_seconds, within: 10m", "fires", "when it is younger than 10 min, at once"),
        ("metric: gpu_xid_last_timestamp_seconds, within: 10m", "ends", "when it is 10 min old, which no mail tells"),
        ("metric: gpu_xid_last_timestamp_seconds, older: 1d", "ends", "when it is no longer older than 1 d"),
        ("metric: gpu_up, absent: true", "compares", "whether it publishes gpu_up"),
        ("metric: gpu_up, absent: true", "fires", "when the target answers without it, at once"),
        ("metric: gpu_up, absent: true", "without reading", "while the target does not answer, what fires is held"),
        ("expr: vector(1)", "judges", "whatever the expression yields; only Prometheus judges it"),
        (
            "metric: gpu_throttle_seconds_total, over: {rate: 5m}, above: 0.1",
            "compares",
            "how much it grows per second,",
        ),
        (
            "metric: gpu_power_watts, over: {avg: 5m}, above: 9",
            "compares",
            "the average of its readings of the last 5 min",
        ),
        (
            "metric: gpu_power_watts, predict: 1h, above: 9",
            "compares",
            "what it would be in 1 h if it went on as it does",
        ),
        ("metric: gpu_idle_memory_held_seconds, above: 86400", "fires", "when it is above 1 d, at once"),
        ("metric: gpu_up, equals: 0", "without reading", "what fires is held, with an unknown value;"),
    ],
)
def test_what_a_rule_does_is_said_in_words(keys, topic, text):
    """The words say something else than what is judged."""
    assert said(rule(keys))[topic].startswith(text)


def test_series_that_an_override_took_out_are_named():
    """Somebody believes that a card is watched which an override took out."""
    base = "rules: [{alert: A, metric: gpu_up, equals: 0, severity: info, summary: s, muted_by: [B]},"
    other = "{alert: B, metric: gpu_up, equals: 0, severity: info, summary: s}"
    change = "{override: A, where: {gpu: '1'}, for: 5m}]"
    rest, changed, _ = rules_of([parse(f"{base} {other}, {change}", "own.yml")])
    assert said(rest)["judges"].startswith('each card by itself, but not where gpu="1": gpu_up')
    assert said(changed)["judges"].startswith('each card by itself, where gpu="1": gpu_up')
    assert said(rest)["is mute"] == "while B fires on the same thing: nobody is told then"


KINDS = [*CONDITIONS, "metric: gpu_power_watts, above: 12345678901234567890", "metric: gpu_power_watts, below: -1.0e-7"]


@pytest.mark.parametrize("keys", KINDS)
def test_the_ready_override_changes_nothing_yet(keys, tmp_path):
    """What somebody pastes is refused, or changes more than the number they edit."""
    file = tmp_path / "own.yml"
    file.write_text(f"rules: [{{alert: A, severity: info, summary: s, for: 5s, {keys}}}]", encoding="utf-8")
    (made,) = load_rules(None, [file])
    change = tmp_path / "change.yml"
    change.write_text(override_text(made), encoding="utf-8")
    assert load_rules(None, [file, change]) == (made,)


def test_the_ready_override_of_every_shipped_rule(tmp_path):
    """The override that the reference page offers is refused."""
    change = tmp_path / "change.yml"
    parts = load_parts(SHIPPED, [])
    entries = [
        entry
        for part in parts
        for entry in yaml.safe_load(override_text(part.rule, enabled=part.enabled).replace("# where", "where"))["rules"]
    ]
    change.write_text(yaml.safe_dump({"rules": entries}), encoding="utf-8")
    assert len(load_rules(SHIPPED, [change])) >= len(parts)


def test_the_command_explains_a_rule_as_it_is_in_force(tmp_path):
    """Somebody is told the shipped number, although theirs is in force."""
    file = tmp_path / "mine.yml"
    file.write_text('rules: [{override: GpuLost, where: {gpu: "1"}, for: 5m}]', encoding="utf-8")
    result = CliRunner().invoke(rules_command, ["explain", "GpuLost", "--rules", str(file)])
    assert result.exit_code == 0
    assert "  fires            when it is 0 and has been for 30 s\n" in result.stdout
    assert "  fires            when it is 0 and has been for 5 min\n" in result.stdout
    assert result.stdout.count("To change it, in a file of yours:\n\nrules:\n  - override: GpuLost\n") == 2
    assert max(map(len, result.stdout.splitlines())) < 120


def test_an_unknown_rule_is_answered_with_the_nearest():
    """A typing error gets no answer, or a traceback."""
    result = CliRunner().invoke(main, ["rules", "explain", "GpuLots"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "there is no rule 'GpuLots' (did you mean 'GpuLost'?)\n"


def test_rules_that_are_off_are_named_below_the_list(tmp_path):
    """Nobody learns of a rule that waits to be switched on."""
    file = tmp_path / "mine.yml"
    file.write_text("rules: [{override: GpuLost, enabled: false}]", encoding="utf-8")
    result = CliRunner().invoke(rules_command, ["list", "--rules", str(file)])
    off = result.stdout.partition("\n\nSwitched off: ")[2]
    assert "GpuLost" in off.split(", ") or off.strip() == "GpuLost"
    explained = CliRunner().invoke(rules_command, ["explain", "GpuLost", "--rules", str(file)])
    assert "  is off           until an override says enabled: true\n" in explained.stdout
    assert "    enabled: true\n" in explained.stdout


def test_the_job_that_goes_without_saying_is_not_said():
    """Every rule on targets would seem to be about some of them."""
    lines = [
        "{alert: A, metric: up, equals: 0, severity: info, summary: s}",
        "{alert: B, metric: up, equals: 0, where: {job: dcgm}, severity: info, summary: s}",
        "{alert: C, metric: m, unit: count, absent: true, severity: info, summary: s}",
    ]
    ours, theirs, absent = rules_of([parse(f"rules: [{', '.join(lines)}]", "r.yml")])
    assert condition(ours) == "up equals 0"
    assert condition(theirs) == 'up{job="dcgm"} equals 0'
    assert condition(absent) == "m absent"
    assert [{fact.topic: fact.text for fact in facts(rule)}["judges"].count("job") for rule in (ours, absent)] == [0, 0]
