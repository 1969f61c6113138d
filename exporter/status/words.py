"""Small words that several parts of the page use."""

import math

from gpuwarden.units import format_value

_FINE_SECONDS = 10


def ago(seconds: float) -> str:
    """How long something is past; a clock that stepped back reads as now."""
    age = max(0.0, seconds)
    if age < _FINE_SECONDS:
        return f"{age:.1f} s ago"
    return f"{format_value(round(age), 'seconds')} ago" if math.isfinite(age) else "at an unknown time"


def counted(number: int, noun: str) -> str:
    """``1 card``, ``2 cards``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def cut(text: str, most: int) -> str:
    """At most ``most`` characters; what was cut ends in an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
