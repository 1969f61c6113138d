"""The vocabulary: every series that gpuwarden publishes, with its type, unit, labels and help.

Exporter, rules, dashboards and the reference pages read this one table; a name that is not here does not exist.
The name is the one on the text page: counters end in ``_total``, descriptions in ``_info``.
"""

from dataclasses import dataclass
from typing import Literal

from gpuwarden.units import Unit

Kind = Literal["gauge", "counter", "histogram", "info"]

OUR_PREFIXES = ("gpu_", "host_", "model_", "gpuwarden_")


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the vocabulary; ``buckets`` are upper bounds in the metric's unit, without infinity."""

    name: str
    kind: Kind
    unit: Unit
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


_REQUEST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_FIRST_TOKEN = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25),
    *(0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80),
)
_PER_TOKEN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)


def _gpu(name: str, unit: Unit, text: str, *labels: str, kind: Kind = "gauge") -> Metric:
    return Metric(f"gpu_{name}", kind, unit, ("gpu", "uuid", *labels), text)


def _gpu_total(name: str, unit: Unit, text: str, *labels: str) -> Metric:
    return _gpu(name, unit, text, *labels, kind="counter")


def _host(name: str, unit: Unit, text: str, *labels: str, kind: Kind = "gauge") -> Metric:
    return Metric(f"host_{name}", kind, unit, labels, text)


def _model(name: str, unit: Unit, text: str, *labels: str, kind: Kind = "gauge") -> Metric:
    return Metric(f"model_{name}", kind, unit, ("model", *labels), text)


