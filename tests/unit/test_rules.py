import pathlib
import re

import pytest
from click.testing import CliRunner

from alerts.cli_rules import rules as rules_command
from alerts.rules import SHIPPED, Rule, load_rules, rules_of
from alerts.windows import Over
from gpuwarden.documents import DocumentError, parse

BAD = pathlib.Path(__file__).parent / "bad_rules"


def load(*texts: str) -> tuple[Rule, ...]:
    return rules_of([parse(text, f"{number}.yml") for number, text in enumerate(texts)])


def judged_by(rules: tuple[Rule, ...], **labels: str) -> list[Rule]:
    return [rule for rule in rules if rule.covers(labels)]


BASE = """
rules:
  - alert: Full
    metric: gpu_memory_used_ratio
    above: 0.90
    clear: 0.85
    for: 1m30s
    keep_firing_for: 5m
    severity: critical
    summary: "GPU {{ gpu }} is {{ value }} full"
    action: "look"
"""


@pytest.mark.parametrize("case", sorted(path.stem for path in BAD.glob("*.yml")))
def test_mistake_is_named_with_file_line_key_and_hint(case):
    """Somebody with a wrong rules file is not told where and what, or runs with a rule they did not mean."""
    with pytest.raises(DocumentError) as caught:
        load_rules(SHIPPED, [BAD / f"{case}.yml"])
    said = re.sub(rf"{SHIPPED}:\d+", "rules.yml:N", str(caught.value).replace(f"{BAD}/", ""))
    assert said + "\n" == (BAD / f"{case}.txt").read_text(encoding="utf-8")


def test_mistakes_of_all_files_at_once(tmp_path):
    """Somebody corrects one file only to learn of the next mistake in another."""
    with pytest.raises(DocumentError) as caught:
        load_rules(tmp_path / "missing.yml", [BAD / "unknown_key.yml", BAD / "percent_on_ratio.yml"])
    assert {pathlib.Path(mistake.file).name for mistake in caught.value.mistakes} == {
        "missing.yml",
        "unknown_key.yml",
        "percent_on_ratio.yml",
    }


def test_every_key_reaches_the_rule():
    """A key that was written has no effect."""
    (rule,) = load(BASE)
    assert rule == Rule(
        alert="Full",
        metric="gpu_memory_used_ratio",
        unit="ratio",
        comparison="above",
        threshold=0.9,
        clear=0.85,
        for_=90.0,
        keep_firing_for=300.0,
        severity="critical",
        summary="GPU {{ gpu }} is {{ value }} full",
        action="look",
    )


def test_shipped_rules():
    """The rules that everybody starts with are missing, or a card's memory passes 90 % without a mail."""
    rules = {rule.alert: rule for rule in load_rules(SHIPPED, [])}
    assert {"GpuLost", "GpuMissing", "TargetDown", "NoGpuSeen", "GpuMemoryAlmostFull"} <= set(rules)
    memory = rules["GpuMemoryAlmostFull"]
    assert (memory.comparison, memory.threshold, memory.clear, memory.for_) == ("above", 0.9, 0.85, 60.0)
    assert memory.keep_firing_for == 300.0
    at_once = {rule.alert for rule in rules.values() if not rule.for_}
    assert at_once == {"GpuXidHardware", "GpuXidDriver", "GpuXidApplication", "GpuMemoryPeak"}


@pytest.mark.parametrize("rule", load_rules(SHIPPED, []), ids=lambda rule: rule.alert)
def test_a_shipped_rule_says_what_to_do_and_when_it_is_not_wanted(rule):
    """Somebody who gets its mail at night, or reads of it, does not learn what it is good for."""
    assert all((rule.summary, rule.action, rule.why, rule.skip_when))


def test_every_number_of_a_shipped_rule_has_its_reason():
    """Nobody can tell which of the numbers may be changed, and what would be lost."""
    numbers = re.compile(r"    (above|below|clear|for|keep_firing_for|over|predict|quantile|within|older):")
    lines = SHIPPED.read_text("utf-8").splitlines()
    assert [line for line in lines if numbers.match(line) and "  # " not in line] == []


def test_override_replaces_only_its_keys():
    """Changing one number silently changes another, or drops the text of the mail."""
    (before,) = load(BASE)
    (after,) = load(BASE, "rules: [{override: Full, above: 0.97, for: 0s}]")
    assert (after.threshold, after.for_) == (0.97, 0.0)
    assert (after.clear, after.keep_firing_for, after.severity) == (0.85, 300.0, "critical")
    assert (after.summary, after.action) == (before.summary, before.action)


