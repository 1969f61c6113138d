"""Small words that several parts of the page use."""

from gpuwarden.units import format_value

_FINE_SECONDS = 10


def ago(seconds: float) -> str:
    """How long something is past; a clock that stepped back reads as now."""
    age = max(0.0, seconds)
    return f"{age:.1f} s ago" if age < _FINE_SECONDS else f"{format_value(round(age), 'seconds')} ago"


def counted(number: int, noun: str) -> str:
    """``1 card``, ``2 cards``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def cut(text: str, most: int) -> str:
    """At most ``most`` characters; what was cut ends in an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
