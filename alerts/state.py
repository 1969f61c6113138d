"""What the alerter remembers of one rule on one series, from round to round and over restarts."""

from dataclasses import dataclass
from typing import Literal

from alerts.series import LabelSet

Phase = Literal["pending", "firing"]
"""An inactive rule has no state: it is forgotten."""


@dataclass(frozen=True, slots=True, order=True)
class AlertKey:
    """The identity of an alert: a rule's name and the full labels of its series, job and instance among them."""

    alertname: str
    labels: LabelSet


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Times are Unix seconds.

    ``incident`` is the id of the notification that told of it, empty while nobody was told; ``root`` that of the first
    of its thread, empty where it is the same.
    """

    phase: Phase
    active_at: float
    """When the condition was first read as true."""
    fired_at: float | None = None
    keep_since: float | None = None
    """First reading at which a firing alert's condition was false again (Prometheus: KeepFiringSince)."""
    unknown_since: float | None = None
    """First round without a reading, None while there is one."""
    about: str = ""
    """``Rule.about`` of the rule that judged it first; empty where Alertmanager judges."""
    value: float
    """The last known reading."""
    seen_at: float
    """When that was."""
    peak: float | None = None
    """The worst reading since ``active_at``."""
    incident: str = ""
    root: str = ""
    simulated: bool = False
    """Whether it fired on simulated readings; then its end is simulated too."""
    host: str = ""
    """The host's name when it fired, empty where nobody knew."""
    told_at: float = 0.0
    """When people were last told that it fires; 0 where nobody was, or nobody noted it."""
    told_to: tuple[str, ...] = ()
    """Who was told of it; empty where nobody was, or nobody noted it."""
