"""Running a generated rule file under promtool.

Minutes are written as text, ``F`` for firing: ``..FF`` fires from minute 2.
"""

import json
import os
import shutil
import subprocess

import pytest
import yaml

from alerts.rules import rules_of
from gpuwarden.documents import parse

BOX = 'instance="box:9400",job="gpuwarden"'


def tool(name) -> str:
    """The path of a program; without it the test is skipped, but fails in CI."""
    found = shutil.which(name)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not installed, and CI must run this")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def rules_in(text):
    return rules_of([parse(text, "rules.yml")])


def run(folder, text, series, tests, *, annotated=False) -> str:
    """What promtool says; without ``annotated`` only labels are compared."""
    groups = yaml.safe_load(text)
    for rule in groups["groups"][0]["rules"]:
        if not annotated:
            del rule["annotations"]
    (folder / "rules.yml").write_text(json.dumps(groups))
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    case = {"interval": "1m", "input_series": inputs, "alert_rule_test": tests}
    (folder / "test.yml").write_text(
        json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [case]})
    )
    command = [tool("promtool"), "test", "rules", str(folder / "test.yml")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    said = result.stdout + result.stderr
    assert (result.returncode == 0) == ("SUCCESS" in said)
    return said[:4000]


def expected(alertname, fires, severity):
    """``fires``: labels as text -> minutes as text; every minute is asserted."""
    minutes = len(next(iter(fires.values())))
    return [
        {
            "eval_time": f"{minute}m",
            "alertname": alertname,
            "exp_alerts": [
                {"exp_labels": {"severity": severity, **labels_in(labels)}}
                for labels, when in fires.items()
                if when[minute] == "F"
            ],
        }
        for minute in range(minutes)
    ]


def labels_in(text):
    return dict(json.loads(f'["{pair}]'.replace("=", '",', 1)) for pair in text.split(",")) if text else {}
