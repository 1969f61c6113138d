"""What is remembered of an alert that comes and goes; ``flapping`` says what follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from alerts.notify.notification import Severity
from alerts.posted_identity import find_rule, rule_from_words
from alerts.rule import Rule
from alerts.state import AlertKey, State


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was told and is over: when it fired (Unix seconds), and the first notification of its thread."""

    fired_at: float
    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An alert that flaps; times in Unix seconds, ``delay`` in seconds.

    ``told`` is the state of the run that was told as flapping, whose incident is open. It fired ``times`` times since
    ``began_at`` and is as it is since ``since``. ``severity`` is as it was told; ``summary`` and ``action`` are there
    where the rule is not ours.
    """

    told: State
    began_at: float
    times: int
    since: float
    delay: float
    severity: Severity
    summary: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flap:
    """What is remembered of an alert's ``runs``, the oldest first; ``held`` while it flaps."""

    runs: tuple[Run, ...] = ()
    held: Held | None = None


def rule_of(key: AlertKey, held: Held, rules: Sequence[Rule]) -> Rule | None:
    """The rule of an alert that flaps, as grave as it was told; None where it is gone."""
    rule = find_rule(rules, key.alertname, dict(key.labels))
    if rule is None:
        return rule_from_words(key.alertname, held.severity, held.summary, held.action) if held.summary else None
    return replace(rule, severity=held.severity)
