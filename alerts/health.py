"""The alerter about itself, as series of the catalog. Pure, from numbers that others keep."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import Metric as Family

from alerts.attempts import Attempts
from alerts.posts import Posts
from alerts.rounds import Rounds
from alerts.state import AlertKey, State
from alerts.state_figures import StateFigures
from gpuwarden.catalog import ALERTER_ROWS, Metric

Values = Iterator[tuple[str, dict[str, str], float]]
"""The end of a sample's name, its labels, its value."""
Counted = Mapping[str, tuple[str, Mapping[str, int]]]
"""By the row's short name: its label, and the numbers by that label's value."""
Scalars = Mapping[str, float | None]
"""By the row's short name; None is absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the alerter knows of itself at one moment; times in Unix seconds, ``figures`` None while nobody can say."""

    version: str
    states: Mapping[AlertKey, State]
    decider: Rounds | Posts
    decided: Mapping[str, int]
    suppressed: Mapping[str, int]
    held: Mapping[str, int]
    composed: Mapping[str, int]
    figures: StateFigures | None
    unreadable: int
    attempts: Attempts
    heartbeats: Mapping[str, int]
    last_heartbeat_at: float | None
    reloaded_at: float
    reload_refused: bool


def families(health: Health) -> list[Family]:
    """The rows of the catalog that have a value."""
    counted, scalars = _counted(health), _scalars(health)
    built = [_family(row, health, counted, scalars) for row in ALERTER_ROWS]
    return [family for family in built if family.samples]


def firing(states: Mapping[AlertKey, State]) -> list[AlertKey]:
    """The alerts that fire, in a fixed order."""
    return sorted(key for key, state in states.items() if state.phase == "firing")


def _family(row: Metric, health: Health, counted: Counted, scalars: Scalars) -> Family:
    name = row.name.removesuffix("_total") if row.kind == "counter" else row.name
    family = Family(name.removesuffix("_info") if row.kind == "info" else name, row.help, row.kind)
    for end, labels, value in _values(row.name.removeprefix("gpuwarden_alerter_"), health, counted, scalars):
        family.add_sample(f"{row.name}{end}", labels, value)
    return family


def _values(short: str, health: Health, counted: Counted, scalars: Scalars) -> Values:
    if short == "info":
        yield "", {"version": health.version}, 1.0
    elif short == "alerts":
        alerts = Counter((key.alertname, state.phase) for key, state in health.states.items())
        for (alertname, phase), number in sorted(alerts.items()):
            yield "", {"alertname": alertname, "state": phase}, number
    elif short == "target_up":
        for scrape in health.decider.scrapes if isinstance(health.decider, Rounds) else ():
            yield "", {"target": scrape.target}, float(scrape.error is None)
    elif short == "delivery_duration_seconds":
        yield from health.attempts.durations.samples()
    elif short in counted:
        label, numbers = counted[short]
        for value, number in sorted(numbers.items()):
            yield "", {label: value}, number
    elif (value := scalars.get(short)) is not None:
        yield "", {}, value


def _counted(health: Health) -> Counted:
    """What has one label."""
    outbox = health.figures.deliveries.items() if health.figures else ()
    return {
        "notifications_total": ("reason", health.decided),
        "notifications_suppressed_total": ("reason", health.suppressed),
        "notifications_held_total": ("reason", health.held),
        "messages_composed_total": ("kind", health.composed),
        "outbox_messages": ("state", {str(state): number for state, number in outbox}),
        "attempts_total": ("outcome", {str(outcome): number for outcome, number in health.attempts.outcomes.items()}),
        "heartbeats_total": ("outcome", health.heartbeats),
    }


def _scalars(health: Health) -> Scalars:
    """What has none."""
    figures = health.figures
    return {
        **(_of_rounds(health.decider) if isinstance(health.decider, Rounds) else _of_posts(health.decider)),
        "notifications_uncomposed": figures and figures.uncomposed,
        "outbox_oldest_timestamp_seconds": figures and figures.oldest_waiting_at,
        "last_accepted_timestamp_seconds": health.attempts.accepted_at,
        "last_heartbeat_timestamp_seconds": health.last_heartbeat_at,
        "state_bytes": figures and figures.size_bytes,
        "state_used_ratio": figures and figures.used_ratio,
        "state_unreadable_rows": health.unreadable,
        "config_last_reload_successful": float(not health.reload_refused),
        "config_last_reload_success_timestamp_seconds": health.reloaded_at,
    }


def _of_rounds(rounds: Rounds) -> dict[str, float | None]:
    began = rounds.ended_at is not None
    return {
        "last_round_timestamp_seconds": rounds.ended_at,
        "round_duration_seconds": rounds.duration if began else None,
        "round_lag_seconds": rounds.lag if began else None,
        "rounds_missed_total": rounds.missed,
    }


def _of_posts(posts: Posts) -> dict[str, float | None]:
    return {
        "last_post_timestamp_seconds": posts.posted_at,
        "last_watchdog_timestamp_seconds": posts.watchdog_at,
    }
