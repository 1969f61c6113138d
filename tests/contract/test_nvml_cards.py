"""One card's readings over time, on a driver that answers from a table and a clock that is handed in."""

import pytest

from exporter.accumulators import Accumulators
from exporter.page import INTERVALS_TO_EXPIRY
from exporter.processes.holders import Holders
from exporter.sources.nvml import errors
from exporter.sources.nvml.card import Card
from exporter.sources.nvml.device import Device
from exporter.sources.nvml.gate import Gate
from exporter.sources.nvml.worker import CardWorker, Ways, deadline_for
from exporter.sources.reader import SourceError


class Answers:
    """A driver whose card answers by function and last argument, else by function; not supported where nothing is."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    def call(self, function, *arguments):
        self.asked.append(function)
        name = function.removeprefix("nvmlDevice")
        answer = self.answers.get(f"{name}_{arguments[-1]}", self.answers.get(name, errors.error_for(function, 3)))
        if isinstance(answer, Exception):
            raise answer
        return answer


def card_of(driver):
    return Card("nvml/0", Device(driver, object()), driver, Holders(), Accumulators())


def test_a_limit_that_fails_for_a_moment_keeps_its_value_and_is_asked_for_again():
    """GpuTemperatureMarginLow must not be blind for a minute because one question in a thousand failed."""
    limit, unknown = "GetTemperatureThreshold_1", errors.error_for("nvmlDeviceGetTemperatureThreshold", 999)
    driver = Answers(GetTemperature=83, GetTemperatureThreshold_1=unknown, GetMaxClockInfo=2000)
    card = card_of(driver)
    assert "temperature_margin_celsius" not in card.read(0.0)
    driver.answers[limit] = 93
    assert card.read(1.0)["temperature_margin_celsius"] == 10.0
    driver.answers[limit] = unknown
    assert card.read(61.0)["temperature_margin_celsius"] == 10.0
    driver.answers[limit] = 95
    assert card.read(62.0)["temperature_margin_celsius"] == 12.0


def test_only_the_limit_that_failed_is_asked_for_again():
    """A card that refuses one question for good must not be asked all the others every second for that."""
    unknown = errors.error_for("nvmlDeviceGetTemperatureThreshold", 999)
    driver = Answers(GetTemperature=83, GetTemperatureThreshold_1=unknown, GetMaxClockInfo=2000)
    card = card_of(driver)
    for second in range(60):
        card.read(float(second))
    assert driver.asked.count("nvmlDeviceGetTemperatureThreshold") == 3 + 60
    assert driver.asked.count("nvmlDeviceGetMaxClockInfo") == 4


@pytest.mark.parametrize(("interval", "deadline"), [(0.1, 0.45), (1.0, 2.25), (4.0, 8.25), (5.0, 10.0), (60.0, 10.0)])
def test_a_reading_may_take_as_long_as_the_page_shows_one(interval, deadline):
    """With ten seconds for everybody, values of ten seconds ago stood on the page as of now after each stall."""
    assert deadline_for(interval) == pytest.approx(deadline)
    assert deadline_for(interval) <= INTERVALS_TO_EXPIRY * interval + 0.25


class SlowAnswers(Answers):
    """Each question takes ``seconds`` of the clock ``now``."""

    now = 0.0

    def call(self, function, *arguments):
        self.now += self.answers["seconds"]
        return super().call(function, *arguments)


def test_a_reading_that_stalled_is_dropped_and_the_next_one_shown():
    """Values begun before a stall of seconds must not be published with the time of its end."""
    driver = SlowAnswers(GetTemperature=83, seconds=0.0)
    gate = Gate("not yet")
    gate.open()
    worker = CardWorker(
        "nvml/0",
        "GPU-0",
        gate,
        Ways(lambda _uuid: Device(driver, object()), lambda _source, _device: card_of(driver)),
        deadline=deadline_for(1.0),
        monotonic=lambda: driver.now,
    )
    assert worker.read().gpus[0].up
    driver.answers["seconds"] = 3.0
    with pytest.raises(SourceError, match="too old to be shown") as caught:
        worker.read()
    assert not caught.value.part.gpus[0].up
    driver.answers["seconds"] = 0.0
    assert worker.read().gpus[0].up
