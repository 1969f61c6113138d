"""Who is told what, and how often: one step after the other, each pure.

1. **ladder** (``mute``): what each change tells, from the severity ladder alone.
2. **silence**: what people do not want to hear of is told nobody.
3. **flapping**: what comes and goes is told as such, then only what lasts.
4. **repeat**: what still fires is told again after a while.
5. **routes**: who is told.

Each step takes a change with its verdict and may tell something else, or nothing. A step that keeps an alert quiet also
takes its ``stands`` away, so that no later step tells it after all. What is not told has a named reason
(``mute.SUPPRESSED``), unless nothing is new.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from alerts.judge import Change
from alerts.notify.flap import Flap
from alerts.notify.flapping import Flapping
from alerts.notify.mute import Standing, Verdict
from alerts.notify.repeat import repeated
from alerts.notify.routes import Route, Routes
from alerts.notify.silence import Silence, silenced
from alerts.notify_settings import NotifySettings
from alerts.rule import Rule
from alerts.series import Scrape
from alerts.state import AlertKey, State

Ladder = Callable[[Sequence[Change], Sequence[Standing]], Sequence[Verdict]]
"""What each of the changes tells, where the others count as firing too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is remembered and in force when something is decided, and what it is decided on.

    ``recipients`` are told of what no route means; ``now`` is in Unix seconds. Of what came and went, ``confirmed`` is
    known to be as it was, None where nobody can be asked.
    """

    states: Mapping[AlertKey, State]
    flaps: Mapping[AlertKey, Flap]
    silences: Sequence[Silence] = ()
    rules: Sequence[Rule]
    scrapes: Sequence[Scrape]
    recipients: tuple[str, ...]
    confirmed: Collection[AlertKey] | None = None
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the settings say of who is told what.

    ``repeats_early`` is how many seconds before its time a repeat may come.
    """

    notify: NotifySettings = field(default_factory=NotifySettings)
    repeats_early: float = 0.0
    routes: tuple[Route, ...] = ()

    @property
    def shortest_repeat(self) -> float | None:
        """After how many seconds anybody may be told again, None where nobody is."""
        spans = (*self.notify.repeat.by_severity.values(), *(route.repeat or 0.0 for route in self.routes))
        return min((span for span in spans if span > 0), default=None)

    def decide(self, changes: Sequence[Change], ladder: Ladder, known: Known) -> tuple[list[Change], list[Verdict]]:
        """All changes, those of what has calmed down among them, and what each tells."""
        flapping = Flapping(self.notify.flapping, known.flaps, known.now)
        calm = flapping.settled(changes, known.states, known.rules, known.scrapes, known.confirmed)
        every = [*changes, *calm]
        standing = [*flapping.standing(known.rules, {change.key for change in calm})]
        verdicts = silenced(every, ladder(every, standing), known.silences, known.now)
        found = list(zip(every, verdicts, strict=True))
        found = [flapping.weighed(*pair) for pair in found]
        routes = Routes(self.routes, known.recipients)
        span_of = partial(self._repeat, routes)
        found = [repeated(*pair, span_of, known.now, early=self.repeats_early) for pair in found]
        return [change for change, _ in found], [routes.routed(change, verdict) for change, verdict in found]

    def noted(
        self, changes: Sequence[Change], verdicts: Sequence[Verdict], known: Known
    ) -> dict[AlertKey, Flap | None]:
        """How what is remembered of flapping differs after what was told; None for what is to be forgotten."""
        return Flapping(self.notify.flapping, known.flaps, known.now).noted(changes, verdicts)

    def _repeat(self, routes: Routes, change: Change) -> float:
        """After how many seconds an alert is told again."""
        if change.rule is None:
            return 0.0
        span = routes.repeat(change.key, change.rule)
        return self.notify.repeat.by_severity[change.rule.severity] if span is None else span
