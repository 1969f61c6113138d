"""Who is told: pure, from the alert's labels and from who was told before.

A route means the alerts whose labels satisfy its matchers. The labels are those that the alert has under Prometheus,
``alertname`` and ``severity`` among them. The first route that means an alert says who is told; where it goes on, so
does the next. An alert that no route means is told to those of ``alerter.mail.to``.

===========  ==================================================================================
told as      to whom
===========  ==================================================================================
first        whom the routes say now
flapping     whom the routes say now
repeat       those who were told of the incident
resolved     those who were told of the incident
lowered      those who were told of the graver alert; also whom the routes say of this one, if
             nobody was told of it yet
===========  ==================================================================================

Who was told stands in the alert's state (``State.told_to``). Of a state that does not say, the routes decide.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from alerts.alert_labels import in_alert
from alerts.judge import Change
from alerts.mail_settings import bare_address
from alerts.matchers import Matcher, matches
from alerts.notify.mute import Verdict
from alerts.rule import Rule
from alerts.state import AlertKey, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Who is told of the alerts that satisfy ``where``; ``repeat`` is in seconds, None where the severity decides."""

    where: tuple[Matcher, ...] = ()
    recipients: tuple[str, ...]
    repeat: float | None = None
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Routes:
    """All routes in their order, and who is told of an alert that none of them means."""

    routes: tuple[Route, ...]
    otherwise: tuple[str, ...]

    def of(self, key: AlertKey, rule: Rule) -> tuple[Route, ...]:
        """The routes that an alert of ``rule`` takes."""
        if not self.routes:
            return ()
        labels = {**in_alert(rule, key.labels), "alertname": key.alertname}
        return tuple(_taken(route for route in self.routes if matches(route.where, labels)))

    def recipients(self, key: AlertKey, rule: Rule) -> tuple[str, ...]:
        """Who is told of an alert of ``rule`` that is news."""
        taken = self.of(key, rule)
        return _each_once(name for route in taken for name in route.recipients) if taken else self.otherwise

    def repeat(self, key: AlertKey, rule: Rule) -> float | None:
        """After how many seconds it is told again; None where its severity decides, 0 for never."""
        return next((route.repeat for route in self.of(key, rule) if route.repeat is not None), None)

    def routed(self, change: Change, verdict: Verdict) -> Verdict:
        """The verdict with who is told, where anybody is."""
        rule = change.rule
        if rule is None or verdict.tells is None:
            return verdict
        if verdict.tells == "lowered" and verdict.over:
            is_news = change.state is None or not change.state.incident
            known = verdict.over.state.told_to or self.recipients(verdict.over.key, verdict.over.rule)
            return replace(verdict, to=_each_once((*known, *(self.recipients(change.key, rule) if is_news else ()))))
        before = _told_before(change, verdict)
        return replace(verdict, to=before.told_to if before and before.told_to else self.recipients(change.key, rule))


def _told_before(change: Change, verdict: Verdict) -> State | None:
    """The state of the incident that goes on or ends."""
    if verdict.tells == "resolved":
        return change.previous
    return change.state if verdict.tells == "repeat" else None


def _taken(meant: Iterable[Route]) -> Iterator[Route]:
    for route in meant:
        yield route
        if not route.goes_on:
            return


def _each_once(recipients: Iterable[str]) -> tuple[str, ...]:
    """A person who is named twice, however the name is written, gets one mail."""
    found: dict[str, str] = {}
    for recipient in recipients:
        found.setdefault(bare_address(recipient).lower(), recipient)
    return tuple(found.values())
