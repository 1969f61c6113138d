"""Alerts that come and go: told once as such, then only what lasts. Pure, from what is remembered of their runs.

A run that was told and is over is remembered for the window (``settings.within``). With the ``count``-th run in a
window the alert **flaps**: that run is told as ``flapping``, in the thread of the first of them, and nothing after it
until the alert has kept one state for the delay. What happens meanwhile:

====================  ==========================================================================
the alert             what follows
====================  ==========================================================================
fires                 nothing (``flapping``); it goes on under the incident that was told
ends                  nothing (``flapping``)
does either           the delay begins anew, twice as long, up to ``longest``
is over for so long   resolved, with how often it fired; it flaps no more (1, 2)
fires for so long     repeat, likewise (3)
is taken away         nothing; it is forgotten with its rule or target
====================  ==========================================================================

1. Nobody posts or reads that an alert is still over, so ``settled`` makes a change of it; the ladder weighs that like
   any other, so a lesser alert that is left may be told as lowered in its place. While it flaps it counts as firing
   there, so that nobody is told of the lesser one at each turn.
2. While its target does not answer, or its condition is true again and waits for its ``for``, that is not known. Nor
   behind Alertmanager, which posts nothing of what is silenced: where it can be asked, it is (``reconcile``).
3. Where it stands (``mute``). One that is muted, held or unknown waits on.

What is remembered is written in the transaction of the states, so a restart changes nothing; time that passed meanwhile
counts. Stamps in the future, from a clock that was set back, become now.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from alerts.history import History
from alerts.judge import Change
from alerts.notify.flap import Flap, Held, Run, rule_of
from alerts.notify.mute import Flapped, Standing, Verdict
from alerts.notify_settings import FlappingSettings
from alerts.readings import readings
from alerts.rule import Rule
from alerts.series import Scrape
from alerts.state import AlertKey, State

MOST_REMEMBERED = 10_000
"""Alerts of which runs are remembered; those beyond are told each time."""

_NOTHING_KEPT = History()


@dataclass(frozen=True, slots=True)
class Flapping:
    """What is remembered, as it is seen at ``now`` (Unix seconds)."""

    settings: FlappingSettings
    flaps: Mapping[AlertKey, Flap]
    now: float

    @property
    def due(self) -> dict[AlertKey, Held]:
        """The alerts that have kept their state for long enough, as far as is known."""
        return {key: flap.held for key, flap in self.flaps.items() if flap.held and self._is_due(flap.held)}

    def settled(
        self,
        changes: Iterable[Change],
        states: Mapping[AlertKey, State],
        rules: Sequence[Rule],
        scrapes: Iterable[Scrape],
        confirmed: Collection[AlertKey] | None = None,
    ) -> list[Change]:
        """Changes of the alerts that have kept their state for long enough and are not among ``changes``.

        Only those that are ``confirmed`` to be as they were, where somebody can be asked about that.
        """
        due = {key: held for key, held in self.due.items() if confirmed is None or key in confirmed}
        if not due:
            return []
        changed = {change.key for change in changes}
        visits = {(scrape.job, scrape.instance): scrape for scrape in scrapes}
        found: list[Change] = []
        for key, held in due.items():
            labels = dict(key.labels)
            visit = visits.get((labels.get("job", ""), labels.get("instance", "")))
            if key not in changed and not (visit and visit.error):
                # Where targets were visited and not its own, that was taken away, and its rule means nothing any more.
                rule = None if visits and visit is None else rule_of(key, held, rules)
                found.append(self._calm(key, held, states.get(key), rule, visit))
        return found

    def _calm(self, key: AlertKey, held: Held, state: State | None, rule: Rule | None, visit: Scrape | None) -> Change:
        return Change(
            rule=rule,
            key=key,
            previous=state or held.told,
            state=state,
            transition=None if state or rule is None else "resolved",
            reason="calm",
            value=None if state or rule is None else _last(rule, key, visit, self.now),
            at=self.now,
        )

    def standing(self, rules: Sequence[Rule], ending: Collection[AlertKey]) -> Iterator[Standing]:
        """The alerts that flap and do not end now: they mute like those that fire."""
        for key, flap in self.flaps.items():
            if flap.held and key not in ending:
                yield Standing(key, rule_of(key, flap.held, rules), flap.held.told)

    def weighed(self, change: Change, verdict: Verdict) -> tuple[Change, Verdict]:
        """What the change tells; an alert that flaps carries its incident on into the next run."""
        flap, verdict = self.flaps.get(change.key), self._instead(verdict)
        if flap and flap.held:
            return self._held(change, verdict, flap.held)
        runs = self._runs(change)
        if verdict.tells != "first" or not runs or not 0 < self.settings.count <= len(runs) + 1:
            return change, verdict
        flapped = Flapped(len(runs) + 1, runs[0].fired_at, self.settings.delay, runs[0].root)
        return change, replace(verdict, tells="flapping", beside=None, flapped=flapped)

    def _instead(self, verdict: Verdict) -> Verdict:
        """The verdict, where it may take the place of the end of a graver alert that flaps."""
        over = verdict.over
        flap = self.flaps.get(over.key) if over else None
        if over is None or flap is None or flap.held is None:
            return verdict
        if over.ended_at < self.now:
            # Behind Alertmanager the lesser alert comes by itself, while the graver one is not called over yet.
            return replace(verdict, tells="first", over=None, beside=flap.held.told)
        state = replace(over.state, active_at=flap.held.began_at)
        return replace(verdict, over=replace(over, state=state, ended_at=flap.held.since))

    def _held(self, change: Change, verdict: Verdict, held: Held) -> tuple[Change, Verdict]:
        if _turns(change):
            change = replace(change, state=_carried(change.state, held.told)) if change.state else change
            if verdict.tells == "lowered":  # the end of another incident, which nothing else tells
                return change, verdict
            return change, Verdict(suppressed=verdict.suppressed or "flapping")
        if not self._is_due(held):
            return change, replace(verdict, stands=False)
        flapped = Flapped(held.times, held.began_at, max(0.0, self.now - held.since))
        if verdict.stands:
            return change, replace(verdict, tells="repeat", flapped=flapped)
        return change, replace(verdict, flapped=flapped) if verdict.tells else verdict

    def noted(self, changes: Sequence[Change], verdicts: Sequence[Verdict]) -> dict[AlertKey, Flap | None]:
        """What is to be remembered differently after what was told, None for what is to be forgotten."""
        noted = {key: after for key, flap in self.flaps.items() if (after := self._aged(flap)) != flap}
        for change, verdict in zip(changes, verdicts, strict=True):
            flap = self.flaps.get(change.key)
            if verdict.tells == "flapping" and verdict.flapped and change.rule and change.state:
                noted[change.key] = Flap(held=self._begun(change.rule, change.state, verdict.flapped))
            elif flap and flap.held:
                after = self._after(flap.held, change, verdict)
                if after != flap.held:
                    noted[change.key] = Flap(held=after) if after else None
            elif _run_over(change) and (flap or len(self.flaps) + len(noted) < MOST_REMEMBERED):
                runs = self._runs(change) if self.settings.count else ()
                noted |= {change.key: Flap(runs=runs[-self.settings.count :])} if runs else {}
        return noted

    def _begun(self, rule: Rule, state: State, flapped: Flapped) -> Held:
        foreign = not rule.metric and not rule.expr
        return Held(
            told=state,
            began_at=flapped.began_at,
            times=flapped.times,
            since=self.now,
            delay=self.settings.delay,
            severity=rule.severity,
            summary=rule.summary if foreign else "",
            action=rule.action if foreign else "",
        )

    def _after(self, held: Held, change: Change, verdict: Verdict) -> Held | None:
        if _turns(change):
            delay = max(self.settings.delay, min(2 * held.delay, self.settings.longest))
            times = held.times + (change.transition == "fired")
            return replace(held, since=self.now, delay=delay, times=times)
        ended = change.state is None and change.previous is not None and change.previous.phase == "firing"
        told = verdict.tells is not None and self._is_due(held)
        return None if ended or told or change.rule is None else replace(held, since=min(held.since, self.now))

    def _aged(self, flap: Flap) -> Flap | None:
        if flap.held:
            held = replace(flap.held, since=min(flap.held.since, self.now))
            return replace(flap, held=held)
        runs = self._lately(flap.runs)
        return replace(flap, runs=runs) if runs else None

    def _runs(self, change: Change) -> tuple[Run, ...]:
        """The runs of its alert in the window, with the one that it ends."""
        flap, run = self.flaps.get(change.key), _run_over(change)
        return self._lately((*(flap.runs if flap else ()), *((run,) if run else ())))

    def _lately(self, runs: Iterable[Run]) -> tuple[Run, ...]:
        """Those of the window."""
        known = (replace(run, fired_at=min(run.fired_at, self.now)) for run in runs)
        return tuple(run for run in known if run.fired_at > self.now - self.settings.within)

    def _is_due(self, held: Held) -> bool:
        """Whether it has kept its state for long enough; where nothing flaps any more, at once."""
        return not self.settings.count or self.now - held.since >= held.delay


def _carried(state: State, told: State) -> State:
    """The state of a new run under the incident that was told."""
    return replace(state, incident=told.incident, root=told.root, told_at=told.told_at, told_to=told.told_to)


def _turns(change: Change) -> bool:
    return change.transition is not None and change.reason != "calm"


def _run_over(change: Change) -> Run | None:
    """The run that this change ends, if it was told."""
    before = change.previous
    if change.transition is None or before is None or before.phase != "firing" or not before.incident:
        return None
    fired_at = before.active_at if before.fired_at is None else before.fired_at
    return Run(fired_at, before.root or before.incident)


def _last(rule: Rule, key: AlertKey, visit: Scrape | None, now: float) -> float | None:
    """What the rule compares now, where that needs no history."""
    if visit is None or rule.window:
        return None
    return readings(rule, [visit], _NOTHING_KEPT, now).get(key.labels)
