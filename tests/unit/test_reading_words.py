import pytest

from alerts.reading_words import reading_words
from alerts.rules import rules_of
from gpuwarden.documents import parse

CASES = {
    "metric: gpu_memory_used_ratio, above: 0.9": "",
    "metric: gpu_xid_errors_total, above: 0, over: {increase: 10m}": "increase over 10 min",
    "metric: gpu_pcie_replays_total, above: 1, over: {rate: 1h30m}": "per second, average of the last 1 h 30 min",
    "metric: gpu_utilization_ratio, below: 0.1, over: {avg: 1d}": "average of the last 1 d",
    "metric: host_filesystem_used_ratio, above: 0.99, predict: 4h": "predicted in 4 h",
    "metric: gpu_xid_last_timestamp_seconds, within: 10m": "age",
    'metric: gpu_info, absent: true, where: {gpu: "0"}': 'gpu_info{gpu="0"}',
    "metric: model_request_duration_seconds, above: 1, quantile: 0.95, over: {increase: 10m}": (
        "what 95 % of the last 10 min stayed below"
    ),
}


@pytest.mark.parametrize(("keys", "words"), CASES.items())
def test_the_number_is_named(keys, words):
    """A mail would pass a prediction, or the worst of an hour, for what is true now."""
    text = f"rules: [{{alert: A, severity: info, summary: s, {keys}}}]"
    (rule,) = rules_of([parse(text, "own.yml")])
    assert reading_words(rule) == words
