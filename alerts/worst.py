"""Which of two readings is the worse one for a rule, and whether that means anything. Pure."""

from collections.abc import Callable, Iterable

from alerts.notify.notification import Comparison

_HALF = 0.5
_WITHOUT_PEAK: frozenset[Comparison] = frozenset({"equals", "absent", "within", "older"})


def goes_down(comparison: Comparison, threshold: float) -> bool:
    """Whether a lower reading is a worse one."""
    if comparison == "equals":
        return threshold < _HALF  # yes or no: the worse one is what the rule asks for
    return comparison in {"below", "within"}


def worst_of(comparison: Comparison, threshold: float) -> Callable[[Iterable[float]], float]:
    """Picks the worst of some readings."""
    return min if goes_down(comparison, threshold) else max


def has_peak(comparison: Comparison) -> bool:
    """Whether the worst reading of an alert says more than that it fired."""
    return comparison not in _WITHOUT_PEAK
