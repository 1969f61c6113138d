"""What the probe would have found on the demo's first card: made-up figures, about those of a card of the middle class.

They come every quarter of an hour, as the real probe's do.
"""

from exporter.latency.book import Book
from exporter.latency.figures import LastRun, observe
from exporter.latency.observations import Observations
from exporter.latency.targets import Target
from exporter.snapshot import Gpu

_INTERVAL = 900.0
_MIB = float(2**20)
_FIGURES: dict[str, dict[str, object]] = {
    "gpt2-small": {
        "first_token_cold_seconds": 0.31,
        "first_token_p50_seconds": 0.0082,
        "first_token_p90_seconds": 0.0094,
        "per_token_seconds": 0.0071,
        "per_token_p50_seconds": 0.007,
        "answer_seconds": 0.227,
        "weights_bytes": 237 * _MIB,
        "kv_cache_bytes": 2.25 * _MIB,
        "torch_allocated_peak_bytes": 280 * _MIB,
        "torch_reserved_peak_bytes": 294 * _MIB,
    },
    "resnet18": {
        "batch_cold_seconds": 0.24,
        "batch_p50_seconds": 0.0031,
        "batch_p90_seconds": 0.0037,
        "weights_bytes": 22 * _MIB,
        "torch_allocated_peak_bytes": 60 * _MIB,
        "torch_reserved_peak_bytes": 78 * _MIB,
    },
}
_STARTED = {"device": "cuda", "torch": "simulated", "cuda": "13.0", "python": "3.12"}
_SECONDS, _LIMIT = 7.4, 60.0
_USED_RATIO = 0.0048


class SimulatedProbe:
    """Publishes itself through ``observations``."""

    def __init__(self, observations: Observations) -> None:
        self._observations = observations
        self._uuid = ""
        self._book = Book("own", lambda: (self._uuid,))
        self._next = 0.0
        for model in _FIGURES:
            observations.known(model, "probe")
        observations.tell_also(self._book.told)

    def look(self, gpu: Gpu, elapsed: float, started_at: float) -> None:
        """Have run what was due by ``elapsed`` seconds after ``started_at`` (Unix seconds) on this card."""
        targets = [Target(model, "fp16", gpu.index, gpu.uuid) for model in _FIGURES]
        self._uuid = gpu.uuid
        self._book.keep(targets, {gpu.uuid: _USED_RATIO})
        if elapsed < self._next:
            return
        self._next = elapsed - elapsed % _INTERVAL + _INTERVAL
        for target in targets:
            run = _run(target.model)
            observe(self._observations, target, run, limit=_LIMIT, phase="")
            self._book.ran(target, run, started_at + self._next - _INTERVAL)


def _run(model: str) -> LastRun:
    return LastRun(
        outcome="ok",
        seconds=_SECONDS,
        figures=_FIGURES[model],
        started=_STARTED,
        contended=False,
        throttled=False,
        clocks={"start": 1.8e9, "end": 1.8e9},
        process_bytes=_number(_FIGURES[model]["torch_reserved_peak_bytes"]) + 480 * _MIB,
    )


def _number(value: object) -> float:
    return value if isinstance(value, float) else 0.0
