"""Pure: what a simulated card and its host read at one moment of a scenario, for every row of the catalog.

Everything follows from the scenario and the time alone: two runs show the same. Integrals (energy, bytes, throttled
time) grow with the time since the start and never go back.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.snapshot import Gpu, GpuProcess, Host
from exporter.sources.scenario import Curve, SimulatedGpu, curve, value_at
from gpuwarden.catalog import PEAK_WINDOW_SECONDS

GIB = float(2**30)
_RESERVED_BYTES = 0.25 * GIB
_BUDGET = 0.8
_NAMESPACE = uuid.UUID("6f7f3f0e-5c0e-4f53-9d52-2b0d1f9a7c11")
_STILL = {"memory_used_ratio": 0.3, "utilization_ratio": 0.2, "temperature_celsius": 50.0, "throttled": 0.0}


@dataclass(frozen=True, slots=True)
class SimulatedCard:
    """One card of a scenario with its curves ready to be read at any time."""

    index: int
    card: SimulatedGpu
    curves: Mapping[str, Curve]
    period: float

    @classmethod
    def of(cls, index: int, card: SimulatedGpu, period: float) -> "SimulatedCard":
        """Prepare the card's curves."""
        return cls(index, card, {name: curve(points) for name, points in card.curves.items()}, period)

    def at(self, name: str, elapsed: float) -> float:
        """A curve's value ``elapsed`` seconds after the start."""
        return value_at(self.curves.get(name, ()), max(0.0, elapsed) % self.period, _STILL[name])

    def peak(self, name: str, elapsed: float) -> float:
        """The curve's highest value in the trailing minute."""
        return max(self.at(name, elapsed - back) for back in range(PEAK_WINDOW_SECONDS) if back <= elapsed)

    def reading(self, elapsed: float, now: float, started_at: float) -> Gpu:
        """Every row at ``elapsed`` seconds; ``now`` is monotonic, ``started_at`` Unix seconds."""
        utilization = self.at("utilization_ratio", elapsed)
        readings: dict[str, Any] = {
            **self._memory(elapsed, utilization),
            **self._activity(utilization, elapsed),
            **self._heat(elapsed, utilization),
            **_faults(started_at),
            **_links(elapsed, utilization),
            **_instances(utilization),
        }
        identity = f"GPU-{uuid.uuid5(_NAMESPACE, f'{self.index} {self.card.name}')}"
        return Gpu(index=str(self.index), uuid=identity, read_at=now, info=self._info(), **readings)

    def _info(self) -> dict[str, str]:
        return {
            "name": self.card.name,
            "pci_bus_id": f"00000000:{self.index + 1:02X}:00.0",
            "driver_version": "simulated",
            "cuda_version": "13.0",
            "vbios_version": "94.02.00.00.01",
        }

    def _memory(self, elapsed: float, utilization: float) -> dict[str, Any]:
        usable = self.card.memory_gib * GIB - _RESERVED_BYTES
        ratio, peak = self.at("memory_used_ratio", elapsed), self.peak("memory_used_ratio", elapsed)
        used = ratio * usable
        held = _workloads(self.card, used)
        return {
            "memory_total_bytes": usable + _RESERVED_BYTES,
            "memory_used_bytes": used,
            "memory_free_bytes": usable - used,
            "memory_reserved_bytes": _RESERVED_BYTES,
            "memory_used_ratio": ratio,
            "memory_used_peak_bytes": peak * usable,
            "memory_used_peak_ratio": peak,
            "memory_unaccounted_bytes": max(0.0, 1 - sum(item.share for item in self.card.processes)) * used,
            "processes_visible": 1,
            "mps_clients": 0,
            "processes": _processes(self.card, used, utilization),
            "workload_memory_used_bytes": held,
            "workload_memory_budget_bytes": dict.fromkeys(held, _BUDGET * usable),
            "workload_memory_budget_used_ratio": {name: part / (_BUDGET * usable) for name, part in held.items()},
            "idle_memory_held_seconds": 0.0 if utilization else elapsed,
        }

    def _activity(self, utilization: float, elapsed: float) -> dict[str, Any]:
        return {
            "compute_mode": 0,
            "performance_state": 2 if utilization else 8,
            "vgpu_licensed": 0,
            "utilization_ratio": utilization,
            "utilization_peak_ratio": self.peak("utilization_ratio", elapsed),
            "memory_controller_utilization_ratio": utilization * 0.6,
            "encoder_utilization_ratio": 0.0,
            "decoder_utilization_ratio": 0.0,
            "activity_ratio": {"graphics": utilization, "sm": utilization * 0.8, "tensor": utilization * 0.3},
            "sm_occupancy_ratio": utilization * 0.5,
            "clock_hertz": {"sm": 1.8e9 if utilization else 2.1e8, "memory": 7.5e9 if utilization else 4.05e8},
            "clock_max_hertz": {"sm": 2.1e9, "memory": 7.5e9},
        }

    def _heat(self, elapsed: float, utilization: float) -> dict[str, Any]:
        temperature, slowdown = self.at("temperature_celsius", elapsed), self.card.slowdown_celsius
        power = self._power(utilization)
        return {
            "temperature_celsius": temperature,
            "temperature_peak_celsius": self.peak("temperature_celsius", elapsed),
            "memory_temperature_celsius": temperature + 8,
            "temperature_limit_celsius": {"slowdown": slowdown, "shutdown": slowdown + 5},
            "temperature_margin_celsius": slowdown - temperature,
            "power_watts": power,
            "power_peak_watts": self._power(self.peak("utilization_ratio", elapsed)),
            "power_limit_watts": self.card.power_limit_watts,
            "energy_joules_total": self._power(0.5) * elapsed,
            "energy_integrated": 0,
            "fan_speed_ratio": {"0": min(1.0, max(0.0, (temperature - 40) / 45))},
            "fan_stopped": {"0": 0.0},
            "throttled": {"sw_thermal": float(self.at("throttled", elapsed) > 0), "sw_power_cap": 0.0},
            "throttle_seconds_total": {"sw_thermal": elapsed * 0.1, "sw_power_cap": 0.0},
        }

    def _power(self, utilization: float) -> float:
        return self.card.power_limit_watts * (0.12 + 0.85 * utilization)


