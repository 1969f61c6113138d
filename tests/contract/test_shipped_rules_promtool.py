"""The shipped rules under Prometheus's own judgement, on the same input series as the alerter's."""

import pathlib
import shutil
import subprocess

import pytest

from alerts.prometheus_rules import rule_file
from alerts.promtool import check_tests
from alerts.promtool_tests import RULE_FILE, promtool_document, without_annotations
from alerts.rule_test_file import rule_tests
from alerts.rule_tests import run
from alerts.rules import SHIPPED, load_parts, rules_of
from gpuwarden.documents import parse, read
from tests.contract.rules_in_promtool import tool

pytestmark = pytest.mark.prometheus

FILES = sorted((pathlib.Path(__file__).parents[1] / "rules").glob("*.yml"))
RULES = tuple(part.rule for part in load_parts(SHIPPED, ()))


def said_of(tests, rules):
    tool("promtool")
    document = promtool_document([(test, run(test, rules)) for test in tests], rules)
    return check_tests({RULE_FILE: without_annotations(rule_file(rules))}, document)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_prometheus_judges_the_shipped_rules_alike(file):
    """Somebody who changes from the alerter to Prometheus gets other mails from the same rules."""
    assert said_of(rule_tests(read(file, as_written=True), RULES, with_expr=True), RULES) == ""


MINE = """
rules:
  - {alert: Full, metric: gpu_memory_used_ratio, above: 0.9, severity: critical, labels: {team: a}, summary: s}
  - {alert: Down, metric: up, equals: 0, severity: info, summary: s}
  - {alert: Nothing, metric: gpu_up, absent: true, where: {gpu: "3"}, severity: info, summary: s}
  - {override: Full, where: {gpu: "1"}, severity: warning, labels: {team: b}}
  - {alert: Twice, metric: gpu_ecc_errors_total, above: 2, severity: info, summary: s}
  - {alert: Sum, expr: "sum by (instance) (gpu_memory_used_ratio) > 1.8", severity: info, labels: {team: c}, summary: s}
"""
CASE = """
interval: 15s
tests:
  - name: labels and parts
    series:
      gpu_memory_used_ratio{gpu="0", uuid="a"}: 0.5x3 0.95x3 NaN 0.5 _x2 0.95
      gpu_memory_used_ratio{gpu="1", uuid="b"}: 0.95x11
      gpu_ecc_errors_total{gpu="0", severity="corrected"}: 0+1x11
      up: 1x9 0 1
      up{job="node"}: 0x5
      gpu_up{gpu="3", uuid="d"}: _ 1 _
    firing:
      Full{gpu="0"}: 1m..2m15s, 3m..
      Twice: 45s..
      Down: 2m30s..2m45s
      Nothing: 0s..15s, 30s..
      Sum{instance="test:9400"}: 1m..2m, 3m..
"""


def mine(case):
    rules = rules_of([parse(MINE, "rules.yml")])
    return rule_tests(parse(case, "t.yml", as_written=True), rules, with_expr=True), rules


def test_labels_parts_and_expressions_reach_promtool():
    """A test passes here and fails under promtool for want of a label, although Prometheus judges alike."""
    assert said_of(*mine(CASE)) == ""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("2m15s", "2m30s"),
        (" 45s..", " 1m.."),
        (", 3m..", ""),
        ("Twice: 45s..", "Twice: never"),
        ("1m..2m, 3", "1m15s..2m, 3"),
    ],
)
def test_promtool_refuses_what_is_wrong(right, wrong):
    """Promtool says yes to everything, and nobody notices."""
    assert "got:[" in said_of(*mine(CASE.replace(right, wrong)))


def test_the_printed_files_are_a_test_for_anyone(tmp_path):
    """Somebody runs promtool on what the command prints and is told of errors that are none."""
    from click.testing import CliRunner

    from alerts.cli_rules import rules as rules_command

    file = FILES[0]
    printed = {
        RULE_FILE: ["prometheus", "--no-annotations"],
        "tests.yml": ["prometheus", "--tests", str(file)],
    }
    for name, command in printed.items():
        result = CliRunner().invoke(rules_command, command)
        assert result.exit_code == 0
        (tmp_path / name).write_text(result.stdout, encoding="utf-8")
    program = tool("promtool")
    ended = subprocess.run(
        [program, "test", "rules", "tests.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, shutil.which("promtool")) == (0, program), ended.stdout + ended.stderr
