"""Silences, where the alerter is its own judge: what people have asked not to hear of for a while. Pure.

A silence covers an alert whose labels all its matchers accept, from its start to its end. The labels are those that
Alertmanager would see: the alert's name and severity, the series' labels and those that the rule adds. What it covers
is judged and remembered as ever, and what it would tell is told nobody (``silenced``), as with Alertmanager:

1. An alert that still fires when the silence ends is told then. It needs no memory: nobody was told of it, so the next
   round's ladder (``mute``) tells it as first. One that was told before the silence is not told as first again.
2. An alert that ends under a silence ends silently, told before or not; its incident is closed.
3. A silenced alert still mutes the lesser ones on the ladder. A silence is about one thing that people know of, and a
   lesser alert on the same series is that thing.
4. A fall down the ladder (``lowered``) is the end of one alert and the news of another. Where only the lesser one is
   covered, the end of the graver one is told as RESOLVED; where only the graver one is, the lesser one is told as
   first, in the same thread, unless it was told before.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from alerts.alert_labels import in_alert
from alerts.clean_text import one_line
from alerts.judge import Change
from alerts.matchers import Matcher, matches
from alerts.notify.mute import SILENT, Verdict
from alerts.notify.page_facts import LONGEST_LABEL
from alerts.rule import Rule
from alerts.state import AlertKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Times are Unix seconds; ``created_by`` and ``comment`` are a person's words."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: float
    ends_at: float
    updated_at: float
    created_by: str = ""
    comment: str = ""

    def is_active(self, now: float) -> bool:
        """Whether it holds at ``now`` (Unix seconds)."""
        return self.starts_at <= now < self.ends_at

    def has_ended(self, now: float) -> bool:
        """Whether it is over at ``now`` (Unix seconds)."""
        return self.ends_at <= now

    def covers(self, key: AlertKey, rule: Rule) -> bool:
        """Whether it is about this alert of ``rule``."""
        return matches(self.matchers, _shown(key, rule))


def silenced(
    changes: Sequence[Change], verdicts: Sequence[Verdict], silences: Iterable[Silence], now: float
) -> list[Verdict]:
    """The verdicts on ``changes`` with nothing told of what a silence covers at ``now`` (Unix seconds).

    What is covered and fires has a verdict that tells nothing, so whatever decides after this knows to stay quiet.
    """
    active = [silence for silence in silences if silence.is_active(now)]
    if not active:
        return list(verdicts)
    covered = _Active(active).cover
    after: list[Verdict] = []
    ends: dict[AlertKey, Verdict] = {}
    """Of the graver alerts whose place nobody takes now."""
    for change, verdict in zip(changes, verdicts, strict=True):
        over = verdict.over
        if _could_tell(change, verdict) and covered(change.key, change.rule):
            after.append(_silent(change))
            if over:
                ends[over.key] = _SILENCED if covered(over.key, over.rule) else Verdict("resolved")
        elif over and covered(over.key, over.rule):
            after.append(SILENT if _was_told(change) else Verdict("first", beside=over.state))
            ends[over.key] = _SILENCED
        else:
            after.append(verdict)
    return [ends.get(change.key, verdict) for change, verdict in zip(changes, after, strict=True)]


def _shown(key: AlertKey, rule: Rule) -> dict[str, str]:
    """The labels as they are shown to people."""
    labels = {"alertname": key.alertname, **in_alert(rule, key.labels)}
    return {one_line(name, LONGEST_LABEL): one_line(value, LONGEST_LABEL) for name, value in labels.items()}


class _Active:
    """The silences that hold, to be found by those that they cover: hundreds of them, thousands of alerts."""

    def __init__(self, silences: Iterable[Silence]) -> None:
        self._named: dict[tuple[str, str], list[Silence]] = defaultdict(list)
        """By a label and its value without which an alert is not covered."""
        self._others: list[Silence] = []
        for silence in silences:
            needed = [(found.label, found.value) for found in silence.matchers if found.operator == "=" and found.value]
            if needed:
                self._named[max(needed, key=lambda pair: pair[0] != "alertname")].append(silence)
            else:
                self._others.append(silence)

    def cover(self, key: AlertKey, rule: Rule | None) -> bool:
        """Whether one of them covers this alert of ``rule``."""
        if rule is None:
            return False
        labels = _shown(key, rule)
        found = chain(self._others, *(self._named.get(pair, ()) for pair in labels.items()))
        return any(matches(silence.matchers, labels) for silence in found)


_SILENCED = Verdict(suppressed="silenced")


def _could_tell(change: Change, verdict: Verdict) -> bool:
    """Whether it tells something, or fires, so that a later step might tell of it again."""
    fires = change.state is not None and change.state.phase == "firing"
    return verdict.tells is not None or (fires and verdict.suppressed is None)


def _silent(change: Change) -> Verdict:
    """The reason is given once, when it fires or ends, and not in each round in which it would be told."""
    return _SILENCED if change.transition else SILENT


def _was_told(change: Change) -> bool:
    return change.previous is not None and bool(change.previous.incident)
