"""What a report tells, as numbers: gathered by ``tallies`` or Prometheus, and the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from alerts.report.schedule import Period


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """One card over the period, None where there was no reading; ``name`` is its model's."""

    host: str
    gpu: str
    uuid: str
    name: str = ""
    memory_ratio: float | None = None
    celsius: float | None = None
    watts: float | None = None
    utilization: float | None = None
    joules: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One model's answers over the period, times in seconds; ``what`` is its source and operation."""

    model: str
    what: str
    count: float
    p50: float | None
    p90: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What was read of cards and models; ``since`` and ``until`` are the first and last reading (Unix seconds).

    ``missing`` says in sentences what is not in it.
    """

    cards: tuple[CardFacts, ...] = ()
    models: tuple[ModelFacts, ...] = ()
    since: float | None = None
    until: float | None = None
    simulated: bool = False
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFacts:
    """The alerts that were told in the period; ``longest`` is (seconds, what) and ``firing`` names those that go on."""

    count: int = 0
    by_rule: Mapping[str, int] = field(default_factory=dict[str, int])
    longest: tuple[float, str] | None = None
    firing: tuple[str, ...] = ()
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxFacts:
    """Mails that a server took in the period, and those that wait or are given up now."""

    sent: int = 0
    waiting: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """All of it."""

    period: Period
    readings: Readings
    alerts: AlertFacts
    outbox: OutboxFacts
