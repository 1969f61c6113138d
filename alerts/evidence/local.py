"""What the alerter itself has read lately, for the pictures of its mails: a bounded record, fed by each round.

What is recorded is what rules compare: the series' last value, or what a window made of it, so that a threshold fits
the line. Rules that compare the same share a record. At most ``MOST_SERIES`` are kept; a series that comes later has no
picture, which is logged. A full record takes 9 MiB.
"""

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence

from alerts.alert_labels import EXPORTED
from alerts.evidence.points import Points
from alerts.evidence.ring import STEP_SECONDS, STEPS, Ring
from alerts.matchers import Matcher
from alerts.notify.notification import AGES, Notification
from alerts.posted_identity import find_rule
from alerts.rule import Rule
from alerts.series import LabelSet, label_set
from alerts.windows import Window
from alerts.worst import worst_of

MOST_SERIES = 4000

Compared = tuple[str, Window | None, str, tuple[Matcher, ...]]
"""What a rule compares: metric, window, whether it is an age or an absence, and whose."""

_log = logging.getLogger(__name__)


class Recorder:
    """The record; ``take`` is called for each rule in each round."""

    def __init__(self) -> None:
        self._rings: dict[Compared, dict[LabelSet, Ring]] = defaultdict(dict)
        self._labels: dict[LabelSet, LabelSet] = {}
        """One copy of the labels that many series have in common."""
        self._held = 0
        self._is_full = False
        self._looked_at = 0.0

    def take(self, found: Mapping[LabelSet, tuple[Rule, float | None]], now: float) -> None:
        """Record what the rules of one alert compared at ``now`` (Unix seconds); None and NaN are no readings."""
        if not 0 <= now - self._looked_at < STEP_SECONDS:
            self._forget(now)
        last: Rule | None = None
        rings: dict[LabelSet, Ring] = {}
        for labels, (rule, value) in found.items():
            if value is None or not math.isfinite(value):
                continue
            if rule is not last:
                last, rings = rule, self._rings[compared_by(rule)]
            ring = rings.get(labels) or self._new(rule, labels, rings)
            if ring is not None:
                ring.add(now, value)

    def _new(self, rule: Rule, labels: LabelSet, rings: dict[LabelSet, Ring]) -> Ring | None:
        # Of yes and no there is little to see.
        if self._held >= (MOST_SERIES // 2 if rule.unit == "bool" else MOST_SERIES):
            self._note_full()
            return None
        ring = rings[self._labels.setdefault(labels, labels)] = Ring()
        self._held += 1
        return ring

    def points(self, notification: Notification, rule: Rule | None) -> Points:
        """What was read of an alert's series; none where nobody recorded it."""
        rings = self._rings.get(compared_by(rule), {}) if rule else {}
        ring = rings.get(series_of(rule, notification)) if rule else None
        return ring.points(worst_of(notification.comparison, notification.threshold)) if ring else Points()

    def _forget(self, now: float) -> None:
        """Drop what has not been read for as long as a ring goes back, or what is from the time to come."""
        longest = STEPS * STEP_SECONDS
        for compared, rings in [*self._rings.items()]:
            kept = {labels: ring for labels, ring in rings.items() if abs(now - ring.ends_at) < longest}
            self._rings[compared] = kept
            if not kept:
                del self._rings[compared]
        self._labels = {labels: labels for rings in self._rings.values() for labels in rings}
        self._held = sum(map(len, self._rings.values()))
        self._looked_at = now
        self._is_full = self._is_full and self._held >= MOST_SERIES // 2

    def _note_full(self) -> None:
        if not self._is_full:
            _log.warning("more than %d series are judged: mails about some have no picture", MOST_SERIES)
        self._is_full = True


def compared_by(rule: Rule) -> Compared:
    """What the rule compares, the same for all rules that compare it."""
    kind = "age" if rule.comparison in AGES else "absence" if rule.comparison == "absent" else ""
    return rule.metric, rule.window, kind, rule.sought


def series_of(rule: Rule, notification: Notification) -> LabelSet:
    """The labels of the alert's series; a series of which a label was cut or cleaned for the mail is not found."""
    added = dict(rule.labels)
    own = {name: text for name, text in notification.labels if name not in added}
    return label_set({(name.removeprefix(EXPORTED) if _gave_way(name, added) else name): own[name] for name in own})


def _gave_way(name: str, added: Container[str]) -> bool:
    """Whether a label of the series has another name because the rule adds one of its own."""
    return name.startswith(EXPORTED) and name.removeprefix(EXPORTED) in added


class LocalSeries:
    """Answers from the record of this process."""

    def __init__(self, recorder: Recorder, rules: Callable[[], Sequence[Rule]]) -> None:
        self._recorder = recorder
        self._rules = rules

    async def points_of(self, notifications: Sequence[Notification]) -> Mapping[str, Points]:
        """The readings of each, by the notification's id."""
        rules = self._rules()
        return {
            item.id: self._recorder.points(item, find_rule(rules, item.alertname, dict(item.labels)))
            for item in notifications
        }
