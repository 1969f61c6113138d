"""What people are told: a decision with everything that its mail needs, frozen when it was made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from alerts.series import LabelSet
from gpuwarden.units import Unit

Severity = Literal["critical", "warning", "info"]
RANKS: Mapping[Severity, int] = {"critical": 0, "warning": 1, "info": 2}
"""By which the gravest sorts first."""
Comparison = Literal["above", "below", "equals", "absent", "within", "older"]
AGES: frozenset[Comparison] = frozenset({"within", "older"})
"""Comparisons of how long ago a time stamp is."""
Reason = Literal["first", "repeat", "resolved", "lowered", "flapping", "report"]
"""Why a notification exists; the same word stands in the log, the metric label and the mail header.

Lowered: a graver alert on the same series is over, and this one is left of it. Flapping: it fires and ends so often
that from now on only a state that lasts is told. Report: nothing happened, but its time has come.
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """One process that held card memory when the alert was decided; empty strings where nothing is known."""

    pid: str
    process: str
    memory_bytes: float
    user: str = ""
    container: str = ""


@dataclass(frozen=True, slots=True)
class Graver:
    """The alert of which a lowered one is left; times in Unix seconds."""

    alertname: str
    severity: Severity
    started_at: float
    ended_at: float
    metric: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Where to look on: ``url`` is http or https."""

    title: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One decision to tell people.

    ``id`` is 20 characters of ``[a-z2-7]``; ``root`` is the id of the thread's first notification (its own id for the
    first). A lowered one has the ``incident`` that it ends, that of ``graver``. Times are Unix seconds: ``at`` of the
    decision, ``started_at`` of the condition's first reading. ``labels`` are the series' with the rule's own. ``value``
    is the reading that decided, None where there is none, and ``reading`` says what it is, see ``reading_words``;
    ``gone`` is an end without one, because the target answers without the series. ``suggestion`` is an override of the
    rule for this series, as YAML, where one can be given. ``host`` is the host's name, else the instance.
    ``recipients`` are mail addresses and ``command:NAME``. ``peak`` is the worst reading since ``started_at``,
    ``trend`` says in words where the readings go, ``flaps`` how often it fired since ``flaps_since`` where that is
    news; it has been as it is for ``lasting`` seconds then, or, flapping, must be to be told. It is not sent before
    ``held_until``.
    """

    id: str
    incident: str
    root: str
    reason: Reason
    at: float
    started_at: float
    alertname: str
    severity: Severity
    labels: LabelSet
    metric: str
    unit: Unit
    comparison: Comparison
    threshold: float
    value: float | None
    summary: str
    action: str
    host: str
    recipients: tuple[str, ...]
    holders: tuple[Holder, ...] = ()
    simulated: bool = False
    reading: str = ""
    graver: Graver | None = None
    gone: bool = False
    suggestion: str = ""
    peak: float | None = None
    trend: str = ""
    links: tuple[Link, ...] = ()
    flaps: int = 0
    flaps_since: float = 0.0
    lasting: float = 0.0
    held_until: float = 0.0
