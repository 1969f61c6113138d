"""Pure: a snapshot and observations into metric families, by the catalog's rows.

A row without a reading has no samples, and a family without samples is not on the page. Values that are no number
never get this far, and a NaN is dropped here all the same: absence is said by absence.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from prometheus_client.core import Metric as Family

from exporter.latency.observations import Observed
from exporter.snapshot import PEAK_WINDOW_SECONDS, Gpu, GpuProcess, Host, Snapshot
from gpuwarden.catalog import CATALOG, EXPORTER_ROWS, GPU_ROWS, HOST_ROWS, Metric

Values = Iterable[tuple[Mapping[str, str], float]]


def families(
    snapshot: Snapshot,
    observed: Iterable[Observed] = (),
    *,
    version: str,
    cost: Mapping[str, float] | None = None,
) -> list[Family]:
    """Everything that the page shows, in the catalog's order; ``cost`` is what the exporter costs, by row."""
    built = [
        *(_family(row, _gpu_values(row, snapshot.gpus)) for row in GPU_ROWS),
        *(_family(row, _host_values(row, snapshot.host)) for row in HOST_ROWS),
        *(_observed_family(item) for item in observed),
        *(_family(row, _own_values(row, snapshot, version, cost or {})) for row in EXPORTER_ROWS),
    ]
    return [family for family in built if family.samples]


def _family(row: Metric, values: Values) -> Family:
    family = _empty(row)
    for labels, value in values:
        if not math.isnan(value):
            family.add_sample(row.name, dict(labels), value)
    return family


def _empty(row: Metric) -> Family:
    name = row.name
    if row.kind == "counter":
        name = name.removesuffix("_total")
    elif row.kind == "info":
        name = name.removesuffix("_info")
    return Family(name, row.help, row.kind)


def _gpu_values(row: Metric, gpus: tuple[Gpu, ...]) -> Iterator[tuple[Mapping[str, str], float]]:
    field = row.name.removeprefix("gpu_")
    for gpu in gpus:
        identity = {"gpu": gpu.index, "uuid": gpu.uuid}
        if row.name == "gpu_up":
            yield identity, float(gpu.up)
        elif row.name == "gpu_process_memory_used_bytes":
            yield from _process_values(identity, gpu.processes, "memory_bytes")
        elif row.name == "gpu_process_utilization_ratio":
            yield from _process_values(identity, gpu.processes, "utilization_ratio")
        else:
            yield from _labelled(row, getattr(gpu, field), identity)


def _process_values(
    identity: Mapping[str, str], processes: tuple[GpuProcess, ...], field: str
) -> Iterator[tuple[Mapping[str, str], float]]:
    for process in processes:
        value: float | None = getattr(process, field)
        if value is not None:
            labels = {
                "pid": str(process.pid) if process.pid else "",
                "process": process.name,
                "user": process.user,
                "container": process.container,
                "workload": process.workload,
            }
            yield {**identity, **labels}, value


def _host_values(row: Metric, host: Host | None) -> Iterator[tuple[Mapping[str, str], float]]:
    if host is not None:
        yield from _labelled(row, getattr(host, row.name.removeprefix("host_")), {})


def _labelled(row: Metric, reading: object, identity: Mapping[str, str]) -> Iterator[tuple[Mapping[str, str], float]]:
    """Spread one field over the row's labels: a number, a mapping by label, or the labels of an info row."""
    own = [label for label in row.labels if label not in identity]
    if isinstance(reading, int | float):
        yield identity, float(reading)
    elif row.kind == "info" and isinstance(reading, Mapping) and reading:
        known = cast("Mapping[str, str]", reading)
        yield {**identity, **{label: known.get(label, "") for label in own}}, 1.0
    elif row.kind == "info" and isinstance(reading, tuple):
        for known in cast("tuple[Mapping[str, str], ...]", reading):
            yield {**identity, **{label: known.get(label, "") for label in own}}, 1.0
    elif isinstance(reading, Mapping):
        for key, value in cast("Mapping[str | tuple[str, ...], float]", reading).items():
            values = key if isinstance(key, tuple) else (key,)
            yield {**identity, **dict(zip(own, values, strict=True))}, value


def _observed_family(item: Observed) -> Family:
    row = CATALOG[item.name]
    family = _family(
        row, ((dict(zip(row.labels, labels, strict=True)), value) for labels, value in item.values.items())
    )
    for labels, (counts, total) in item.distributions.items():
        identity = dict(zip(row.labels, labels, strict=True))
        bounds = (*(f"{bound:g}" for bound in row.buckets), "+Inf")
        for bound, count in zip(bounds, itertools.accumulate(counts), strict=True):
            family.add_sample(f"{row.name}_bucket", {**identity, "le": bound}, count)
        family.add_sample(f"{row.name}_count", identity, sum(counts))
        family.add_sample(f"{row.name}_sum", identity, total)
    return family


def _own_values(
    row: Metric, snapshot: Snapshot, version: str, cost: Mapping[str, float]
) -> Iterator[tuple[Mapping[str, str], float]]:
    short = row.name.removeprefix("gpuwarden_exporter_")
    if row.name in cost:
        yield {}, cost[row.name]
    elif short == "info":
        yield {"version": version}, 1.0
    elif short == "simulated":
        yield {}, float(snapshot.simulated)
    elif short == "gpus_expected" and snapshot.gpus_expected is not None:
        yield {}, float(snapshot.gpus_expected)
    elif short == "gpus_missing" and snapshot.gpus_expected is not None:
        yield {}, float(max(0, snapshot.gpus_expected - sum(gpu.up for gpu in snapshot.gpus)))
    elif short == "gpu_peak_window_seconds" and any(gpu.memory_used_peak_bytes is not None for gpu in snapshot.gpus):
        yield {}, PEAK_WINDOW_SECONDS
    for health in snapshot.sources:
        value = {
            "source_up": float(health.up),
            "source_duration_seconds": health.duration_seconds,
            "source_last_success_timestamp_seconds": health.succeeded_at,
        }.get(short)
        if value is not None:
            yield {"source": health.source}, value
