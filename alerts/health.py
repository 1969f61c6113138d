"""The alerter about itself: its series, its one line of status. Pure, from numbers that others keep."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import Metric as Family

from alerts.series import Scrape
from alerts.state import AlertKey, State
from gpuwarden.catalog import ALERTER_ROWS, Metric

Values = Iterator[tuple[dict[str, str], float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the alerter knows of itself at one moment; times in Unix seconds."""

    version: str
    states: Mapping[AlertKey, State]
    scrapes: Sequence[Scrape]
    last_round_at: float | None
    round_duration: float
    decided: Mapping[str, int]
    suppressed: Mapping[str, int]
    held: Mapping[str, int]
    composed: Mapping[str, int]
    outbox: Mapping[str, int]
    oldest_waiting_at: float | None
    attempts: Mapping[str, int]


def families(health: Health) -> list[Family]:
    """The rows of the catalog that have a value."""
    built = [_family(row, health) for row in ALERTER_ROWS]
    return [family for family in built if family.samples]


def firing(states: Mapping[AlertKey, State]) -> list[AlertKey]:
    """The alerts that fire, in a fixed order."""
    return sorted(key for key, state in states.items() if state.phase == "firing")


def _family(row: Metric, health: Health) -> Family:
    name = row.name.removesuffix("_total") if row.kind == "counter" else row.name
    family = Family(name.removesuffix("_info") if row.kind == "info" else name, row.help, row.kind)
    for labels, value in _values(row.name.removeprefix("gpuwarden_alerter_"), health):
        family.add_sample(row.name, labels, value)
    return family


def _values(short: str, health: Health) -> Values:
    scalars = {
        "last_round_timestamp_seconds": health.last_round_at,
        "round_duration_seconds": health.round_duration if health.last_round_at else None,
        "outbox_oldest_timestamp_seconds": health.oldest_waiting_at,
    }
    counted = {
        "notifications_total": ("reason", health.decided),
        "notifications_suppressed_total": ("reason", health.suppressed),
        "notifications_held_total": ("reason", health.held),
        "messages_composed_total": ("kind", health.composed),
        "outbox_messages": ("state", health.outbox),
        "attempts_total": ("outcome", health.attempts),
    }
    if short == "info":
        yield {"version": health.version}, 1.0
    elif short == "alerts":
        alerts = Counter((key.alertname, state.phase) for key, state in health.states.items())
        for (alertname, phase), number in sorted(alerts.items()):
            yield {"alertname": alertname, "state": phase}, number
    elif short == "target_up":
        for scrape in health.scrapes:
            yield {"target": scrape.target}, float(scrape.error is None)
    elif short in counted:
        label, numbers = counted[short]
        for value, number in sorted(numbers.items()):
            yield {label: value}, number
    elif (value := scalars.get(short)) is not None:
        yield {}, value
