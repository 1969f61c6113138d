"""Readings into bars: pure. What has no reading says so; a bar is drawn only where its limit is known."""

import math
from collections.abc import Sequence

from exporter.snapshot import Gpu
from exporter.status.model import NO_READING, Bar
from gpuwarden.units import Unit, format_value


def ratio_bar(
    label: str, ratio: float | None, notes: Sequence[str] = (), *, peak: float | None = None, limit: str = "100 %"
) -> Bar:
    """A share of something."""
    return Bar(
        label=label,
        value=said(ratio, "ratio"),
        notes=tuple(notes),
        share=share(ratio),
        peak=share(peak),
        peaked=_peaked(peak, "ratio"),
        limit=limit,
    )


def memory_bar(gpu: Gpu) -> Bar:
    """Used memory on its way to all that processes can get."""
    used, usable = gpu.memory_used_bytes, usable_bytes(gpu)
    amount = "" if used is None else format_value(used, "bytes")
    limit = "" if usable is None else format_value(usable, "bytes")
    notes = [f"{amount} of {limit}"] if amount and limit else []
    if gpu.memory_used_ratio is None and amount:
        return Bar(label="Memory", value=amount, notes=(f"of {limit}",) if limit else ())
    return ratio_bar("Memory", gpu.memory_used_ratio, notes, peak=gpu.memory_used_peak_ratio, limit=limit)


def usable_bytes(gpu: Gpu) -> float | None:
    """What processes can get: all but what the driver keeps."""
    if gpu.memory_total_bytes is None:
        return None
    return gpu.memory_total_bytes - (gpu.memory_reserved_bytes or 0.0)


def temperature_bar(gpu: Gpu) -> Bar:
    """The core's temperature on its way to where the card slows itself down."""
    now, margin = gpu.temperature_celsius, gpu.temperature_margin_celsius
    slowdown = gpu.temperature_limit_celsius.get("slowdown")
    if slowdown is None and now is not None and margin is not None:
        slowdown = now + margin
    if margin is None and slowdown is not None and now is not None:
        margin = slowdown - now
    notes = [] if now is None or margin is None else [_margin(margin)]
    return _limited("Temperature", now, slowdown, gpu.temperature_peak_celsius, "celsius", notes)


def _margin(margin: float) -> str:
    return f"{format_value(margin, 'celsius')} below slowdown" if margin > 0 else "at its slowdown limit"


def power_bar(gpu: Gpu) -> Bar:
    """The board's power on its way to the limit in force."""
    limit = gpu.power_limit_watts
    notes = [] if gpu.power_watts is None or limit is None else [f"of {format_value(limit, 'watts')}"]
    return _limited("Power", gpu.power_watts, limit, gpu.power_peak_watts, "watts", notes)


def _limited(
    label: str, now: float | None, limit: float | None, peak: float | None, unit: Unit, notes: Sequence[str]
) -> Bar:
    return Bar(
        label=label,
        value=said(now, unit),
        notes=tuple(notes),
        share=_of(now, limit),
        peak=_of(peak, limit),
        peaked=_peaked(peak, unit),
        limit="" if limit is None else format_value(limit, unit),
    )


def _peaked(peak: float | None, unit: Unit) -> str:
    return "" if peak is None or math.isnan(peak) else f"peak {format_value(peak, unit)}"


def _of(value: float | None, limit: float | None) -> float | None:
    return None if value is None or limit is None or limit <= 0 else share(value / limit)


def said(value: float | None, unit: Unit) -> str:
    """The value for a person; absence is said."""
    return NO_READING if value is None or math.isnan(value) else format_value(value, unit)


def share(ratio: float | None) -> float | None:
    """``ratio`` where it can be drawn."""
    return None if ratio is None or math.isnan(ratio) else min(1.0, max(0.0, ratio))
