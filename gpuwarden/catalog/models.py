"""How fast models answer.

Bucket bounds are equal for all sources of a family, so that sums over them mean something.
"""

from gpuwarden.catalog.probe import PROBE_ROWS
from gpuwarden.catalog.row import Kind, Metric
from gpuwarden.units import Unit

_REQUEST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_FIRST_TOKEN = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25),
    *(0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80),
)
_PER_TOKEN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)


def _model(name: str, unit: Unit, text: str, *labels: str, kind: Kind = "gauge") -> Metric:
    return Metric(f"model_{name}", kind, unit, ("model", *labels), text)


def _histogram(name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Metric:
    return Metric(f"model_{name}", "histogram", "seconds", ("model", *labels), text, buckets)


MODEL_ROWS: tuple[Metric, ...] = (
    _histogram("request_duration_seconds", "A whole answer or batch.", ("source", "operation"), _REQUEST),
    _histogram("time_to_first_token_seconds", "From the request to its first token.", ("source",), _FIRST_TOKEN),
    _histogram("time_per_output_token_seconds", "Between tokens after the first.", ("source",), _PER_TOKEN),
    _model(
        "requests_total",
        "count",
        "Requests by how they ended: ok, error, timeout, oom or refused.",
        "source",
        "outcome",
        kind="counter",
    ),
    *PROBE_ROWS,
)