def test_override_may_turn_the_comparison_and_take_clear_away():
    """A hysteresis from the shipped rule cannot be got rid of."""
    (after,) = load(BASE, "rules: [{override: Full, below: 0.1, clear: null}]")
    assert (after.comparison, after.threshold, after.clear) == ("below", 0.1, None)


def test_scoped_override_splits_disjointly():
    """Two rules judge one card, so it gets two mails, or none."""
    rules = load(BASE, 'rules: [{override: Full, where: {gpu: "1"}, above: 0.97}]')
    assert [rule.threshold for rule in judged_by(rules, gpu="1")] == [0.97]
    assert [rule.threshold for rule in judged_by(rules, gpu="0")] == [0.9]
    assert [rule.threshold for rule in judged_by(rules)] == [0.9]


def test_later_override_wins_where_they_overlap():
    """The order of the file does not decide, so nobody can predict which number holds."""
    rules = load(
        BASE,
        """
rules:
  - {override: Full, where: {gpu: "1"}, above: 0.97}
  - {override: Full, where: {instance: "=~box.*"}, above: 0.92, severity: warning}
  - {override: Full, for: 10s}
""",
    )
    found = {
        (gpu, instance): [
            (rule.threshold, rule.severity, rule.for_) for rule in judged_by(rules, gpu=gpu, instance=instance)
        ]
        for gpu in "01"
        for instance in ("box1", "other")
    }
    assert found == {
        ("0", "box1"): [(0.92, "warning", 10.0)],
        ("0", "other"): [(0.9, "critical", 10.0)],
        ("1", "box1"): [(0.92, "warning", 10.0)],
        ("1", "other"): [(0.97, "critical", 10.0)],
    }


def test_one_override_for_each_card_stays_linear():
    """Sixteen cards with their own thresholds make thousands of rules."""
    lines = "\n".join(f'  - {{override: Full, where: {{gpu: "{gpu}"}}, above: 0.{90 + gpu}}}' for gpu in range(10))
    rules = load(BASE, f"rules:\n{lines}\n")
    assert len(rules) == 11
    assert [rule.threshold for rule in judged_by(rules, gpu="7")] == [0.97]


def test_overlapping_overrides_are_bounded():
    """A generated file with many overlapping overrides takes all memory."""
    labels = "".join(f'  - {{override: Full, where: {{gpu: "=~.*{n}.*"}}, above: 0.9{n}}}\n' for n in range(9))
    with pytest.raises(DocumentError, match="more than 100 rules"):
        load(BASE, f"rules:\n{labels}")


def test_disabled_rules_and_series_are_not_judged():
    """A switched-off rule still sends mails."""
    assert load(BASE, "rules: [{override: Full, enabled: false}]") == ()
    rules = load(BASE, 'rules: [{override: Full, where: {gpu: "1"}, enabled: false}]')
    assert [len(judged_by(rules, gpu=gpu)) for gpu in "01"] == [1, 0]


def test_foreign_metrics_with_a_unit():
    """Another exporter's metric cannot be watched."""
    (rule,) = load(
        'rules: [{alert: Cache, metric: "vllm:cache", unit: ratio, above: 0.9, severity: info, summary: "{{ model }}"}]'
    )
    assert (rule.unit, rule.metric) == ("ratio", "vllm:cache")


def test_what_comes_and_goes_with_a_process_ends_with_it():
    """A rule on one process fires for ever after the process has ended."""
    lines = "metric: gpu_process_memory_used_bytes, above: 1, severity: info, summary: s"
    (by_itself,) = load(f"rules: [{{alert: P, {lines}}}]")
    (told,) = load(f"rules: [{{alert: P, when_gone: hold, {lines}}}]")
    assert (by_itself.ends_when_gone, told.ends_when_gone, load(BASE)[0].ends_when_gone) == (True, False, False)


@pytest.mark.parametrize(
    "terms",
    [
        "metric: gpu_utilization_ratio, over: {max: 10m}, below: 0.05",
        "metric: gpu_utilization_ratio, over: {max: 10m}, equals: 0",
        "metric: gpu_utilization_ratio, over: {min: 10m}, above: 0.95",
        "metric: gpu_memory_used_peak_ratio, below: 0.1",
    ],
)
def test_what_one_spike_does_not_make_true_may_be_waited_for(terms):
    """A rule on a card that has been idle for half an hour is refused for a spike that would end it."""
    (rule,) = load(f"rules: [{{alert: A, {terms}, for: 30m, severity: info, summary: s}}]")
    assert rule.for_ == 1800.0


