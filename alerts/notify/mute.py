"""Severity ladders: which change tells whom, where several rules speak of one thing. Pure, over one round's changes.

A rule that is ``muted_by`` another is judged as ever, and tells nobody while an alert of the other fires on the same
series: the one with the same values of the labels that both have (``rule_checks.shared_labels``). It fires also while
it is held or unknown, and also while it is muted itself, so a chain of three needs no more than its neighbours.

An alert was **told** if its state has an incident. Nothing else is remembered: a restart, a new rules file or a rule
that lost its ``muted_by`` come out of the next round by themselves. What one change tells, after its round:

=======================  ======================  =================================
alert                    muted                   not muted
=======================  ======================  =================================
fires, untold            nothing (``muted``)     first, or lowered (1, 2)
fires, told              nothing                 nothing, or lowered (1, 2)
ended, told              resolved (3, 4)         resolved (4), unless (1) ends it
ended, untold            nothing (``untold``)    nothing (``untold``)
=======================  ======================  =================================

1. Lowered takes the place of the RESOLVED of an alert that muted this one and was told: the card is less full, not
   well. Of several that ended it is the gravest, the others end by themselves; of several alerts that are left the
   gravest lowers it, the others are told as first where they were not told yet.
2. While its condition is read as true. One that is only held (``keep_firing_for``) or unknown says nothing new: a card
   that is empty again is RESOLVED, though the lesser alert is held for longer than the grave one. It speaks once its
   condition is true again, and if it ends before that nobody was told.
3. It was announced, so its end is too, however the ladder stands.
4. Nothing (``moment``) where the rule asks what happened ``within`` some time: after that it is old, not repaired. Its
   incident closes in silence, and a lesser alert that is left of it is told as first.

Whether an alert ended silently (its rule or target was taken away) or is still pending makes no difference to it: it
does not fire, so it mutes nobody, and it has no RESOLVED to replace.

Behind Alertmanager all this is Alertmanager's (``inhibit_rules`` of its generated configuration): an alert that it
mutes is not posted. When the grave one ends, it posts that as resolved and the lesser one as firing, each within the
next ``group_interval``, in any order. Where the alerter as its own judge sends one mail, that is two:

- The lesser one after the end of the graver, within ``LATELY_SECONDS``: told as lowered, in the thread of the graver,
  of several the gravest.
- The lesser one before it, while the graver still counts as firing: told as first, in that thread. It cannot be called
  lowered, since an Alertmanager without these rules posts both while both fire; and it cannot wait for the end of the
  graver one, which is never posted where that was silenced.
- A lesser one that was told before the grave one fired is not posted again: nobody says that it holds. Its own RESOLVED
  comes when it ends.
- Alertmanager does not say of an alert that it is only held, so (2) does not apply: the mail asks Prometheus for the
  value now.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from alerts.judge import Change
from alerts.notify.notification import RANKS, Reason
from alerts.rule import Rule
from alerts.rule_checks import shared_labels
from alerts.series import LabelSet
from alerts.state import AlertKey, State

LATELY_SECONDS = 120.0
"""Alertmanager posts the lesser alert one evaluation and one ``group_interval`` after the end of the graver one."""

Suppressed = Literal["muted", "silenced", "untold", "moment", "flapping"]
SUPPRESSED: Mapping[Suppressed, str] = {
    "muted": "a graver alert fires on the same series",
    "silenced": "a silence covers it",
    "untold": "nobody was told that it fires",
    "moment": "what happened once has no end",
    "flapping": "it comes and goes, so only what lasts is told",
}
"""Why an alert that fired or ended is not told; the word stands in the log and in the metric label."""


@dataclass(frozen=True, slots=True)
class Past:
    """An alert that was told and is over; times in Unix seconds."""

    key: AlertKey
    rule: Rule
    state: State
    ended_at: float


@dataclass(frozen=True, slots=True)
class Standing:
    """An alert that fires, or comes and goes."""

    key: AlertKey
    rule: Rule | None
    state: State


@dataclass(frozen=True, slots=True)
class Flapped:
    """What is told of an alert that came and went: it fired ``times`` times since ``began_at`` (Unix seconds).

    ``lasting`` is for how many seconds it has been as it is, or must be to be told. ``thread`` is the first
    notification of that where it was told first.
    """

    times: int
    began_at: float
    lasting: float
    thread: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one change tells (None: nothing), and why nothing where something fired or ended.

    ``over`` is the graver alert that a lowered one takes the place of, ``beside`` a graver one that fires too. An alert
    that ``stands`` was told, fires, is not muted and is read as true: nothing is new, and it may be told again. ``to``
    is who is told, None where that is not decided yet; ``flapped`` is there where that is news.
    """

    tells: Reason | None = None
    suppressed: Suppressed | None = None
    over: Past | None = None
    beside: State | None = None
    stands: bool = False
    to: tuple[str, ...] | None = None
    flapped: Flapped | None = None


