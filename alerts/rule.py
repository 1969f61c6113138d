"""One rule: a comparison of one series with one number, and what to say about it."""

from collections.abc import Mapping
from dataclasses import dataclass

from alerts.matchers import Matcher, matches
from alerts.notify.notification import Comparison, Severity
from gpuwarden.units import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule as it is judged; times in seconds, ``threshold`` and ``clear`` in ``unit``.

    ``clear`` None means that the threshold itself is the way out. Several rules of one ``alert`` judge disjoint sets of
    series: an override for some series splits a rule in two, and ``unless`` keeps those series from the first part.
    """

    alert: str
    metric: str
    unit: Unit
    comparison: Comparison
    threshold: float
    clear: float | None = None
    for_: float = 0.0
    keep_firing_for: float = 0.0
    severity: Severity
    summary: str
    action: str = ""
    where: tuple[Matcher, ...] = ()
    unless: tuple[tuple[Matcher, ...], ...] = ()
    """A series that satisfies all matchers of one of these groups belongs to another rule of the alert, or to none."""

    def covers(self, labels: Mapping[str, str]) -> bool:
        """Whether a series of the metric with these labels is judged by this rule."""
        return matches(self.where, labels) and not any(matches(group, labels) for group in self.unless)

    def holds(self, value: float, *, firing: bool) -> bool:
        """Whether the condition is true of a reading; while the alert fires, ``clear`` decides instead."""
        limit = self.clear if firing and self.clear is not None else self.threshold
        if self.comparison == "above":
            return value > limit
        return value < limit if self.comparison == "below" else value == limit
