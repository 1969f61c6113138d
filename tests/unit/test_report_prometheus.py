import asyncio
import json

import pytest

from alerts.report.from_prometheus import ask_prometheus, queries, readings_of
from alerts.report.schedule import Period
from alerts.series import Sample, label_set
from tests.fakes.metrics_page import MetricsPage

PERIOD = Period(1_780_000_000.0, 1_780_086_400.0)
CARD = {"job": "gpuwarden", "instance": "a:9400", "gpu": "0", "uuid": "u"}
MODEL = {"model": "gpt", "source": "app", "operation": "generate"}


def one(value, **labels):
    return [Sample(label_set(labels), value)]


ANSWERS = {
    "memory_ratio": one(0.9, **CARD),
    "celsius": one(80.0, **CARD),
    "watts": one(200.0, **CARD),
    "utilization": one(0.5, **CARD),
    "joules": one(3.6e6, **CARD),
    "name": one(1.0, **CARD, name="RTX\u202e 3060\n"),
    "host": one(1.0, job="gpuwarden", instance="a:9400", hostname="gpubox"),
    "simulated": one(0.0, job="gpuwarden", instance="a:9400"),
    "since": one(PERIOD.begin + 100),
    "model_request_duration_seconds": [
        *one(5.0, **MODEL, le="1"),
        *one(10.0, **MODEL, le="2"),
        *one(10.0, **MODEL, le="+Inf"),
    ],
}


def test_answers_become_the_facts_of_cards_and_models():
    """Whoever has Prometheus would get a report without readings."""
    found = readings_of(ANSWERS, PERIOD)
    (card,) = found.cards
    assert (card.host, card.gpu, card.name) == ("gpubox", "0", "RTX 3060")
    assert (card.memory_ratio, card.celsius, card.watts, card.utilization, card.joules) == (0.9, 80, 200, 0.5, 3.6e6)
    (model,) = found.models
    assert (model.model, model.what, model.count, model.p50) == ("gpt", "app generate", 10, 1.0)
    assert (found.missing, found.simulated) == ((), False)


def test_what_is_missing_is_said():
    """An hour's readings would pass for a week's, or silence for peace."""
    late = readings_of({**ANSWERS, "since": one(PERIOD.begin + 7200)}, PERIOD)
    assert late.missing[0].startswith("There are no readings before 2026")
    assert readings_of({}, PERIOD).missing == ("Prometheus knows of no card in this time.",)
    assert "did not tell all: timeout" in readings_of(ANSWERS, PERIOD, ["timeout"]).missing[0]
    assert readings_of({**ANSWERS, "simulated": one(1.0)}, PERIOD).simulated


@pytest.mark.parametrize("body", ["{}", "not json", '{"data": {"result": 7}}'])
def test_a_prometheus_that_answers_nonsense_costs_only_its_readings(body):
    """The report, and with it the sign of life, would not come."""
    with MetricsPage(body) as page:
        found = asyncio.run(ask_prometheus(page.url, PERIOD))
    assert found.cards == ()
    assert "Prometheus did not tell all" in found.missing[0]


def test_a_prometheus_that_is_gone_or_hangs_costs_only_its_readings():
    """The report, and with it the sign of life, would not come."""
    with MetricsPage() as page:
        gone = page.url
    assert "did not tell all" in asyncio.run(ask_prometheus(gone, PERIOD)).missing[0]
    answer = json.dumps({"data": {"result": []}})
    with MetricsPage(answer) as page:
        assert asyncio.run(ask_prometheus(page.url, PERIOD)).missing == ("Prometheus knows of no card in this time.",)
        late = asyncio.run(ask_prometheus(page.url, PERIOD, deadline=0.0))
    assert "no complete answer within 0 s" in late.missing[0]


def test_a_window_is_the_period():
    """On the days when the clock is changed, the numbers would be those of another time than the report says."""
    assert all("[82800s" in query for query in queries(Period(0.0, 82_800.0)).values())
