"""What a run came to, as series: pure but for the histograms that it is added to.

- A histogram gets one observation of each run: its median. The 64 calls of one run are made within seconds and under
  the same conditions; each for itself, they would outvote all other runs of the hour. Of the time per token it gets the
  mean, which is what the word means.
- A run that timed out is observed at the time-out: left out, a machine that hangs would look fast. The first token is
  observed so, too, unless the run got further than that.
- A run that was refused or ended for want of memory took no time that means anything.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from exporter.latency.observations import Labels, Observations
from exporter.latency.targets import Target
from exporter.processes.labels import clean_label

SOURCE = "probe"
MEASURING = frozenset({"first token", "inference", "training"})
"""Phases of the child in which the figures come about."""
ABOUT_TO_TAKE = "device"
"""The phase that begins before the device is taken."""
_LATER = "further tokens"

_DURATION, _FIRST, _PER_TOKEN = "duration_seconds", "time_to_first_token_seconds", "time_per_output_token_seconds"
_BY_PERCENTILE = (
    (_DURATION, "50", ("answer_seconds", "batch_p50_seconds", "step_seconds")),
    (_DURATION, "90", ("batch_p90_seconds",)),
    (_FIRST, "50", ("first_token_p50_seconds",)),
    (_FIRST, "90", ("first_token_p90_seconds",)),
    (_PER_TOKEN, "50", ("per_token_p50_seconds",)),
    (_PER_TOKEN, "90", ("per_token_p90_seconds",)),
)
_PLAIN = (
    ("cold_seconds", ("first_token_cold_seconds", "batch_cold_seconds", "step_cold_seconds")),
    ("weights_bytes", ("weights_bytes",)),
    ("kv_cache_bytes", ("kv_cache_bytes",)),
)
_PEAKS = (
    ("torch_allocated", "torch_allocated_peak_bytes"),
    ("torch_reserved", "torch_reserved_peak_bytes"),
    ("process", "process_resident_peak_bytes"),
)
_OBSERVED = (
    ("model_time_to_first_token_seconds", "first_token_p50_seconds"),
    ("model_time_per_output_token_seconds", "per_token_seconds"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """A run and what was seen around it; seconds of the whole, ``clocks`` in hertz; None where nothing is known."""

    outcome: str
    seconds: float
    figures: Mapping[str, object] = field(default_factory=dict[str, object])
    started: Mapping[str, object] = field(default_factory=dict[str, object])
    contended: bool | None = None
    throttled: bool | None = None
    clocks: Mapping[str, float] = field(default_factory=dict[str, float])
    process_bytes: float | None = None


def number(figures: Mapping[str, object], *keys: str) -> float | None:
    """The first of these that is a number, not below 0."""
    for key in keys:
        value = figures.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
            return float(value)
    return None


def series(target: Target, run: LastRun, interpreter: str) -> Iterator[tuple[str, Labels, float]]:
    """The gauges of a target's last run: name, label values, value."""
    card = (target.gpu, target.uuid)
    model, figure = (target.model, *card), (target.model, target.precision, *card)
    yield "model_probe_success", model, float(run.outcome == "ok")
    yield "model_probe_run_duration_seconds", model, run.seconds
    if run.contended is not None:
        yield "model_probe_contended", model, float(run.contended)
    if run.throttled is not None:
        yield "model_probe_throttled", model, float(run.throttled)
    if run.started:
        yield "model_probe_info", (*model, *_described(target, run.started, interpreter)), 1.0
    for name, labels, value in _measured(run):
        if value is not None:
            yield f"model_probe_{name}", (*figure, *labels), value


def _measured(run: LastRun) -> Iterator[tuple[str, Labels, float | None]]:
    """Of a run that went well; of one without enough memory, what it had come to."""
    peaks = {kind: number(run.figures, key) for kind, key in _PEAKS}
    if run.process_bytes is not None:
        peaks["process"] = run.process_bytes
    yield from (("memory_peak_bytes", (kind,), value) for kind, value in peaks.items())
    if run.outcome == "ok":
        yield from ((name, (part,), number(run.figures, *keys)) for name, part, keys in _BY_PERCENTILE)
        yield from ((name, (), number(run.figures, *keys)) for name, keys in _PLAIN)
        yield from (("sm_clock_hertz", (at,), value) for at, value in run.clocks.items())


def _described(target: Target, started: Mapping[str, object], interpreter: str) -> Labels:
    def told(key: str) -> str:
        value = started.get(key)
        return clean_label(str(value)) if isinstance(value, str | int | float) else ""

    return target.precision, told("device"), told("torch"), told("cuda"), told("python"), interpreter


def observe(seen: Observations, target: Target, run: LastRun, *, limit: float, phase: str) -> None:
    """Count a run; ``limit`` is the time-out in seconds, ``phase`` the last one that the run was in."""
    request = ("model_request_duration_seconds", (target.model, SOURCE, target.operation))
    seen.add("model_requests_total", (target.model, SOURCE, run.outcome))
    if run.outcome == "timeout":
        seen.observe(*request, limit)
        if target.operation == "generate" and phase != _LATER:
            seen.observe("model_time_to_first_token_seconds", (target.model, SOURCE), limit)
    elif run.outcome == "ok":
        whole = number(run.figures, "answer_seconds", "batch_p50_seconds", "step_seconds")
        if whole is not None:
            seen.observe(*request, whole)
        for name, key in _OBSERVED:
            if (value := number(run.figures, key)) is not None:
                seen.observe(name, (target.model, SOURCE), value)