SILENT = Verdict()
_STANDS = Verdict(stands=True)


def judged_here(changes: Sequence[Change], standing: Iterable[Standing] = ()) -> list[Verdict]:
    """What each change tells, where ``changes`` are all alerts of a round; those ``standing`` mute as if they fired."""
    burning = (change for change in changes if change.state and change.state.phase == "firing")
    firing: _Alerts[_Alert] = _Alerts((*burning, *standing))
    ended = _Alerts(change for change in changes if _tells_end(change))
    lowered: dict[AlertKey, Change] = {}
    """By the alert that is over, the one that is left."""
    for change in sorted((one for one in changes if _fires(one) and _holds(one)), key=_rank):
        if not firing.muting(change):
            over = min(ended.muting(change), key=_rank, default=None)
            if over and over.key not in lowered:
                lowered[over.key] = change
    ends = {change.key: key for key, change in lowered.items()}
    past = {change.key: _past(change) for change in changes if change.key in lowered}
    return [
        Verdict("lowered", over=past[ends[change.key]])
        if change.key in ends
        else _verdict(change, muted=bool(firing.muting(change)), replaced=change.key in lowered)
        for change in changes
    ]


def judged_elsewhere(
    changes: Sequence[Change],
    _standing: Sequence[Standing] = (),
    *,
    lately: Mapping[AlertKey, Past],
    states: Mapping[AlertKey, State],
    rules: Iterable[Rule],
) -> list[Verdict]:
    """What each change tells, where Alertmanager mutes; ``lately`` are alerts that were told and ended.

    ``states`` are those before the changes, ``rules`` those in force. What comes and goes mutes nobody here, since an
    alert that is kept from people now is not posted again soon.
    """
    over, named = _Alerts(lately.values()), {rule.alert: rule for rule in rules}
    return [_posted(change, over.muting(change), states, named) for change in changes]


def ended_lately(changes: Sequence[Change], lately: Mapping[AlertKey, Past], now: float) -> dict[AlertKey, Past]:
    """``lately`` after these changes, without what fires again or ended too long ago."""
    again = {change.key for change in changes if change.transition == "fired"}
    found = {**lately, **{change.key: _past(change) for change in changes if _tells_end(change)}}
    return {key: past for key, past in found.items() if key not in again and 0 <= now - past.ended_at < LATELY_SECONDS}


def _verdict(change: Change, *, muted: bool, replaced: bool) -> Verdict:
    if change.transition == "resolved":
        return SILENT if replaced else _ended(change)
    if not _fires(change):
        return SILENT
    if muted:
        return Verdict(suppressed="muted" if change.transition else None)
    if not _holds(change):
        return SILENT
    return _STANDS if _was_told(change) and change.transition is None else Verdict("first")


def _ended(change: Change) -> Verdict:
    if _tells_end(change):
        return Verdict("resolved")
    return Verdict(suppressed="moment" if _was_told(change) else "untold")


