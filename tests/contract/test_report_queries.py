import json
import subprocess

import pytest

from alerts.report.from_prometheus import queries
from alerts.report.schedule import Period
from tests.contract.rules_in_promtool import tool

pytestmark = pytest.mark.prometheus

CARD = '{gpu="0",instance="a",job="j",uuid="u"}'
PLAIN = '{gpu="1",instance="a",job="j",uuid="v"}'
BUCKET = '{instance="a",job="j",le="%s",model="gpt",operation="generate",source="app"}'
SERIES = {
    f"gpu_memory_used_ratio{CARD}": "0.1x10",
    f"gpu_memory_used_peak_ratio{CARD}": "0.1x4 0.9 0.2x5",
    f"gpu_memory_used_ratio{PLAIN}": "0.3x10",
    f"gpu_utilization_ratio{CARD}": "0x4 1x4",
    f"gpu_energy_joules_total{CARD}": "0+60x10",
    f"gpu_up{CARD}": "_x1 1x8",
    f"model_request_duration_seconds_bucket{BUCKET % '1'}": "0+6x10",
    f"model_request_duration_seconds_bucket{BUCKET % '+Inf'}": "0+12x10",
}
EXPECTED = {
    "memory_ratio": {CARD: 0.9, PLAIN: 0.3},
    "utilization": {CARD: 0.5},
    "joules": {CARD: 600},
    "since": {"{}": 300},
    "model_request_duration_seconds": {'{le="1",model="gpt",operation="generate",source="app"}': 60}
    | {'{le="+Inf",model="gpt",operation="generate",source="app"}': 120},
    "celsius": {},
    "model_time_to_first_token_seconds": {},
    "host": {},
}


def test_prometheus_understands_each_query_as_it_is_meant(tmp_path):
    """The report would lack its energy, or tell the peaks of another card."""
    asked = queries(Period(0.0, 600.0))
    tests = [
        {
            "expr": asked[name],
            "eval_time": "10m",
            "exp_samples": [{"labels": labels, "value": value} for labels, value in expected.items()],
        }
        for name, expected in EXPECTED.items()
    ]
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in SERIES.items()],
        "promql_expr_test": tests,
    }
    (tmp_path / "test.yml").write_text(json.dumps({"rule_files": [], "evaluation_interval": "1m", "tests": [case]}))
    command = [tool("promtool"), "test", "rules", str(tmp_path / "test.yml")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert "SUCCESS" in result.stdout + result.stderr, result.stdout + result.stderr
