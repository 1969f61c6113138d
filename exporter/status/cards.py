"""One card in words: pure.

No threshold is written here: what is too much is for the alerter's rules to say, and a card takes the colour of the
alerts that fire for it. Loud by itself is only what the card reports as a state: lost, and worn out memory.
"""

from collections.abc import Iterable, Iterator, Sequence

from exporter.snapshot import Gpu, SourceHealth
from exporter.status.alerts import Alert
from exporter.status.bars import memory_bar, power_bar, ratio_bar, temperature_bar
from exporter.status.holders import budget_bars, holding, instance_bars
from exporter.status.model import Card, Level, Note, worst
from exporter.status.words import ago, cut
from gpuwarden.units import format_value

_THROTTLES = {
    "sw_power_cap": "its power limit is reached",
    "hw_slowdown": "the hardware slows it down",
    "sync_boost": "it is held to the pace of another card",
    "sw_thermal": "it is too hot (the driver acts)",
    "hw_thermal": "it is too hot (the hardware acts)",
    "hw_power_brake": "the power supply asks for it",
}
_LEAST_IDLE_SECONDS = 60
_LONGEST_NAME = 48
_SEVERITIES: dict[str, Level] = {"critical": "critical", "warning": "warning", "info": "info"}


def level_of(alert: Alert) -> Level:
    """How loud an alert is; a severity that we do not know is a warning."""
    return _SEVERITIES.get(alert.severity, "warning")


def card(gpu: Gpu, alerts: Iterable[Alert], sources: Sequence[SourceHealth], now: float) -> Card:
    """The card as of ``now`` (Unix seconds); ``alerts`` are all that fire anywhere."""
    mine = [alert for alert in alerts if alert.firing and alert.uuid and alert.uuid == gpu.uuid]
    fires = tuple(Note(f"{cut(alert.name, _LONGEST_NAME)} fires", level_of(alert)) for alert in mine)
    name = cut(gpu.info.get("name", "").removeprefix("NVIDIA "), _LONGEST_NAME)  # every card here is theirs
    if not gpu.up:
        why = _why_lost(gpu, sources)
        return Card(index=gpu.index, name=name, uuid=gpu.uuid, level="critical", lost=why, alerts=fires)
    group, holders = holding(gpu)
    notes = tuple(_notes(gpu, now))
    return Card(
        index=gpu.index,
        name=name,
        uuid=gpu.uuid,
        level=worst([note.level for note in (*fires, *notes)]),
        alerts=fires,
        bars=(
            memory_bar(gpu),
            ratio_bar("Utilization", gpu.utilization_ratio, peak=gpu.utilization_peak_ratio),
            temperature_bar(gpu),
            power_bar(gpu),
        ),
        notes=notes,
        budgets=budget_bars(gpu),
        instances=instance_bars(gpu),
        holding=group,
        holders=holders,
        facts=tuple(_facts(gpu)),
    )


def _why_lost(gpu: Gpu, sources: Sequence[SourceHealth]) -> str:
    own = own_sources(gpu)
    said = [health.detail for health in sources if health.source in own and health.detail]
    return said[0] if said else "it gives no readings"


def own_sources(gpu: Gpu) -> tuple[str, str]:
    """The names that a source of this card alone may have."""
    return f"nvml/{gpu.index}", f"nvml/{gpu.uuid}"


def _notes(gpu: Gpu, now: float) -> Iterator[Note]:
    held_down = [_THROTTLES.get(reason, reason) for reason, value in gpu.throttled.items() if value]
    if held_down:
        yield Note(f"Slowed down: {'; '.join(held_down)}")
    idle = gpu.idle_memory_held_seconds
    if idle is not None and idle >= _LEAST_IDLE_SECONDS and gpu.memory_used_bytes:
        yield Note(f"Memory is held with no work done for {format_value(idle, 'seconds')}")
    yield from _faults(gpu)
    for key, count in sorted(gpu.xid_errors_total.items()):
        last = gpu.xid_last_timestamp_seconds.get(key)
        when = "" if last is None else f", last {ago(now - last)}"
        if count:
            yield Note(f"XID error {_with_kind(key)}: {count:g} {'time' if count == 1 else 'times'}{when}")
    if gpu.pcie_link_width_ratio is not None and gpu.pcie_link_width_ratio < 1:
        yield Note(f"Only {format_value(gpu.pcie_link_width_ratio, 'ratio')} of the PCIe lanes are in use")


def _with_kind(key: tuple[str, ...]) -> str:
    code, *kind = key
    return f"{code} ({', '.join(kind)})" if any(kind) else code


def _faults(gpu: Gpu) -> Iterator[Note]:
    if gpu.row_remap_failed:
        yield Note("A memory row could not be remapped: the card needs replacing", "critical")
    if gpu.row_remap_pending or gpu.retired_pages_pending:
        yield Note("Worn out memory waits for a reset of the card to be replaced", "warning")
    uncorrected = gpu.ecc_errors_total.get("uncorrected")
    if uncorrected:
        times = f"{uncorrected:g} memory {'error' if uncorrected == 1 else 'errors'}"
        yield Note(f"{times} that ECC could not correct since the driver was loaded", "warning")


def _facts(gpu: Gpu) -> Iterator[tuple[str, str]]:
    for clock, value in gpu.clock_hertz.items():
        highest = gpu.clock_max_hertz.get(clock)
        most = "" if highest is None else f" of {format_value(highest, 'hertz')}"
        yield f"Clock, {clock}", f"{format_value(value, 'hertz')}{most}"
    for limit, degrees in gpu.temperature_limit_celsius.items():
        yield f"Limit, {limit}", format_value(degrees, "celsius")
    if gpu.memory_temperature_celsius is not None:
        yield "Memory temperature", format_value(gpu.memory_temperature_celsius, "celsius")
    for fan, speed in gpu.fan_speed_ratio.items():
        yield f"Fan {fan}", format_value(speed, "ratio")
    if gpu.energy_joules_total is not None:
        yield "Energy", format_value(gpu.energy_joules_total, "joules")
    if gpu.mps_clients:
        yield "MPS clients", f"{gpu.mps_clients:g}"
    yield "UUID", gpu.uuid
    for key, what in (("pci_bus_id", "PCI bus"), ("driver_version", "Driver"), ("cuda_version", "CUDA")):
        if gpu.info.get(key):
            yield what, gpu.info[key]