def _posted(
    change: Change, lately: Iterable[Past], states: Mapping[AlertKey, State], named: Mapping[str, Rule]
) -> Verdict:
    verdict = _verdict(change, muted=False, replaced=False)
    if verdict.tells != "first":
        return verdict
    over = min(lately, key=_rank, default=None)
    return Verdict("lowered", over=over) if over else Verdict("first", beside=_beside(change, states, named))


def _beside(change: Change, states: Mapping[AlertKey, State], named: Mapping[str, Rule]) -> State | None:
    """The gravest alert on the same series that was told and fires, as far as we know."""
    names = change.rule.muted_by if change.rule else ()
    place = [pair for pair in change.key.labels if pair[0] == "instance"]
    standing = _Alerts(
        Standing(key, named.get(key.alertname), state)
        for key, state in (states.items() if names else ())
        # The place keeps thousands of others out of the index; all rules share it.
        if key.alertname in names and state.incident and all(pair in key.labels for pair in place)
    )
    found = min(standing.muting(change), key=_rank, default=None)
    return found.state if found else None


def _fires(change: Change) -> bool:
    return change.rule is not None and change.state is not None and change.state.phase == "firing"


def _holds(change: Change) -> bool:
    return change.state is not None and change.state.keep_since is None and change.state.unknown_since is None


def _was_told(change: Change) -> bool:
    return change.rule is not None and change.previous is not None and bool(change.previous.incident)


def _tells_end(change: Change) -> bool:
    ended = change.transition == "resolved" and _was_told(change)
    return ended and change.rule is not None and change.rule.comparison != "within"


def _past(change: Change) -> Past:
    if change.rule is None or change.previous is None:
        message = f"{change.key.alertname} has not ended"
        raise ValueError(message)
    return Past(change.key, change.rule, change.previous, change.at)


def _rank(alert: "_Alert") -> tuple[int, AlertKey]:
    return RANKS[alert.rule.severity] if alert.rule else len(RANKS), alert.key


def _picked(labels: LabelSet, names: Iterable[str]) -> tuple[str, ...]:
    """A label that a series does not have is empty text, as for Alertmanager."""
    found = dict(labels)
    return tuple(found.get(name, "") for name in names)


class _Alert(Protocol):
    @property
    def key(self) -> AlertKey: ...
    @property
    def rule(self) -> Rule | None: ...


A = TypeVar("A", bound=_Alert)


class _Alerts(Generic[A]):
    """Some of the alerts, to be found by those that they mute: thousands of each, so by the labels that count."""

    def __init__(self, alerts: Iterable[A]) -> None:
        self._named: dict[str, list[A]] = defaultdict(list)
        for alert in alerts:
            if alert.rule:
                self._named[alert.key.alertname].append(alert)
        self._indexes: dict[tuple[str, tuple[str, ...]], dict[tuple[str, ...], list[A]]] = {}

    def muting(self, change: Change) -> list[A]:
        """Those of them that mute ``change``."""
        return list(self._muting(change.key, change.rule)) if change.rule else []

    def _muting(self, key: AlertKey, rule: Rule) -> Iterator[A]:
        for name in rule.muted_by:
            # All rules of one name have one metric and meaning, so they share the same labels with another.
            other = self._named[name][0].rule if name in self._named else None
            shared = shared_labels(rule, other) if other else None
            if shared is not None:
                yield from self._index(name, shared).get(_picked(key.labels, shared), ())

    def _index(self, name: str, shared: tuple[str, ...]) -> dict[tuple[str, ...], list[A]]:
        if (name, shared) not in self._indexes:
            index: dict[tuple[str, ...], list[A]] = defaultdict(list)
            for alert in self._named[name]:
                index[_picked(alert.key.labels, shared)].append(alert)
            self._indexes[name, shared] = index
        return self._indexes[name, shared]
