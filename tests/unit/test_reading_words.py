import pytest

from alerts.reading_words import condition_words, reading_words
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


CONDITIONS = {
    'metric: gpu_memory_used_ratio, above: 0.9, where: {gpu: "0"}': 'gpu_memory_used_ratio{gpu="0"} above 90.0 %',
    "metric: host_filesystem_used_ratio, above: 0.99, predict: 4h": (
        "host_filesystem_used_ratio (predicted in 4 h) above 99.0 %"
    ),
    "metric: gpu_xid_last_timestamp_seconds, within: 10m": "gpu_xid_last_timestamp_seconds (age) within 10 min",
    'metric: gpu_info, absent: true, where: {gpu: "0", job: box}': 'no gpu_info{gpu="0"} on {job="box"}',
    "metric: gpu_up, equals: 0": "gpu_up equals 0",
    "expr: sum(gpu_up)  < 4": "sum(gpu_up) < 4",
}


@pytest.mark.parametrize(("keys", "words"), CONDITIONS.items())
def test_the_whole_condition_is_told(keys, words):
    """The list of rules and the reference page would leave out what a rule compares, and of which series."""
    (rule,) = rules_of([parse(f"rules: [{{alert: A, severity: info, summary: s, {keys}}}]", "own.yml")])
    assert condition_words(rule) == words


def test_what_an_override_took_out_is_told():
    """Two rules of one name would look the same in the list."""
    own = 'rules: [{alert: A, metric: gpu_up, equals: 0, severity: info, summary: s}, {override: A, where: {gpu: "1"}}]'
    assert [condition_words(rule) for rule in rules_of([parse(own, "own.yml")])] == [
        'gpu_up (not {gpu="1"}) equals 0',
        'gpu_up{gpu="1"} equals 0',
    ]
