"""What the sources read, frozen. ``None`` and a missing key mean "no reading", never 0.

A field is called like its row of the catalog without the prefix: ``Gpu.power_watts`` is ``gpu_power_watts``. A row
with one further label is a mapping by that label's value; with several, a mapping by the tuple of values. An info row
is a mapping from label to text, or a tuple of such.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

_NOTHING: Mapping[str, float] = MappingProxyType({})
_NO_TUPLES: Mapping[tuple[str, ...], float] = MappingProxyType({})


def _none() -> Mapping[str, float]:
    return _NOTHING


def _no_tuples() -> Mapping[tuple[str, ...], float]:
    return _NO_TUPLES


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """One process on one card; ``memory_bytes`` and ``utilization_ratio`` are None where the driver does not say."""

    pid: int
    name: str
    user: str = ""
    container: str = ""
    workload: str = ""
    memory_bytes: float | None = None
    utilization_ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One card's reading, taken at ``read_at`` (monotonic seconds)."""

    index: str
    uuid: str
    read_at: float
    up: bool = True
    info: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    compute_mode: float | None = None
    performance_state: float | None = None
    vgpu_licensed: float | None = None
    utilization_ratio: float | None = None
    memory_controller_utilization_ratio: float | None = None
    encoder_utilization_ratio: float | None = None
    decoder_utilization_ratio: float | None = None
    activity_ratio: Mapping[str, float] = field(default_factory=_none)
    sm_occupancy_ratio: float | None = None
    memory_total_bytes: float | None = None
    memory_used_bytes: float | None = None
    memory_free_bytes: float | None = None
    memory_reserved_bytes: float | None = None
    memory_used_ratio: float | None = None
    memory_unaccounted_bytes: float | None = None
    temperature_celsius: float | None = None
    memory_temperature_celsius: float | None = None
    temperature_limit_celsius: Mapping[str, float] = field(default_factory=_none)
    temperature_margin_celsius: float | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    energy_joules_total: float | None = None
    energy_integrated: float | None = None
    clock_hertz: Mapping[str, float] = field(default_factory=_none)
    clock_max_hertz: Mapping[str, float] = field(default_factory=_none)
    fan_speed_ratio: Mapping[str, float] = field(default_factory=_none)
    fan_stopped: Mapping[str, float] = field(default_factory=_none)
    throttled: Mapping[str, float] = field(default_factory=_none)
    throttle_seconds_total: Mapping[str, float] = field(default_factory=_none)
    xid_errors_total: Mapping[tuple[str, ...], float] = field(default_factory=_no_tuples)
    xid_last_timestamp_seconds: Mapping[tuple[str, ...], float] = field(default_factory=_no_tuples)
    ecc_enabled: float | None = None
    ecc_errors_total: Mapping[str, float] = field(default_factory=_none)
    ecc_lifetime_errors_total: Mapping[str, float] = field(default_factory=_none)
    remapped_rows: Mapping[str, float] = field(default_factory=_none)
    row_remap_pending: float | None = None
    row_remap_failed: float | None = None
    retired_pages: Mapping[str, float] = field(default_factory=_none)
    retired_pages_pending: float | None = None
    pcie_received_bytes_total: float | None = None
    pcie_transmitted_bytes_total: float | None = None
    pcie_replays_total: float | None = None
    pcie_link_width_ratio: float | None = None
    pcie_link_width_working_ratio: float | None = None
    pcie_link_generation: float | None = None
    nvlink_received_bytes_total: float | None = None
    nvlink_transmitted_bytes_total: float | None = None
    nvlink_errors_total: Mapping[str, float] = field(default_factory=_none)
    processes_visible: float | None = None
    mps_clients: float | None = None
    processes: tuple[GpuProcess, ...] = ()
    computing: tuple[int, ...] | None = None
    """Process ids of all others that compute, with those that were cut from ``processes``; not of who only draws."""
    workload_memory_used_bytes: Mapping[str, float] = field(default_factory=_none)
    workload_memory_budget_bytes: Mapping[str, float] = field(default_factory=_none)
    workload_memory_budget_used_ratio: Mapping[str, float] = field(default_factory=_none)
    idle_memory_held_seconds: float | None = None
    memory_used_peak_bytes: float | None = None
    memory_used_peak_ratio: float | None = None
    utilization_peak_ratio: float | None = None
    power_peak_watts: float | None = None
    temperature_peak_celsius: float | None = None
    mig_enabled: float | None = None
    mig_info: tuple[Mapping[str, str], ...] = ()
    mig_memory_total_bytes: Mapping[str, float] = field(default_factory=_none)
    mig_memory_used_bytes: Mapping[str, float] = field(default_factory=_none)
    mig_memory_used_ratio: Mapping[str, float] = field(default_factory=_none)
    mig_activity_ratio: Mapping[tuple[str, ...], float] = field(default_factory=_no_tuples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The machine's reading, taken at ``read_at`` (monotonic seconds)."""

    read_at: float
    info: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    boot_timestamp_seconds: float | None = None
    cpu_utilization_ratio: float | None = None
    cpus: float | None = None
    load_average: Mapping[str, float] = field(default_factory=_none)
    memory_total_bytes: float | None = None
    memory_available_bytes: float | None = None
    memory_used_ratio: float | None = None
    swap_total_bytes: float | None = None
    swap_used_bytes: float | None = None
    filesystem_size_bytes: Mapping[tuple[str, ...], float] = field(default_factory=_no_tuples)
    filesystem_available_bytes: Mapping[tuple[str, ...], float] = field(default_factory=_no_tuples)
    filesystem_used_ratio: Mapping[tuple[str, ...], float] = field(default_factory=_no_tuples)
    disk_read_bytes_total: Mapping[str, float] = field(default_factory=_none)
    disk_written_bytes_total: Mapping[str, float] = field(default_factory=_none)
    network_received_bytes_total: Mapping[str, float] = field(default_factory=_none)
    network_transmitted_bytes_total: Mapping[str, float] = field(default_factory=_none)


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How one source fared: ``succeeded_at`` is Unix seconds of the last good reading, None before the first.

    ``read_at`` is the monotonic time at which the last attempt ended; ``detail`` is one line for a person, empty when
    all is well.
    """

    source: str
    up: bool
    read_at: float
    duration_seconds: float
    succeeded_at: float | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The latest of everything; ``simulated`` when it came from the demo source.

    ``gpus_expected`` is how many cards should be here, None where nobody can know.
    """

    gpus: tuple[Gpu, ...] = ()
    host: Host | None = None
    sources: tuple[SourceHealth, ...] = ()
    simulated: bool = False
    gpus_expected: int | None = None


def without_expired(snapshot: Snapshot, now: float, max_age: float) -> Snapshot:
    """Drop what was read more than ``max_age`` seconds before ``now``: a card stays, not answering; the host goes."""
    gpus = tuple(gpu if now - gpu.read_at <= max_age else lost(gpu) for gpu in snapshot.gpus)
    host = snapshot.host if snapshot.host and now - snapshot.host.read_at <= max_age else None
    sources = tuple(
        health if now - health.read_at <= max_age else replace(health, up=False) for health in snapshot.sources
    )
    return replace(snapshot, gpus=gpus, host=host, sources=sources)


def lost(gpu: Gpu) -> Gpu:
    """The same card, not answering, with its identity and description, and what the driver reported of its errors."""
    return Gpu(
        index=gpu.index,
        uuid=gpu.uuid,
        read_at=gpu.read_at,
        up=False,
        info=gpu.info,
        xid_errors_total=gpu.xid_errors_total,
        xid_last_timestamp_seconds=gpu.xid_last_timestamp_seconds,
    )
