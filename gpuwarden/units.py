"""One way to print a value, shared by the page, the mail and the panels, and Prometheus durations in and out."""

import datetime as dt
import math
import re
from collections.abc import Callable
from typing import Literal, NewType

Unit = Literal[
    "ratio", "bytes", "celsius", "watts", "joules", "hertz", "seconds", "timestamp", "bytes_per_second", "bool", "count"
]
Duration = NewType("Duration", float)
"""A span in seconds that was written the way Prometheus writes durations (``1m30s``)."""
TimeOfDay = NewType("TimeOfDay", str)
"""``HH:MM`` as a clock on the wall shows it."""
Secret = NewType("Secret", str)
"""A text that no page, log or message shows."""

_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_DURATION_UNITS = {"y": 31_536_000.0, "w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_TIME_OF_DAY = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")


def parse_duration(text: str) -> Duration:
    """Read a Prometheus duration (``1h30m``, ``15s``, ``0``); the units stand in falling order, each at most once.

    Raises:
        ValueError: the text is not a Prometheus duration.
    """
    match = _DURATION.fullmatch(text)
    if text != "0" and (match is None or not text):
        message = f"{text!r} is not a duration: write 30s, 5m, 1h30m"
        raise ValueError(message)
    parts = match.groups() if match else ()
    return Duration(
        math.fsum(int(part) * scale for part, scale in zip(parts, _DURATION_UNITS.values(), strict=False) if part)
    )


def parse_time_of_day(text: str) -> TimeOfDay:
    """Read ``07:00``.

    Raises:
        ValueError: the text is not a time of day.
    """
    if not _TIME_OF_DAY.fullmatch(text):
        message = f"{text!r} is not a time of day"
        raise ValueError(message)
    return TimeOfDay(text)


def format_duration(seconds: float) -> str:
    """Write a span so that ``parse_duration`` reads it back to the millisecond: ``90`` becomes ``1m30s``."""
    rest = round(seconds * 1000)
    words: list[str] = []
    for name, scale in _DURATION_UNITS.items():
        if name == "y" or name == "w":  # noqa: PLR1714 -- days are what people read
            continue
        count, rest = divmod(rest, round(scale * 1000))
        if count:
            words.append(f"{count}{name}")
    return "".join(words) or "0s"


def format_value(value: float, unit: Unit) -> str:
    """Print ``value`` for a person: 0.934 of a ratio is ``93.4 %``, 12058624000 bytes are ``11.2 GiB``."""
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    return _PRINTERS[unit](value)


def _scaled(value: float, step: float, names: tuple[str, ...]) -> str:
    size, index = abs(value), 0
    while index < len(names) - 1 and round(size, 1 if index else 0) >= step:
        size, index = size / step, index + 1
    text = f"{size:.0f}" if index == 0 else f"{size:.1f}"
    return f"{'-' if value < 0 else ''}{text} {names[index]}"


def _seconds(value: float) -> str:
    if abs(value) < 1:
        return f"{value * 1000:.3g} ms"
    if abs(value) < 59.5:  # noqa: PLR2004 -- rounds to less than a minute
        return f"{value:.3g} s"
    sign, whole = "-" if value < 0 else "", round(abs(value))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if days:
        return f"{sign}{days} d {hours % 24} h"
    if hours:
        return f"{sign}{hours} h {minutes % 60} min"
    return f"{sign}{minutes} min {whole % 60} s"


def format_timestamp(value: float) -> str:
    """Print Unix seconds as the local wall time with its zone, since a mail is read elsewhere than it was written."""
    try:
        return dt.datetime.fromtimestamp(value).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    except (OverflowError, OSError, ValueError):
        return f"{value:g}"


_PRINTERS: dict[Unit, Callable[[float], str]] = {
    "ratio": lambda value: f"{value * 100:.1f} %",
    "bytes": lambda value: _scaled(value, 1024, _BINARY),
    "bytes_per_second": lambda value: f"{_scaled(value, 1024, _BINARY)}/s",
    "celsius": lambda value: f"{value:.0f} °C",
    "watts": lambda value: f"{value:.0f} W",
    "joules": lambda value: f"{value / 3_600_000:.2f} kWh",
    "hertz": lambda value: _scaled(value, 1000, ("Hz", "kHz", "MHz", "GHz")),
    "seconds": _seconds,
    "timestamp": format_timestamp,
    "bool": lambda value: {0.0: "no", 1.0: "yes"}.get(value, f"{value:g}"),
    "count": lambda value: f"{value:g}",
}
