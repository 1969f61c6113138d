"""What the page says, in words and shares, before any markup: the view model. Every text may come from outside."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from exporter.status.alerts import Alerts

Level = Literal["", "info", "warning", "critical"]
"""How loudly something is said; the words always say it too."""

RANKS: dict[Level, int] = {"": 0, "info": 1, "warning": 2, "critical": 3}

NO_READING = "no reading"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One reading: ``value`` is read from afar, ``notes`` from near.

    ``share`` is how far it is on its way to ``limit``, 0 to 1, and ``peak`` how far it was lately; None draws nothing.
    ``peaked`` says that peak in words.
    """

    label: str
    value: str
    notes: tuple[str, ...] = ()
    share: float | None = None
    peak: float | None = None
    peaked: str = ""
    limit: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence that is not a reading."""

    text: str
    level: Level = ""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds memory: a process, what was summed up, or nobody who can be seen; ``details`` as (what, which)."""

    name: str
    held: str
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Things behind one line that can be opened; ``brief`` is what the closed line says of them."""

    title: str
    brief: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One card; with ``lost`` (in words) there is nothing but its identity."""

    index: str
    name: str
    uuid: str
    level: Level = ""
    lost: str = ""
    alerts: tuple[Note, ...] = ()
    bars: tuple[Bar, ...] = ()
    notes: tuple[Note, ...] = ()
    budgets: tuple[Bar, ...] = ()
    instances: tuple[Bar, ...] = ()
    holding: Group | None = None
    holders: tuple[Holder, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Latency:
    """One way in which a model's speed is known."""

    what: str
    p50: str
    p90: str
    source: str


@dataclass(frozen=True, slots=True)
class Model:
    """One model and everything that is known of its speed."""

    name: str
    latencies: tuple[Latency, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """One source of readings: how it fares and how old its last good reading is."""

    name: str
    state: str
    age: str
    level: Level = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The whole page."""

    title: str
    machine: str
    verdict: tuple[Note, ...]
    level: Level
    simulated: bool
    as_of: str
    version: str
    alerts: Alerts
    troubles: tuple[Note, ...]
    cards: tuple[Card, ...]
    host: tuple[Bar, ...]
    host_facts: tuple[tuple[str, str], ...]
    models: tuple[Model, ...]
    age: str
    sources: tuple[Source, ...]


def worst(levels: Iterable[Level]) -> Level:
    """The loudest of them."""
    quiet: Level = ""
    return max((quiet, *levels), key=RANKS.__getitem__)
