"""Pure: a snapshot and observations into metric families, by the catalog's rows.

1. A family is a row and its samples: label values in the row's order, and a number. Nothing here knows a page's format.
2. How a field is spread over its row's labels follows from the row: a row with no labels of its own is a number, one
   with labels is a mapping by their values, an info row is a mapping from label to text or a tuple of such.
3. A row without a reading has no samples, and a family without samples is not on the page. Values that are no number
   never get this far, and a NaN is dropped here all the same: absence is said by absence.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from exporter.latency.observations import Observed
from exporter.snapshot import Snapshot
from gpuwarden.catalog import CATALOG, EXPORTER_ROWS, GPU_ROWS, HOST_ROWS, PEAK_WINDOW_SECONDS, Metric

Labels = tuple[str, ...]
Sample = tuple[Labels, float]
_Subjects = list[tuple[Labels, Any]]
"""What has fields to show: the label values that name it, and the card, process or host itself."""
_Described = Mapping[str, str] | tuple[Mapping[str, str], ...]
_Spread = Callable[[_Subjects], list[Sample]]


class Family(NamedTuple):
    """Everything under one row; ``distributions`` are counts by bucket (not cumulative) and their sum."""

    row: Metric
    samples: list[Sample]
    distributions: Mapping[Labels, tuple[tuple[int, ...], float]] = {}


def families(
    snapshot: Snapshot,
    observed: Iterable[Observed] = (),
    *,
    version: str,
    cost: Mapping[str, float] | None = None,
) -> list[Family]:
    """Everything that the page shows, in the catalog's order; ``cost`` is what the exporter costs, by row."""
    cards: _Subjects = [((gpu.index, gpu.uuid), gpu) for gpu in snapshot.gpus]
    holders = [
        ((*identity, str(process.pid or ""), process.name, process.user, process.container, process.workload), process)
        for identity, gpu in cards
        for process in gpu.processes
    ]
    host: _Subjects = [((), snapshot.host)] if snapshot.host else []
    own = _own_samples(snapshot, version, cost or {})
    built = [
        *(Family(row, spread(holders if of_process else cards)) for row, of_process, spread in _CARD_ROWS),
        *(Family(row, spread(host)) for row, spread in _HOST_ROWS),
        *(Family(CATALOG[item.name], list(item.values.items()), item.distributions) for item in observed),
        *(Family(row, own.get(row.name, [])) for row in EXPORTER_ROWS),
    ]
    return [family for family in built if family.samples or family.distributions]


def _spread_of(row: Metric, field: str, identity: int) -> _Spread:
    """How to get a row's samples out of its subjects, of which each has ``identity`` label values already."""
    read = attrgetter(field)
    own = row.labels[identity:]
    if row.kind == "info":
        return lambda subjects: list(_described(subjects, read, own))
    if own:
        return lambda subjects: list(_labelled(subjects, read))
    return lambda subjects: list(_plain(subjects, read))


def _plain(subjects: _Subjects, read: Callable[[Any], float | None]) -> Iterator[Sample]:
    for identity, subject in subjects:
        value = read(subject)
        if value is not None and not math.isnan(value):
            yield identity, value


def _labelled(
    subjects: _Subjects, read: Callable[[Any], Mapping[str, float] | Mapping[Labels, float]]
) -> Iterator[Sample]:
    for identity, subject in subjects:
        for key, value in read(subject).items():
            if not math.isnan(value):
                yield (*identity, *(key if isinstance(key, tuple) else (key,))), value


def _described(subjects: _Subjects, read: Callable[[Any], _Described], own: Labels) -> Iterator[Sample]:
    for identity, subject in subjects:
        reading = read(subject)
        for text in reading if isinstance(reading, tuple) else (reading,) if reading else ():
            yield (*identity, *(text.get(label, "") for label in own)), 1.0


_CARD, _HOLDER = len(("gpu", "uuid")), len(("gpu", "uuid", "pid", "process", "user", "container", "workload"))
_PROCESS_FIELDS = {
    "gpu_process_memory_used_bytes": "memory_bytes",
    "gpu_process_utilization_ratio": "utilization_ratio",
}
_CARD_ROWS = tuple(
    (row, True, _spread_of(row, _PROCESS_FIELDS[row.name], _HOLDER))
    if row.name in _PROCESS_FIELDS
    else (row, False, _spread_of(row, row.name.removeprefix("gpu_"), _CARD))
    for row in GPU_ROWS
)
_HOST_ROWS = tuple((row, _spread_of(row, row.name.removeprefix("host_"), 0)) for row in HOST_ROWS)


def _own_samples(snapshot: Snapshot, version: str, cost: Mapping[str, float]) -> dict[str, list[Sample]]:
    """What the exporter says of itself, by row."""
    sources = snapshot.sources
    found: dict[str, list[Sample]] = {name: [((), value)] for name, value in cost.items()}
    found |= {
        "gpuwarden_exporter_info": [((version,), 1.0)],
        "gpuwarden_exporter_simulated": [((), float(snapshot.simulated))],
        "gpuwarden_exporter_source_up": [((health.source,), float(health.up)) for health in sources],
        "gpuwarden_exporter_source_duration_seconds": [
            ((health.source,), health.duration_seconds) for health in sources
        ],
        "gpuwarden_exporter_source_last_success_timestamp_seconds": [
            ((health.source,), health.succeeded_at) for health in sources if health.succeeded_at is not None
        ],
    }
    if (expected := snapshot.gpus_expected) is not None:
        found["gpuwarden_exporter_gpus_expected"] = [((), float(expected))]
        found["gpuwarden_exporter_gpus_missing"] = [
            ((), float(max(0, expected - sum(gpu.up for gpu in snapshot.gpus))))
        ]
    if any(gpu.memory_used_peak_bytes is not None for gpu in snapshot.gpus):
        found["gpu_peak_window_seconds"] = [((), float(PEAK_WINDOW_SECONDS))]
    return found
