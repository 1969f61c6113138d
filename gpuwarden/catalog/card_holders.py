"""Who holds a card's memory, what it came to between two scrapes, and what it is divided into."""

from gpuwarden.catalog.card_row import of_card
from gpuwarden.catalog.row import Metric

PEAK_WINDOW_SECONDS = 60
"""The peaks of a reading are over this long a time before it."""

_PROCESS = ("pid", "process", "user", "container", "workload")
_MIG = "in MIG mode"

HOLDERS: tuple[Metric, ...] = (
    of_card(
        "processes_visible", "bool", "1 when the driver's process ids can be seen from here.", by="the process lists"
    ),
    of_card(
        "mps_clients",
        "count",
        "Clients of CUDA's multi-process service on the card.",
        by="DeviceGetMPSComputeRunningProcesses_v3",
    ),
    of_card(
        "process_memory_used_bytes",
        "bytes",
        "Card memory that one process holds.",
        *_PROCESS,
        by="DeviceGetComputeRunningProcesses_v3, Graphics..., MPS...",
    ),
    of_card(
        "process_utilization_ratio",
        "ratio",
        "Share of the card's time that one process uses.",
        *_PROCESS,
        by="DeviceGetProcessUtilization, DeviceGetProcessesUtilizationInfo",
        cards="all but in MIG mode",
    ),
    of_card(
        "workload_memory_used_bytes",
        "bytes",
        "Card memory that one workload group holds.",
        "workload",
        by="the process lists",
    ),
    of_card("workload_memory_budget_bytes", "bytes", "Card memory that the group may hold.", "workload"),
    of_card("workload_memory_budget_used_ratio", "ratio", "Held memory over the group's budget.", "workload"),
    of_card("idle_memory_held_seconds", "seconds", "How long memory has been held with no work done."),
)


PEAKS: tuple[Metric, ...] = (
    of_card("memory_used_peak_bytes", "bytes", "Highest used memory in the trailing window."),
    of_card("memory_used_peak_ratio", "ratio", "Highest used share of memory in the trailing window."),
    of_card(
        "utilization_peak_ratio",
        "ratio",
        "Highest utilization in the trailing window.",
        by="every reading, and DeviceGetSamples between them",
    ),
    of_card(
        "power_peak_watts",
        "watts",
        "Highest power in the trailing window.",
        by="every reading, and DeviceGetSamples between them",
    ),
    of_card("temperature_peak_celsius", "celsius", "Highest temperature in the trailing window."),
)


INSTANCES: tuple[Metric, ...] = (
    of_card(
        "mig_enabled", "bool", "1 while the card is divided into MIG devices.", by="DeviceGetMigMode", cards="with MIG"
    ),
    of_card(
        "mig_info",
        "count",
        "Description of a MIG device; its name is GPU instance/compute instance.",
        *("mig", "mig_uuid", "profile"),
        kind="info",
        by="DeviceGetMigDeviceHandleByIndex",
        cards=_MIG,
    ),
    of_card(
        "mig_memory_total_bytes",
        "bytes",
        "Memory of a MIG device.",
        "mig",
        by="DeviceGetMemoryInfo_v2",
        cards=_MIG,
    ),
    of_card(
        "mig_memory_used_bytes",
        "bytes",
        "Memory held on a MIG device.",
        "mig",
        by="DeviceGetMemoryInfo_v2",
        cards=_MIG,
    ),
    of_card(
        "mig_memory_used_ratio",
        "ratio",
        "Used memory of a MIG device over total minus reserved.",
        "mig",
        by="DeviceGetMemoryInfo_v2",
        cards=_MIG,
    ),
    of_card(
        "mig_activity_ratio",
        "ratio",
        "As gpu_activity_ratio, of one MIG device.",
        *("mig", "part"),
        by="GpmMigSampleGet",
        cards=f"{_MIG}, Hopper and later",
    ),
)
