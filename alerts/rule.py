"""One rule: a comparison of one series with one number, and what to say about it."""

from collections.abc import Mapping
from dataclasses import dataclass

from alerts.matchers import Matcher, matches
from alerts.notify.notification import Comparison, Severity
from alerts.windows import Window
from alerts.worst import worst_of
from gpuwarden.catalog import CATALOG, SCRAPE_ROWS
from gpuwarden.units import Unit

TARGET_LABELS = ("job", "instance")
"""What every scrape adds: who was visited."""

_BELOW = frozenset({"below", "within"})
_BY_SCRAPER = frozenset(row.name for row in SCRAPE_ROWS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule as it is judged; times in seconds, ``threshold`` and ``clear`` in ``unit``.

    ``clear`` None means that the threshold itself is the way out. Several rules of one ``alert`` judge disjoint sets of
    series: an override for some series splits a rule in two, and ``unless`` keeps those series from the first part.

    What is compared is the series' last value (``window`` None) or what the window makes of it. ``within`` and
    ``older`` compare the age of a timestamp. ``absent`` judges each target that answers: 1 when it publishes no series
    of the metric that satisfies ``sought``, else 0; ``where`` then names targets. Of what every visit of any job writes
    it names the job, ours unless the rule says another: without Prometheus there is none. A rule with ``expr`` has no
    metric and is judged by Prometheus only.
    """

    alert: str
    metric: str
    unit: Unit
    comparison: Comparison
    threshold: float
    clear: float | None = None
    window: Window | None = None
    sought: tuple[Matcher, ...] = ()
    expr: str = ""
    for_: float = 0.0
    keep_firing_for: float = 0.0
    severity: Severity
    summary: str
    action: str = ""
    why: str = ""
    skip_when: str = ""
    """When somebody would not want the rule; for the reference page."""
    labels: tuple[tuple[str, str], ...] = ()
    """What the alert carries besides the series' own labels."""
    other_labels: tuple[str, ...] = ()
    """Names of labels that only other rules of the alert add, for other series."""
    muted_by: tuple[str, ...] = ()
    """Alerts that say more: while one of them fires on the same series, this one tells nobody."""
    ends_when_gone: bool = False
    """A firing alert ends when its target answers without a number for the series; else it is held."""
    where: tuple[Matcher, ...] = ()
    meant: tuple[Matcher, ...] = ()
    """``where`` as the alert is defined, without what overrides divide."""
    unless: tuple[tuple[Matcher, ...], ...] = ()
    """A series that satisfies all matchers of one of these groups belongs to another rule of the alert, or to none."""

    def covers(self, labels: Mapping[str, str]) -> bool:
        """Whether a series of the metric with these labels is judged by this rule."""
        return matches(self.where, labels) and not any(matches(group, labels) for group in self.unless)

    def holds(self, value: float, *, firing: bool) -> bool:
        """Whether the condition is true of a reading; while the alert fires, ``clear`` decides instead."""
        limit = self.clear if firing and self.clear is not None else self.threshold
        if self.comparison in _BELOW:
            return value < limit
        return value == limit if self.comparison in {"equals", "absent"} else value > limit

    def worse(self, reading: float, other: float | None) -> float:
        """The worse of two readings."""
        return reading if other is None else worst_of(self.comparison, self.threshold)((reading, other))

    @property
    def about(self) -> str:
        """What the rule is about; a rule of the same name that is about something else is another rule."""
        return f"absent {self.metric}" if self.comparison == "absent" else self.metric

    @property
    def judges_cards(self) -> bool:
        """Whether each series is of one card, which the exporter counts in ``gpu_up`` until it is told to forget it."""
        known = CATALOG.get(self.metric)
        return known is not None and "uuid" in known.labels and self.comparison != "absent"

    @property
    def judges_targets(self) -> bool:
        """Whether each series is a target's, written by whoever visits it, and so of every job that is scraped."""
        return self.metric in _BY_SCRAPER or self.comparison == "absent"

    @property
    def series_labels(self) -> tuple[str, ...] | None:
        """The labels of what is judged, be it a series or a target; None where nobody knows them."""
        return TARGET_LABELS if self.comparison == "absent" else labels_of(self.metric)

    @property
    def is_always_read(self) -> bool:
        """Whether there is a number for every visit, answered or not."""
        return self.metric in _BY_SCRAPER and self.comparison != "absent"

    @property
    def compares_last_value(self) -> bool:
        """Whether the number compared is the series' own last value, so that a panel can draw the threshold."""
        return self.window is None and self.comparison in {"above", "below", "equals"} and not self.expr


def labels_of(metric: str) -> tuple[str, ...] | None:
    """The labels of a metric of ours, with those of the target; None for another exporter's."""
    known = CATALOG.get(metric)
    return None if known is None else (*known.labels, *TARGET_LABELS)
