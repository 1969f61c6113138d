"""From what was read to what the page says: pure, no clock, no markup.

What is wrong comes first and in words: alerts, cards that do not answer or are missing, sources that give nothing.
Where nothing is known, that is said; it never reads as "all is well".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exporter.latency.observations import Observed
from exporter.snapshot import Snapshot, SourceHealth
from exporter.status.alerts import NO_SOURCE, Alerts
from exporter.status.cards import card, level_of, own_sources
from exporter.status.latencies import models
from exporter.status.machine import host_bars, host_facts
from exporter.status.model import Level, Note, Source, Status, worst
from exporter.status.words import ago, counted
from gpuwarden.units import format_timestamp, format_value

_NOT_YET = "not read yet"
"""What the sampler says of a source in its first moments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Everything that a page is made from; ``now`` in Unix seconds, the snapshot without what has expired."""

    snapshot: Snapshot
    observed: tuple[Observed, ...] = ()
    alerts: Alerts = NO_SOURCE
    version: str
    now: float


def view(known: Known) -> Status:
    """The page."""
    snapshot, now = known.snapshot, known.now
    firing = [alert for alert in known.alerts.listed or () if alert.firing]
    cards = tuple(card(gpu, firing, snapshot.sources, now) for gpu in snapshot.gpus)
    troubles = tuple(_troubles(snapshot))
    verdict = tuple(_verdict(snapshot, known.alerts))
    level = worst([*(note.level for note in (*verdict, *troubles)), *(item.level for item in cards)])
    machine = (snapshot.host.info.get("hostname", "") if snapshot.host else "") or "this machine"
    loud = "; ".join(note.text for note in verdict if note.level)
    return Status(
        title=f"{loud} - {machine}" if loud else f"{machine} - gpuwarden",
        machine=machine,
        verdict=verdict,
        level=level,
        simulated=snapshot.simulated,
        as_of=format_timestamp(now),
        version=known.version,
        alerts=known.alerts,
        troubles=troubles,
        cards=cards,
        host=host_bars(snapshot.host) if snapshot.host else (),
        host_facts=host_facts(snapshot.host, now) if snapshot.host else (),
        models=models(known.observed, now),
        age=_age(snapshot.sources, now),
        sources=tuple(_source(health, now) for health in snapshot.sources),
    )


def _verdict(snapshot: Snapshot, alerts: Alerts) -> Iterator[Note]:
    """The few words that are read from afar."""
    answering, found = sum(gpu.up for gpu in snapshot.gpus), len(snapshot.gpus)
    expected = max(found, snapshot.gpus_expected or 0)
    if not expected:
        yield Note("no card is known")
    elif answering < expected:
        yield Note(f"{answering} of {counted(expected, 'card')} {_verb(answering, 'answers', 'answer')}", "critical")
    else:
        yield Note(f"{counted(answering, 'card')} {_verb(answering, 'answers', 'answer')}")
    if alerts.source and alerts.listed is None:
        yield Note("alerts unknown", "warning")
    elif alerts.listed is not None:
        firing = [alert for alert in alerts.listed if alert.firing]
        level: Level = worst([level_of(alert) for alert in firing])
        count = len(firing) + alerts.more_firing
        yield Note(f"{counted(count, 'alert') if count else 'no alert'} {_verb(count, 'fires', 'fire')}", level)


def _verb(number: int, one: str, many: str) -> str:
    return one if number <= 1 else many


def _troubles(snapshot: Snapshot) -> Iterator[Note]:
    """What is missing, and what each source has to say of itself."""
    expected, found = snapshot.gpus_expected or 0, len(snapshot.gpus)
    if expected > found:
        yield Note(f"{expected - found} of {counted(expected, 'expected card')} cannot be found", "critical")
    told = {name for gpu in snapshot.gpus if not gpu.up for name in own_sources(gpu)}  # on the card itself
    for health in snapshot.sources:
        if health.source in told:
            continue
        if not health.up and health.succeeded_at is None and health.detail == _NOT_YET:
            yield Note(f"{health.source}: {health.detail}")
        elif health.detail or not health.up:
            yield Note(f"{health.source}: {health.detail or 'gives no readings'}", "" if health.up else "warning")
    if not snapshot.sources:
        yield Note("Nothing has been read yet")


def _source(health: SourceHealth, now: float) -> Source:
    took = f", took {format_value(health.duration_seconds, 'seconds')}" if health.up else ""
    if health.succeeded_at is None:
        return Source(health.source, health.detail or "no reading yet", "never read", "" if health.up else "warning")
    age = f"read {ago(now - health.succeeded_at)}{took}"
    state = health.detail or ("well" if health.up else "gives no readings")
    return Source(health.source, state, age, "" if health.up else "warning")


def _age(sources: Sequence[SourceHealth], now: float) -> str:
    """The oldest reading in one line, and whose it is."""
    never = [health.source for health in sources if health.succeeded_at is None]
    ages = {health.source: now - health.succeeded_at for health in sources if health.succeeded_at is not None}
    if never or not ages:
        return f"{', '.join(never)} never read" if never else "nothing is read"
    oldest = max(ages, key=ages.__getitem__)
    return f"{oldest} read {ago(ages[oldest])}" + (", the others since" if len(ages) > 1 else "")
