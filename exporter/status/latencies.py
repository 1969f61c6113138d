"""How fast models answer, in words: pure, from counted buckets and the last probes.

A percentile of a histogram is where it would lie if the observations of a bucket were spread evenly over it, as in
Prometheus; of what lies above the last bound only that is known. It counts since the exporter began.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from exporter.latency.observations import Labels, Observed
from exporter.latency.reasons import WORDS
from exporter.status.model import NO_READING, Latency, Model
from exporter.status.words import ago, counted
from gpuwarden.catalog import CATALOG
from gpuwarden.units import format_value

_REQUESTS, _SKIPPED, _LAST_RUN = (
    "model_requests_total",
    "model_probe_skipped_total",
    "model_probe_last_run_timestamp_seconds",
)
_CONTENDED, _SUCCESS, _RUNNING = "model_probe_contended", "model_probe_success", "model_probe_running"
_OF_A_CARD = frozenset({_RUNNING, "model_probe_time_used_ratio"})
"""Not of a model."""
_WHATS = {
    "model_request_duration_seconds": "whole answer",
    "model_time_to_first_token_seconds": "first token",
    "model_time_per_output_token_seconds": "each next token",
    "model_probe_duration_seconds": "whole answer",
    "model_probe_time_to_first_token_seconds": "first token",
    "model_probe_time_per_output_token_seconds": "each next token",
}
_SOURCES = {
    "app": "told by the application",
    "endpoint": "asked at its endpoint",
    "probe": "probed by gpuwarden",
    "server": "told by its server",
}
_MEDIAN, _HIGH = "50", "90"
_NOTHING = "-"


def models(observed: Iterable[Observed], now: float) -> tuple[Model, ...]:
    """Every model that something is known of, as of ``now`` (Unix seconds)."""
    latencies: dict[str, list[Latency]] = defaultdict(list)
    notes: dict[str, list[str]] = defaultdict(list)
    observed = sorted(observed, key=lambda item: list(CATALOG).index(item.name))
    clean = _clean(observed)
    for item in observed:
        if item.name in _OF_A_CARD:
            continue
        for labels, (counts, _) in item.distributions.items():
            latencies[labels[0]].append(_counted(item.name, labels, counts))
        if item.name in _WHATS:
            for model, latency in _probed(item, clean):
                latencies[model].append(latency)
        for labels, value in item.values.items():
            notes[labels[0]].extend(_note(item.name, labels, value, now))
    names = sorted({*latencies, *notes})
    return tuple(Model(name, tuple(latencies[name]), tuple(notes[name])) for name in names)


def _counted(name: str, labels: Labels, counts: Sequence[int]) -> Latency:
    _, source, *operation = labels
    bounds, number = CATALOG[name].buckets, sum(counts)
    what = f"{_WHATS.get(name, name)}, {operation[0]}" if operation else _WHATS.get(name, name)
    return Latency(
        what,
        percentile(bounds, counts, 0.5),
        percentile(bounds, counts, 0.9),
        f"{_SOURCES.get(source, source)}, {counted(number, 'time')}",
    )


def percentile(bounds: Sequence[float], counts: Sequence[int], rank: float) -> str:
    """About where ``rank`` (0 to 1) of the observations lie; ``counts`` are by bucket and one for what lies above."""
    total = sum(counts)
    if not total:
        return NO_READING
    wanted, below = rank * total, 0.0
    for (low, high), count in zip(itertools.pairwise((0.0, *bounds)), counts, strict=False):
        if count and below + count >= wanted:
            return f"≈ {format_value(low + (high - low) * (wanted - below) / count, 'seconds')}"
        below += count
    return f"over {format_value(bounds[-1], 'seconds')}"


def _clean(observed: Iterable[Observed]) -> dict[tuple[str, str], str]:
    """Whether the last probe of a model on a card had the card for itself, in words."""
    words = {0.0: "clean", 1.0: "contended"}
    return {
        (model, uuid): words.get(value, "")
        for item in observed
        if item.name == _CONTENDED
        for (model, _, uuid), value in item.values.items()
    }


def _probed(item: Observed, clean: Mapping[tuple[str, str], str]) -> Iterator[tuple[str, Latency]]:
    """The last run's gauges, one row for each precision and card."""
    rows: dict[Labels, dict[str, float]] = defaultdict(dict)
    for (*what, percentage), value in item.values.items():
        rows[tuple(what)][percentage] = value
    for (model, precision, gpu, uuid), found in rows.items():
        shown = _seconds(found.get(_MEDIAN)), _seconds(found.get(_HIGH))
        said = [f"{_SOURCES['probe']} on {_place(gpu)}", precision, "last run", clean.get((model, uuid), "")]
        yield model, Latency(_WHATS[item.name], *shown, ", ".join(filter(None, said)))


def _place(gpu: str) -> str:
    return f"GPU {gpu}" if gpu else "the processor"


def _seconds(value: float | None) -> str:
    return _NOTHING if value is None else format_value(value, "seconds")


def _note(name: str, labels: Labels, value: float, now: float) -> Iterator[str]:
    if name == _LAST_RUN:
        yield f"last probed on {_place(labels[1])} {ago(now - value)}"
    elif name == _SUCCESS and not value:
        yield f"its last probe on {_place(labels[1])} failed"
    elif name == _SKIPPED and value:
        reason = labels[3]
        yield f"{counted(round(value), 'probe')} on {_place(labels[1])} not started: {WORDS.get(reason, reason)}"
    elif name == _REQUESTS and value and labels[2] != "ok":
        yield f"{value:g} of its requests ended in {labels[2]} ({_SOURCES.get(labels[1], labels[1])})"