def test_an_override_may_look_through_its_window_in_another_way():
    """A rule on a maximum cannot be made one on the average for a card that spikes."""
    peak = "rules: [{alert: A, metric: gpu_power_watts, over: {max: 10m}, above: 400, severity: info, summary: s}]"
    (rule,) = load(peak, "rules: [{override: A, over: {avg: 20m}}]")
    assert (rule.window, rule.unit) == (Over("avg", 1200.0), "watts")


def test_budget_ratio_may_pass_one():
    """A workload that takes one and a half times its budget cannot have a rule."""
    (rule,) = load(
        "rules: [{alert: B, metric: gpu_workload_memory_budget_used_ratio, above: 1.5, severity: info, summary: over}]"
    )
    assert rule.threshold == 1.5


def test_wrong_rule_causes_no_further_mistakes():
    """One misspelt metric drowns in messages about the overrides of that rule."""
    with pytest.raises(DocumentError) as caught:
        load(BASE.replace("used_ratio", "usd_ratio"), "rules: [{override: Full, above: 0.97}]")
    assert [mistake.key for mistake in caught.value.mistakes] == ["rules[0].metric"]


def test_check_command_succeeds(tmp_path):
    """`rules check` cannot be used in a script, or does not say what it found."""
    file = tmp_path / "mine.yml"
    file.write_text(BASE, encoding="utf-8")
    result = CliRunner().invoke(rules_command, ["check", str(file)])
    assert (result.exit_code, result.stdout, result.stderr) == (
        0,
        f"ok: {len(load_rules(SHIPPED, [])) + 1} rules\n",
        "",
    )


def test_check_command_fails_with_status_2():
    """A wrong file passes a script's check."""
    file = BAD / "misspelt_metric.yml"
    result = CliRunner().invoke(rules_command, ["check", str(file)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"{file}:3: rules[0].metric: gpu_memory_usage_ratio is not a metric of gpuwarden"
        " (did you mean 'gpu_memory_used_ratio'?)\n"
    )


def test_check_command_on_a_missing_file(tmp_path):
    """A mistyped file name ends in a traceback."""
    result = CliRunner().invoke(rules_command, ["check", str(tmp_path / "none.yml")])
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr


def test_list_command(tmp_path):
    """Nobody can see which numbers are in force after overrides."""
    file = tmp_path / "mine.yml"
    file.write_text('rules: [{override: GpuMemoryAlmostFull, where: {gpu: "1"}, above: 0.97}]', encoding="utf-8")
    result = CliRunner().invoke(rules_command, ["list", "--rules", str(file)])
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert 'GpuMemoryAlmostFull gpu_memory_used_ratio (not {gpu="1"}) above 90.0 % 85.0 % 1m 5m critical' in lines
    assert 'GpuMemoryAlmostFull gpu_memory_used_ratio{gpu="1"} above 97.0 % 85.0 % 1m 5m critical' in lines
    assert "GpuLost gpu_up equals 0 30s 1m critical" in lines


@pytest.mark.parametrize("command", ["list", "prometheus"])
def test_commands_show_the_rules_of_the_settings(tmp_path, command):
    """The list says that a number is in force which the alerter, started with the same settings, does not use."""
    for name, number in (("settled", 0.97), ("given", 0.913)):
        text = f"rules: [{{override: GpuMemoryAlmostFull, above: {number}}}]"
        (tmp_path / f"{name}.yml").write_text(text, encoding="utf-8")
    config = tmp_path / "gpuwarden.yml"
    config.write_text(f"alerter: {{rules: [{tmp_path / 'settled.yml'}]}}", encoding="utf-8")
    shown = {"list": ("97.0 %", "91.3 %"), "prometheus": ("> 0.97", "> 0.913")}[command]

    settled = CliRunner().invoke(rules_command, [command, "--config", str(config)])
    flags = ["--config", str(config), "--rules", str(tmp_path / "given.yml")]
    given = CliRunner().invoke(rules_command, [command, *flags])

    assert [text in settled.stdout for text in shown] == [True, False]
    assert [text in given.stdout for text in shown] == [False, True]


def test_list_command_on_wrong_settings(tmp_path):
    """A misspelt setting is passed over in silence, and other rules are listed than will be judged."""
    config = tmp_path / "gpuwarden.yml"
    config.write_text("alerter: {rule: [mine.yml]}", encoding="utf-8")
    result = CliRunner().invoke(rules_command, ["list", "--config", str(config)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "gpuwarden.yml:1: alerter.rule" in result.stderr
