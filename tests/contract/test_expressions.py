"""Random expressions that our rules take, under Prometheus's own reading of the generated file."""

import json
import random

import pytest

from alerts.expressions import ExpressionError, compile_expression
from alerts.prometheus_rules import rule_file
from tests.contract.rules_in_promtool import rules_in, run

pytestmark = pytest.mark.prometheus

_PIECES = r"""
a b 1 _ - ^ $ . | ( ) [ ] { } * + ? , : = é \
\d \D \w \W \s \S \b \B \A \Z \. \_ \n \x41 \xe9 \u0041 \0 \1 \é \pL \Q
(?: (?i) (?s) (?i: (?s-i: (?-s: (?m) (?x) (?a) (?P<n> (?P<é> (?= (?! (?> (?P=n) (?#
[ab] [^a] [a-b] []a] [^] [[:alpha:]] [\d_] [\s-] [\S] [\b] [a&&b] [a--b] [(*]
{2} {0} {,2} {1,} {0,1} {1001} {500} {02} {2}? {2}+ {1,0} {2 *? ?? a{9}
"""
PIECES = (*_PIECES.split(), " ", "\v")
VALUES = (
    "a",
    "b",
    "aa",
    "ab",
    "aab",
    "A",
    "1",
    "_",
    "-",
    " ",
    "\v",
    "é",
    "É",
    "a.b",
    "a b",
    "{2",
    "a{",
    "[]",
    "aaaaaaaaa",
)
WANTED = 250


def accepted_expressions(seed):
    source = random.Random(seed)
    found = {}
    while len(found) < WANTED:
        text = "".join(source.choices(PIECES, k=source.choice([1, 2, 3, 4, 5, 7, 9])))
        try:
            found[text] = compile_expression(text)
        except ExpressionError:
            continue
    return found


@pytest.mark.parametrize("seed", range(4))
def test_prometheus_reads_every_accepted_expression_as_we_do(tmp_path, seed):
    """One user's expression makes the generated file invalid, or means other series to Prometheus."""
    expressions = accepted_expressions(seed)
    rule = {"metric": "m", "unit": "count", "above": 0, "severity": "info", "summary": "s"}
    rules = [{**rule, "alert": f"A{n}", "where": {"l": f"=~{text}"}} for n, text in enumerate(expressions)]
    series = {f"m{{l={json.dumps(value, ensure_ascii=False)}}}": "1" for value in VALUES}
    tests = [
        {
            "eval_time": "0m",
            "alertname": f"A{n}",
            "exp_alerts": [
                {"exp_labels": {"l": value, "severity": "info"}} for value in VALUES if pattern.fullmatch(value)
            ],
        }
        for n, pattern in enumerate(expressions.values())
    ]
    said = run(tmp_path, rule_file(rules_in(json.dumps({"rules": rules}))), series, tests)
    assert "SUCCESS" in said, said