def _histogram(name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Metric:
    return Metric(f"model_{name}", "histogram", "seconds", ("model", *labels), text, buckets)


def _own(part: str, name: str, unit: Unit, text: str, *labels: str, kind: Kind = "gauge") -> Metric:
    return Metric(f"gpuwarden_{part}_{name}", kind, unit, labels, text)


_PROCESS = ("pid", "process", "user", "container", "workload")

GPU_ROWS: tuple[Metric, ...] = (
    _gpu("up", "bool", "1 while the card answers; 0 when it is lost, hangs or has gone."),
    _gpu(
        "info",
        "count",
        "Description of the card.",
        *("name", "pci_bus_id", "driver_version", "cuda_version", "vbios_version"),
        kind="info",
    ),
    _gpu("compute_mode", "count", "NVML compute mode: 0 default, 1 exclusive thread, 2 prohibited, 3 exclusive."),
    _gpu("performance_state", "count", "Performance state: 0 is the fastest, 15 the slowest."),
    _gpu("utilization_ratio", "ratio", "Share of the driver's last sample period with at least one kernel running."),
    _gpu("memory_controller_utilization_ratio", "ratio", "Share of that period in which memory was read or written."),
    _gpu("encoder_utilization_ratio", "ratio", "Share of the sample period in which the video encoder worked."),
    _gpu("decoder_utilization_ratio", "ratio", "Share of the sample period in which the video decoder worked."),
    _gpu("memory_total_bytes", "bytes", "Memory of the card."),
    _gpu("memory_used_bytes", "bytes", "Memory held by processes, without the driver's reserve."),
    _gpu("memory_free_bytes", "bytes", "Memory that can still be allocated."),
    _gpu("memory_reserved_bytes", "bytes", "Memory that the driver keeps for itself."),
    _gpu("memory_used_ratio", "ratio", "Used memory over total minus reserved."),
    _gpu("temperature_celsius", "celsius", "Temperature of the GPU core."),
    _gpu("memory_temperature_celsius", "celsius", "Temperature of the memory."),
    _gpu("temperature_limit_celsius", "celsius", "Temperature at which the card acts.", "limit"),
    _gpu("temperature_margin_celsius", "celsius", "Degrees left to the card's own slowdown limit."),
    _gpu("power_watts", "watts", "Power drawn by the board."),
    _gpu("power_limit_watts", "watts", "Power limit in force."),
    _gpu_total("energy_joules_total", "joules", "Energy drawn by the board."),
    _gpu("clock_hertz", "hertz", "Current clock.", "clock"),
    _gpu("clock_max_hertz", "hertz", "Highest clock of the card.", "clock"),
    _gpu("fan_speed_ratio", "ratio", "Fan speed asked for, over the fan's maximum.", "fan"),
    _gpu("throttled", "bool", "1 while the clock is held down for this reason.", "reason"),
    _gpu_total("throttle_seconds_total", "seconds", "Time in which the clock was held down.", "reason"),
    _gpu_total("xid_errors_total", "count", "XID errors that the driver reported.", "xid"),
    _gpu("xid_last_timestamp_seconds", "timestamp", "When this XID was last reported.", "xid"),
    _gpu_total("ecc_errors_total", "count", "Memory errors found by ECC since the driver was loaded.", "severity"),
    _gpu("remapped_rows", "count", "Memory rows remapped after errors.", "severity"),
    _gpu("row_remap_failed", "bool", "1 when a row could not be remapped: the card needs replacing."),
    _gpu("retired_pages", "count", "Memory pages retired after errors.", "cause"),
    _gpu_total("pcie_received_bytes_total", "bytes", "Bytes received over PCIe."),
    _gpu_total("pcie_transmitted_bytes_total", "bytes", "Bytes sent over PCIe."),
    _gpu_total("pcie_replays_total", "count", "PCIe packets sent again after an error."),
    _gpu("pcie_link_width_ratio", "ratio", "Lanes in use over the lanes that card and slot can use."),
    _gpu("pcie_link_generation", "count", "PCIe generation in use; falls when the card idles."),
    _gpu_total("nvlink_received_bytes_total", "bytes", "Bytes received over all NVLinks."),
    _gpu_total("nvlink_transmitted_bytes_total", "bytes", "Bytes sent over all NVLinks."),
    _gpu("processes_visible", "bool", "1 when the driver's process ids can be seen from here."),
    _gpu("process_memory_used_bytes", "bytes", "Card memory that one process holds.", *_PROCESS),
    _gpu("process_utilization_ratio", "ratio", "Share of the card's time that one process uses.", *_PROCESS),
    _gpu("workload_memory_used_bytes", "bytes", "Card memory that one workload group holds.", "workload"),
    _gpu("workload_memory_budget_bytes", "bytes", "Card memory that the group may hold.", "workload"),
    _gpu("workload_memory_budget_used_ratio", "ratio", "Held memory over the group's budget.", "workload"),
    _gpu("idle_memory_held_seconds", "seconds", "How long memory has been held with no work done."),
    _gpu("memory_used_peak_bytes", "bytes", "Highest used memory in the trailing window."),
    _gpu("memory_used_peak_ratio", "ratio", "Highest used share of memory in the trailing window."),
    _gpu("utilization_peak_ratio", "ratio", "Highest utilization in the trailing window."),
    _gpu("power_peak_watts", "watts", "Highest power in the trailing window."),
    _gpu("temperature_peak_celsius", "celsius", "Highest temperature in the trailing window."),
)

HOST_ROWS: tuple[Metric, ...] = (
    _host("info", "count", "Description of the host.", "hostname", "system", "kernel", kind="info"),
    _host("boot_timestamp_seconds", "timestamp", "When the host was started."),
    _host("cpu_utilization_ratio", "ratio", "Share of all cores' time spent working."),
    _host("cpus", "count", "Logical processors."),
    _host("load_average", "count", "Runnable tasks, averaged over the window.", "window"),
    _host("memory_total_bytes", "bytes", "Main memory."),
    _host("memory_available_bytes", "bytes", "Main memory that programs can still get without swapping."),
    _host("memory_used_ratio", "ratio", "Main memory that is not available, over all of it."),
    _host("swap_total_bytes", "bytes", "Swap space."),
    _host("swap_used_bytes", "bytes", "Swap space in use."),
    _host("filesystem_size_bytes", "bytes", "Size of the file system.", "device", "mountpoint", "fstype"),
    _host("filesystem_available_bytes", "bytes", "Space left for users.", "device", "mountpoint", "fstype"),
    _host("filesystem_used_ratio", "ratio", "Used over usable space.", "device", "mountpoint", "fstype"),
    _host("disk_read_bytes_total", "bytes", "Bytes read from the disk.", "device", kind="counter"),
    _host("disk_written_bytes_total", "bytes", "Bytes written to the disk.", "device", kind="counter"),
    _host("network_received_bytes_total", "bytes", "Bytes received.", "device", kind="counter"),
    _host("network_transmitted_bytes_total", "bytes", "Bytes sent.", "device", kind="counter"),
)

MODEL_ROWS: tuple[Metric, ...] = (
    _histogram("request_duration_seconds", "A whole answer or batch.", ("source", "operation"), _REQUEST),
    _histogram("time_to_first_token_seconds", "From the request to its first token.", ("source",), _FIRST_TOKEN),
    _histogram("time_per_output_token_seconds", "Between tokens after the first.", ("source",), _PER_TOKEN),
    _model("requests_total", "count", "Requests by how they ended.", "source", "outcome", kind="counter"),
    _model("probe_duration_seconds", "seconds", "Last probe: a whole answer or batch.", "precision", "percentile"),
    _model("probe_time_to_first_token_seconds", "seconds", "Last probe: first token.", "precision", "percentile"),
    _model("probe_time_per_output_token_seconds", "seconds", "Last probe: next tokens.", "precision", "percentile"),
    _model("probe_last_run_timestamp_seconds", "timestamp", "When the probe last ran."),
    _model("probe_skipped_total", "count", "Probe runs that were not started.", "reason", kind="counter"),
)

EXPORTER_ROWS: tuple[Metric, ...] = (
    _own("exporter", "info", "count", "Description of this exporter.", "version", kind="info"),
    _own("exporter", "simulated", "bool", "1 when every reading on this page is simulated."),
    _own("exporter", "source_up", "bool", "1 while the source's last reading is fresh and succeeded.", "source"),
    _own("exporter", "source_duration_seconds", "seconds", "How long the source's last reading took.", "source"),
    _own("exporter", "source_last_success_timestamp_seconds", "timestamp", "Last good reading.", "source"),
    Metric("gpu_peak_window_seconds", "gauge", "seconds", (), "Length of the trailing window of the peaks."),
)

ALERTER_ROWS: tuple[Metric, ...] = (
    _own("alerter", "info", "count", "Description of this alerter.", "version", kind="info"),
    _own("alerter", "alerts", "count", "Alerts by rule and state.", "alertname", "state"),
    _own("alerter", "target_up", "bool", "1 while the target's last scrape succeeded.", "target"),
    _own("alerter", "last_round_timestamp_seconds", "timestamp", "When rules were last judged."),
    _own("alerter", "round_duration_seconds", "seconds", "How long the last round took."),
    _own("alerter", "notifications_total", "count", "Notifications by reason.", "reason", kind="counter"),
    _own("alerter", "outbox_messages", "count", "Deliveries in the outbox by state.", "state"),
    _own("alerter", "outbox_oldest_timestamp_seconds", "timestamp", "When the oldest waiting mail was queued."),
    _own("alerter", "attempts_total", "count", "Delivery attempts by outcome.", "outcome", kind="counter"),
)

SCRAPE_ROWS: tuple[Metric, ...] = (
    Metric("up", "gauge", "bool", (), "1 when the last scrape of the target succeeded."),
    Metric("scrape_duration_seconds", "gauge", "seconds", (), "How long the last scrape of the target took."),
)
"""Written by whoever scrapes, with the target's job and instance, as Prometheus does."""

CATALOG: dict[str, Metric] = {
    row.name: row for row in (*GPU_ROWS, *HOST_ROWS, *MODEL_ROWS, *EXPORTER_ROWS, *ALERTER_ROWS, *SCRAPE_ROWS)
}
