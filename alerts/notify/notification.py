"""What people are told: a decision with everything that its mail needs, frozen when it was made."""

from dataclasses import dataclass
from typing import Literal

from alerts.series import LabelSet
from gpuwarden.units import Unit

Severity = Literal["critical", "warning", "info"]
Comparison = Literal["above", "below", "equals", "absent", "within", "older"]
Reason = Literal["first", "resolved"]
"""Why a notification exists; the same word stands in the log, the metric label and the mail header."""


@dataclass(frozen=True, slots=True)
class Holder:
    """One process that held card memory when the alert was decided; empty strings where nothing is known."""

    pid: str
    process: str
    memory_bytes: float
    user: str = ""
    container: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One decision to tell people.

    ``id`` is 20 characters of ``[a-z2-7]``; ``root`` is the id of the incident's first notification (its own id for
    the first). Times are Unix seconds: ``at`` of the decision, ``started_at`` of the condition's first reading.
    ``value`` is the reading that decided, None where there is none. ``host`` is the host's name, else the instance.
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
