"""Pure: the readings under the names, units and labels of dcgm-exporter 4.5.3-4.8.2, on any card.

Frozen: what an existing dashboard or alert was written for does not change, whatever later versions call it.

- These are the 21 of its default counters that plain NVML supplies exactly, and three of its profiling fields where
  the chip counts them (GPM). PCIe traffic is left out: its fields are rates under a counter's type, and ours is exact.
- Labels as there: ``gpu``, ``UUID``, ``pci_bus_id``, ``device``, ``modelName``, ``Hostname``, and the driver's version.
- A value that a card does not supply has no sample, as there. Two rows do have one on every card, as there: the code of
  the last XID, 0 before the first, and the licence of the vGPU software, 0 where there is none.
- Some of its counters do not end in ``_total``. OpenMetrics knows no such counter: there they are of unknown type.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from exporter.families import Family
from exporter.snapshot import Gpu, Snapshot
from gpuwarden.catalog import Kind, Metric

LABELS = ("gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname", "DCGM_FI_DRIVER_VERSION")
_MIB = 2**20
_KIB = 2**10


@dataclass(frozen=True, slots=True)
class Row:
    """A DCGM name, its Prometheus type and help, and its value for one card, None for no sample."""

    name: str
    kind: Kind
    help: str
    value: Callable[[Gpu], float | None]


def _scaled(reading: float | None, scale: float) -> float | None:
    """In another unit, without the last digits that only the way there and back has made."""
    return None if reading is None else round(reading * scale, 6)


def _whole(reading: float | None, unit: float) -> float | None:
    """Whole units, rounded down, as DCGM's integer fields are."""
    return None if reading is None else float(reading // unit)


def _of(readings: Mapping[str, float], label: str, scale: float = 1) -> float | None:
    return _scaled(readings.get(label), scale)


def _nvlink(gpu: Gpu) -> float | None:
    parts = (gpu.nvlink_received_bytes_total, gpu.nvlink_transmitted_bytes_total)
    known = [part for part in parts if part is not None]
    return float(sum(known) // _KIB) if known else None


def _last_xid(gpu: Gpu) -> float | None:
    if not gpu.xid_errors_total:
        return None
    newest = max(gpu.xid_last_timestamp_seconds.items(), key=lambda item: item[1], default=None)
    return float(newest[0][0]) if newest else 0.0


ROWS: tuple[Row, ...] = (
    Row("DCGM_FI_DEV_SM_CLOCK", "gauge", "SM clock (in MHz).", lambda gpu: _of(gpu.clock_hertz, "sm", 1e-6)),
    Row("DCGM_FI_DEV_MEM_CLOCK", "gauge", "Memory clock (in MHz).", lambda gpu: _of(gpu.clock_hertz, "memory", 1e-6)),
    Row("DCGM_FI_DEV_MEMORY_TEMP", "gauge", "Memory temperature (in C).", lambda gpu: gpu.memory_temperature_celsius),
    Row("DCGM_FI_DEV_GPU_TEMP", "gauge", "GPU temperature (in C).", lambda gpu: gpu.temperature_celsius),
    Row("DCGM_FI_DEV_POWER_USAGE", "gauge", "Power draw (in W).", lambda gpu: gpu.power_watts),
    Row(
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
        "counter",
        "Energy since the driver was loaded (in mJ).",
        lambda gpu: _scaled(gpu.energy_joules_total, 1000),
    ),
    Row("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "counter", "PCIe retries.", lambda gpu: gpu.pcie_replays_total),
    Row("DCGM_FI_DEV_GPU_UTIL", "gauge", "GPU utilization (in %).", lambda gpu: _scaled(gpu.utilization_ratio, 100)),
    Row(
        "DCGM_FI_DEV_MEM_COPY_UTIL",
        "gauge",
        "Memory utilization (in %).",
        lambda gpu: _scaled(gpu.memory_controller_utilization_ratio, 100),
    ),
    Row(
        "DCGM_FI_DEV_ENC_UTIL",
        "gauge",
        "Encoder utilization (in %).",
        lambda gpu: _scaled(gpu.encoder_utilization_ratio, 100),
    ),
    Row(
        "DCGM_FI_DEV_DEC_UTIL",
        "gauge",
        "Decoder utilization (in %).",
        lambda gpu: _scaled(gpu.decoder_utilization_ratio, 100),
    ),
    Row("DCGM_FI_DEV_XID_ERRORS", "gauge", "Code of the last XID error.", _last_xid),
    Row("DCGM_FI_DEV_FB_FREE", "gauge", "Free memory (in MiB).", lambda gpu: _whole(gpu.memory_free_bytes, _MIB)),
    Row("DCGM_FI_DEV_FB_USED", "gauge", "Used memory (in MiB).", lambda gpu: _whole(gpu.memory_used_bytes, _MIB)),
    Row(
        "DCGM_FI_DEV_FB_RESERVED",
        "gauge",
        "Memory that the driver keeps (in MiB).",
        lambda gpu: _whole(gpu.memory_reserved_bytes, _MIB),
    ),
    Row("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", "counter", "NVLink traffic, both ways, all links (in KiB).", _nvlink),
    Row(
        "DCGM_FI_DEV_VGPU_LICENSE_STATUS",
        "gauge",
        "1 when the vGPU software is licensed.",
        lambda gpu: (gpu.vgpu_licensed or 0.0) if gpu.up else None,
    ),
    Row(
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
        "counter",
        "Rows remapped after uncorrectable errors.",
        lambda gpu: _of(gpu.remapped_rows, "uncorrectable"),
    ),
    Row(
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
        "counter",
        "Rows remapped after correctable errors.",
        lambda gpu: _of(gpu.remapped_rows, "correctable"),
    ),
    Row("DCGM_FI_DEV_ROW_REMAP_FAILURE", "gauge", "1 when remapping has failed.", lambda gpu: gpu.row_remap_failed),
    Row(
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
        "gauge",
        "Share of time in which the graphics engine was active.",
        lambda gpu: _of(gpu.activity_ratio, "graphics"),
    ),
    Row(
        "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
        "gauge",
        "Share of cycles in which the tensor pipe was active.",
        lambda gpu: _of(gpu.activity_ratio, "tensor"),
    ),
    Row(
        "DCGM_FI_PROF_DRAM_ACTIVE",
        "gauge",
        "Share of cycles in which the memory's interface was active.",
        lambda gpu: _of(gpu.activity_ratio, "dram"),
    ),
)
"""The 21st of the exact entries is the driver's version, which is a label."""

_METRICS = {row.name: Metric(row.name, row.kind, "count", LABELS, row.help) for row in ROWS}


def families(snapshot: Snapshot) -> Iterator[Family]:
    """The snapshot's cards under DCGM's names, in the order of its list; families without a sample are left out."""
    hostname = snapshot.host.info.get("hostname", "") if snapshot.host else ""
    cards = [(_labels(gpu, hostname), gpu) for gpu in snapshot.gpus if gpu.up]
    for row in ROWS:
        found = ((labels, row.value(gpu)) for labels, gpu in cards)
        samples = [(labels, value) for labels, value in found if value is not None]
        if samples:
            yield Family(_METRICS[row.name], samples)


def _labels(gpu: Gpu, hostname: str) -> tuple[str, ...]:
    info = gpu.info
    return (
        *(gpu.index, gpu.uuid, info.get("pci_bus_id", ""), f"nvidia{gpu.index}", info.get("name", ""), hostname),
        info.get("driver_version", ""),
    )
