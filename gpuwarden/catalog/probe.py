"""What the probe says of its last run of a model on a card.

``gpu`` and ``uuid`` are empty for a run on the processor. Figures are there only after a run that went well.
"""

from gpuwarden.catalog.row import Kind, Metric
from gpuwarden.units import Unit

_CARD = ("gpu", "uuid")


def _figure(name: str, unit: Unit, text: str, *labels: str) -> Metric:
    return Metric(f"model_probe_{name}", "gauge", unit, ("model", "precision", *_CARD, *labels), text)


def _of_run(name: str, unit: Unit, text: str, *labels: str, kind: Kind = "gauge") -> Metric:
    return Metric(f"model_probe_{name}", kind, unit, ("model", *_CARD, *labels), text)


def _of_card(name: str, unit: Unit, text: str) -> Metric:
    return Metric(f"model_probe_{name}", "gauge", unit, _CARD, text)


PROBE_ROWS: tuple[Metric, ...] = (
    _figure("duration_seconds", "seconds", "Last probe: a whole answer or batch.", "percentile"),
    _figure("time_to_first_token_seconds", "seconds", "Last probe: first token.", "percentile"),
    _figure("time_per_output_token_seconds", "seconds", "Last probe: next tokens.", "percentile"),
    _figure("cold_seconds", "seconds", "Last probe: the first call in its process, which pays for loading kernels."),
    _figure("weights_bytes", "bytes", "Last probe: the model's weights."),
    _figure("kv_cache_bytes", "bytes", "Last probe: keys and values of all positions."),
    _figure(
        "memory_peak_bytes",
        "bytes",
        "Last probe: peak by kind: torch_allocated (tensors), torch_reserved (its allocator), process (all that its "
        "process holds: of the card at the end of the run, or of main memory).",
        "kind",
    ),
    _figure("sm_clock_hertz", "hertz", "SM clock when the last probe began and ended to measure.", "at"),
    _of_run("success", "bool", "1 when the last probe went well."),
    _of_run("run_duration_seconds", "seconds", "The last probe as a whole, with the start of its Python."),
    _of_run("contended", "bool", "1 when others worked on the card, or moved its memory, during the last probe."),
    _of_run("throttled", "bool", "1 when anything held the card's clock down during the last probe."),
    _of_run("last_run_timestamp_seconds", "timestamp", "When a probe last went well."),
    _of_run("skipped_total", "count", "Probe runs not started, or put off, by reason.", "reason", kind="counter"),
    _of_run(
        "info",
        "count",
        "What the last probe ran with.",
        *("precision", "device", "torch", "cuda", "python", "interpreter"),
        kind="info",
    ),
    _of_card("running", "bool", "1 while a probe runs on the card."),
    _of_card("time_used_ratio", "ratio", "Share of the card's time in the last hour that probes have used."),
)
