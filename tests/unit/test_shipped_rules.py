"""The shipped rules on the input series of tests/rules; tests/contract asks promtool the same."""

import pathlib

import pytest

from alerts.rule_test_file import rule_tests
from alerts.rule_tests import failures, run
from alerts.rules import SHIPPED, load_parts
from gpuwarden.documents import read

FOLDER = pathlib.Path(__file__).parents[1] / "rules"
FILES = sorted(FOLDER.glob("*.yml"))
RULES = tuple(part.rule for part in load_parts(SHIPPED, ()))
"""Those that are switched off until somebody asks for them too."""

JUDGED = sorted(rule.alert for rule in RULES if not rule.expr)


def read_tests(file):
    return rule_tests(read(file, as_written=True), RULES, with_expr=True)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_rules_fire_when_they_should(file):
    """A card runs into trouble without a mail, or somebody is woken for nothing."""
    for test in read_tests(file):
        assert [str(failure) for failure in failures(test, run(test, RULES))] == []


@pytest.fixture(scope="module")
def told():
    """Which alerts are tested on a series on which they fire, and on one on which they never do."""
    found = {True: set(), False: set()}
    for file in FILES:
        for test in read_tests(file):
            for key, fires in run(test, RULES).items():
                if test.meaning(key.alertname, key.labels):
                    found[any(fires)].add(key.alertname)
    return found


@pytest.mark.parametrize("alert", JUDGED)
def test_every_shipped_rule_is_tested_both_ways(told, alert):
    """A rule is shipped that never fires, or always does, and nobody has looked."""
    assert (alert in told[True], alert in told[False]) == (True, True)