def _faults(started_at: float) -> dict[str, Any]:
    return {
        "xid_errors_total": {("31", "application"): 1.0},
        "xid_last_timestamp_seconds": {("31", "application"): started_at - 86_400},
        "ecc_enabled": 1,
        "ecc_errors_total": {"corrected": 0.0, "uncorrected": 0.0},
        "ecc_lifetime_errors_total": {"corrected": 0.0, "uncorrected": 0.0},
        "remapped_rows": {"correctable": 0.0, "uncorrectable": 0.0},
        "row_remap_pending": 0,
        "row_remap_failed": 0,
        "retired_pages": {"single_bit": 0.0, "double_bit": 0.0},
        "retired_pages_pending": 0,
    }


def _links(elapsed: float, utilization: float) -> dict[str, Any]:
    return {
        "pcie_received_bytes_total": 2.1e9 * elapsed,
        "pcie_transmitted_bytes_total": 0.9e9 * elapsed,
        "pcie_replays_total": 0,
        "pcie_link_width_ratio": 1.0,
        "pcie_link_width_working_ratio": 1.0,
        "pcie_link_generation": 4 if utilization else 1,
        "nvlink_received_bytes_total": 0,
        "nvlink_transmitted_bytes_total": 0,
        "nvlink_errors_total": {"replay": 0.0},
    }


def _instances(utilization: float) -> dict[str, Any]:
    """One MIG device: no card of an office box has any, but each row can be tried."""
    return {
        "mig_enabled": 0,
        "mig_info": ({"mig": "1/0", "mig_uuid": "MIG-simulated", "profile": "1g.5gb"},),
        "mig_memory_total_bytes": {"1/0": 5 * GIB},
        "mig_memory_used_bytes": {"1/0": 1 * GIB},
        "mig_memory_used_ratio": {"1/0": 0.2},
        "mig_activity_ratio": {("1/0", "graphics"): utilization},
    }


def _processes(card: SimulatedGpu, used: float, utilization: float) -> tuple[GpuProcess, ...]:
    return tuple(
        GpuProcess(
            pid=item.pid,
            name=item.name,
            user=item.user,
            container=item.container,
            workload=item.workload,
            memory_bytes=item.share * used,
            utilization_ratio=item.share * utilization,
        )
        for item in card.processes
    )


def _workloads(card: SimulatedGpu, used: float) -> dict[str, float]:
    held: dict[str, float] = {}
    for item in card.processes:
        if item.workload:
            held[item.workload] = held.get(item.workload, 0.0) + item.share * used
    return held


def simulated_host(elapsed: float, now: float, started_at: float) -> Host:
    """The host of the demo: a box with one disk and one network card that is busy but well."""
    disk = ("/dev/nvme0n1p2", "/", "ext4")
    return Host(
        read_at=now,
        info={"hostname": "demo", "system": "Linux", "kernel": "simulated"},
        boot_timestamp_seconds=started_at - 7 * 86_400,
        cpu_utilization_ratio=0.35,
        cpus=16,
        load_average={"1m": 5.5, "5m": 5.2, "15m": 4.9},
        memory_total_bytes=64 * GIB,
        memory_available_bytes=41 * GIB,
        memory_used_ratio=23 / 64,
        swap_total_bytes=8 * GIB,
        swap_used_bytes=0,
        filesystem_size_bytes={disk: 1000 * GIB},
        filesystem_available_bytes={disk: 388 * GIB},
        filesystem_used_ratio={disk: 0.612},
        disk_read_bytes_total={"nvme0n1": 1.4e6 * elapsed},
        disk_written_bytes_total={"nvme0n1": 3.2e6 * elapsed},
        network_received_bytes_total={"eth0": 2.5e6 * elapsed},
        network_transmitted_bytes_total={"eth0": 1.1e6 * elapsed},
    )
