"""The demo source: plays a scenario and supplies every row of the catalog, so that nothing waits for hardware.

Everything that it makes is marked as simulated.
"""

import pathlib
import random
import time
from collections.abc import Callable

from exporter.latency.observations import Observations
from exporter.sources.reader import Part
from exporter.sources.scenario import Scenario
from exporter.sources.simulated import SimulatedCard, simulated_host
from exporter.sources.simulated_probe import SimulatedProbe

SHIPPED_SCENARIO = pathlib.Path(__file__).with_name("demo.yml")

_MODELS = (("resnet50", "batch", 0.018), ("gpt2", "generate", 1.9))
_FIRST_TOKEN_SECONDS, _NEXT_TOKEN_SECONDS = 0.03, 0.007


class DemoReader:
    """Plays ``scenario`` from the time of construction on and reports what two models would take."""

    source = "demo"

    def __init__(
        self,
        scenario: Scenario,
        observations: Observations,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._cards = [SimulatedCard.of(index, card, scenario.period) for index, card in enumerate(scenario.gpus)]
        self._observations = observations
        self._monotonic = monotonic
        self._started, self._started_at = monotonic(), wall()
        for model, _, _ in _MODELS:
            observations.known(model, "app")
        self._probe = SimulatedProbe(observations)
        self._random = random.Random(9400)  # noqa: S311 -- the same demo every time

    def read(self) -> Part:
        """The scenario's state now."""
        now = self._monotonic()
        elapsed = now - self._started
        self._observe()
        gpus = tuple(card.reading(elapsed, now, self._started_at) for card in self._cards)
        for gpu in gpus[:1]:
            self._probe.look(gpu, elapsed, self._started_at)
        return Part(
            gpus=gpus,
            host=simulated_host(elapsed, now, self._started_at),
            simulated=True,
            gpus_expected=len(self._cards),
        )

    def _around(self, typical: float) -> float:
        return typical * self._random.lognormvariate(0, 0.25)

    def _observe(self) -> None:
        seen = self._observations
        for model, operation, typical in _MODELS:
            seen.observe("model_request_duration_seconds", (model, "app", operation), self._around(typical))
            seen.add("model_requests_total", (model, "app", "ok"))
        for name, typical in (
            ("time_to_first_token_seconds", _FIRST_TOKEN_SECONDS),
            ("time_per_output_token_seconds", _NEXT_TOKEN_SECONDS),
        ):
            seen.observe(f"model_{name}", ("gpt2", "app"), self._around(typical))
