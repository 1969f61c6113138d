"""What is read from a card besides its processes: one row per thing, each failing by itself.

Units become the catalog's base units here; what comes by field id is in field_values.py.

Memory: version 2 of the call says what the driver keeps for itself, and used / (total - reserved) is the share that
can still run out. Version 1 (drivers before 510, WSL) counts the reserve as used; there used / total is published,
which reaches 1 at the same moment. A card whose memory is the host's answers "not supported" and gets no memory
series: version 1 is not tried then, since on such cards it has been seen to answer with the host's figures.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from exporter.sources.nvml.device import CLOCKS, TEMPERATURE_LIMITS, Device, Memory
from exporter.sources.nvml.errors import NOT_SUPPORTED, UNKNOWN
from exporter.sources.nvml.ranges import celsius, flag, joules, megahertz, percent, watts, within
from exporter.sources.nvml.support import Field, Support, Value

_MAX_FANS = 16
_HOT_CELSIUS = 70.0
"""Fans that rest on a cool card turn again at 50 to 60 degrees."""

THROTTLE_REASONS = {
    "sw_power_cap": 0x04,
    "hw_slowdown": 0x08,
    "sync_boost": 0x10,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "hw_power_brake": 0x80,
}
"""Bits of ``nvmlClocksEventReasons``; an idle card and clocks that a person set are no throttling."""


def memory_values(memory: Memory) -> tuple[Value, ...]:
    """The memory rows for one answer; nothing at all when the answer contradicts itself."""
    reserved = memory.reserved or 0
    usable = memory.total - reserved
    if not 0 < memory.total < 2**50 or usable <= 0 or memory.used > memory.total or memory.free > memory.total:
        return ()
    return (
        Value("memory_total_bytes", float(memory.total)),
        Value("memory_used_bytes", float(memory.used)),
        Value("memory_free_bytes", float(memory.free)),
        Value("memory_reserved_bytes", None if memory.reserved is None else float(reserved)),
        Value("memory_used_ratio", min(1.0, memory.used / usable)),
    )


def throttle_values(bits: int) -> tuple[Value, ...]:
    """1 for each reason that holds the clock down now, 0 for the others."""
    if not 0 <= bits < 0xFFFFFFFF:  # noqa: PLR2004 -- the 32-bit sentinel; known bits end far below
        return ()
    return tuple(Value("throttled", float(bool(bits & bit)), reason) for reason, bit in THROTTLE_REASONS.items())


def _utilization(device: Device) -> tuple[Value, ...]:
    core, memory = device.utilization_percent()
    return (
        Value("utilization_ratio", percent(core)),
        Value("memory_controller_utilization_ratio", percent(memory)),
    )


def _fans(device: Device) -> tuple[Value, ...]:
    count = min(device.fan_count(), _MAX_FANS)
    return tuple(Value("fan_speed_ratio", percent(device.fan_percent(fan), 200), str(fan)) for fan in range(count))


def _one_fan(device: Device) -> tuple[Value, ...]:
    return (Value("fan_speed_ratio", percent(device.fan_percent_v1(), 200), "0"),)


def _link_width(device: Device) -> tuple[Value, ...]:
    used, most = device.pcie_link_width()
    # A virtual machine may not see the link: no lanes at all is no reading.
    return (Value("pcie_link_width_ratio", within(used / most, 0, 1) if most and used else None),)


def _licence(device: Device) -> tuple[Value, ...]:
    licensed = device.vgpu_licensed()
    return (Value("vgpu_licensed", None if licensed is None else float(licensed)),)


def _way(
    attribute: str, ask: Callable[[Device], float], checked: Callable[[float], float | None], label: str = ""
) -> Callable[[Device], tuple[Value, ...]]:
    return lambda device: (Value(attribute, checked(ask(device)), label),)


def _simple(
    name: str, attribute: str, ask: Callable[[Device], float], checked: Callable[[float], float | None]
) -> Field:
    return Field(name, (_way(attribute, ask, checked),))


def _clock(attribute: str, ask: Callable[[Device, str], float], clock: str, *, fixed: bool) -> Field:
    way = _way(attribute, lambda device: ask(device, clock), megahertz, clock)
    return Field(f"{'highest ' if fixed else ''}{clock} clock", (way,), fixed=fixed)


def _limit(limit: str) -> Field:
    way = _way(
        "temperature_limit_celsius",
        lambda device: device.temperature_limit(limit),
        partial(within, low=1, high=200),
        limit,
    )
    return Field(f"{limit} temperature limit", (way,), fixed=True)


MEMORY = Field(
    "memory",
    (lambda device: memory_values(device.memory()), lambda device: memory_values(device.memory_v1())),
    also_next_on=frozenset({UNKNOWN}),
    ends_on=frozenset({NOT_SUPPORTED}),
)

FIELDS: tuple[Field, ...] = (
    Field("utilization", (_utilization,)),
    MEMORY,
    Field(
        "temperature",
        (
            _way("temperature_celsius", Device.temperature, celsius),
            _way("temperature_celsius", Device.temperature_v1, celsius),
        ),
    ),
    _simple(
        "temperature margin",
        "temperature_margin_celsius",
        Device.temperature_margin,
        partial(within, low=-200, high=200),
    ),
    _simple("power", "power_watts", Device.power_milliwatts, watts),
    _simple("power limit", "power_limit_watts", Device.power_limit_milliwatts, watts),
    _simple("energy", "energy_joules_total", Device.energy_millijoules, joules),
    *(_clock("clock_hertz", Device.clock_megahertz, clock, fixed=False) for clock in CLOCKS),
    Field("fans", (_fans, _one_fan)),
    Field(
        "throttle reasons",
        (
            lambda device: throttle_values(device.clock_event_reasons()),
            lambda device: throttle_values(device.throttle_reasons()),
        ),
    ),
    _simple("performance state", "performance_state", Device.performance_state, partial(within, low=0, high=15)),
    _simple("encoder utilization", "encoder_utilization_ratio", Device.encoder_percent, percent),
    _simple("decoder utilization", "decoder_utilization_ratio", Device.decoder_percent, percent),
    Field(
        "compute mode",
        (_way("compute_mode", Device.compute_mode, partial(within, low=0, high=3)),),
    ),
    _simple("PCIe generation", "pcie_link_generation", Device.pcie_link_generation, partial(within, low=1, high=99)),
    Field("PCIe width", (_link_width,)),
    _simple("MIG mode", "mig_enabled", Device.mig_mode, flag),
    Field("vGPU licence", (_licence,), fixed=True),
    *(_clock("clock_max_hertz", Device.clock_max_megahertz, clock, fixed=True) for clock in CLOCKS),
    *(_limit(limit) for limit in TEMPERATURE_LIMITS),
)


FIXED = tuple(field for field in FIELDS if field.fixed)
CHANGING = tuple(field for field in FIELDS if not field.fixed)


def read_values(
    fields: Iterable[Field], device: Device, support: Support
) -> tuple[dict[str, tuple[Value, ...]], set[str]]:
    """Values by the field's name, none for what the card cannot; and the names of the fields that failed only for now.

    Raises:
        NvmlError: the card or the driver has gone.
    """
    values: dict[str, tuple[Value, ...]] = {}
    failed: set[str] = set()
    for field in fields:
        answer = support.read(field, device)
        if answer is None:
            failed.add(field.name)
        else:
            values[field.name] = answer
    return values, failed


def attributes(values: Iterable[Value]) -> dict[str, Any]:
    """Keyword arguments for ``Gpu``: labelled values become mappings, absent ones are left out.

    A margin that the driver does not give is the distance from the temperature to the slowdown limit.
    """
    found: dict[str, Any] = {}
    for attribute, value, label in values:
        if value is not None and label:
            found.setdefault(attribute, {})[label] = value
        elif value is not None:
            found[attribute] = value
    limit = found.get("temperature_limit_celsius", {}).get("slowdown")
    if limit is not None and "temperature_celsius" in found:
        found.setdefault("temperature_margin_celsius", limit - found["temperature_celsius"])
    return found | _conclusions(found)


def _conclusions(found: Mapping[str, Any]) -> dict[str, Any]:
    """What means something only beside another reading: a fan's rest by the heat."""
    made: dict[str, Any] = {}
    if "fan_speed_ratio" in found and "temperature_celsius" in found:
        hot = found["temperature_celsius"] >= _HOT_CELSIUS
        made["fan_stopped"] = {fan: float(hot and speed == 0) for fan, speed in found["fan_speed_ratio"].items()}
    return made
