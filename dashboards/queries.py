"""The wall's PromQL: what is missing gets a value of its own, because an empty place on a wall looks like peace.

Identity is ``job, instance`` and the series' own labels. A card's query starts from every card that was seen lately, so
that all panels show the cards in the same order, and gives each one its reading or a number that no sensor delivers:

- ``UNSUPPORTED``: the card answers and has no such reading;
- ``LOST``: ``gpu_up`` is 0;
- ``SILENT``: its exporter cannot be scraped (``up`` is 0), but the card was there within ``REMEMBERED``;
- ``NOTHING``: there is not even a card.

The panels map these numbers to words. ``gpu_info`` and ``host_info`` are joined so that without them only the name
is missing.
"""

from alerts.promql import WATCHDOG, selected, selector
from dashboards.cells import Cell, Scope

UNSUPPORTED, LOST, SILENT, NOTHING = -1001, -1002, -1003, -1004
REMEMBERED = "6h"

_CARD, HOST = "job, instance, gpu, uuid", "job, instance"
CARD_LEGEND = "{{hostname}} GPU {{gpu}}"
FULL_CARD_LEGEND = "{{hostname}} GPU {{gpu}} {{name}}"


def _within(series: str, window: str) -> str:
    return f"last_over_time({series}[{window}])" if window else series


def select(metric: str, cell: Cell, window: str = "") -> str:
    """The series of ``metric`` that belong to the cell; with ``window`` also those last seen within it."""
    inside = _within(selector(metric, cell.where), window)
    return selected([inside, *(_scope(metric, scope, window) for scope in cell.outside)])


def _scope(metric: str, scope: Scope, window: str) -> str:
    return selected([_within(selector(metric, where), window) for where in (scope.where, *scope.unless)])


def _with_name(expression: str, window: str = "") -> str:
    info, up = _within("gpu_info", window), _within("gpu_up", window)
    names = f"topk by ({_CARD}) (1, {info}) or on ({_CARD}) {up}"
    return f"{expression} + on ({_CARD}) group_left (name) 0 * ({names})"


def _hosts(window: str = "") -> str:
    instance = f'max by ({HOST}, hostname) (label_replace(up, "hostname", "$1", "instance", "(.+)"))'
    return f"0 * (topk by ({HOST}) (1, {_within('host_info', window)}) or on ({HOST}) {instance})"


def with_host(expression: str, window: str = "") -> str:
    """The series with the names of their hosts as the label ``hostname``."""
    return f"{expression} + on ({HOST}) group_left (hostname) {_hosts(window)}"


def cards(reading: str, cell: Cell) -> str:
    """One number for each known card of the cell: ``reading``, an expression by card, or why there is none."""
    up, seen = select("gpu_up", cell), select("gpu_up", cell, REMEMBERED)
    value = (
        f"(({reading}) unless on ({_CARD}) {up} == 0)"
        f" or on ({_CARD}) ({up} + {LOST})"
        f" or on ({_CARD}) (0 * {seen} + {SILENT} and on ({HOST}) up == 0)"
    )
    known = f"(0 * {seen} + on ({_CARD}) ({value}))"
    return with_host(_with_name(known, REMEMBERED), REMEMBERED)


def or_nothing(expression: str) -> str:
    """``expression``, or ``NOTHING`` where it has no series at all."""
    return f"{expression} or on () vector({NOTHING})"


def power_over_limit() -> str:
    """Power drawn over the limit in force, by card."""
    return "gpu_power_watts / gpu_power_limit_watts"


def card_history(metric: str) -> str:
    """A metric of the cards over time, with names; a gap stays a gap."""
    return with_host(_with_name(metric))


def hosts(metric: str, cell: Cell) -> str:
    """The highest series of the metric on each host of the cell, or ``SILENT``."""
    current = f"topk by ({HOST}) (1, {select(metric, cell)})"
    seen = f"topk by ({HOST}) (1, {select(metric, cell, REMEMBERED)})"
    value = f"({current} or on ({HOST}) (0 * {seen} + {SILENT} and on ({HOST}) up == 0))"
    return with_host(value, REMEMBERED)


_FIRING = f'ALERTS{{alertstate="firing", alertname!="{WATCHDOG}"'
_JUDGED = f'0 * max(ALERTS{{alertstate="firing", alertname="{WATCHDOG}"}})'


def alert_count() -> str:
    """How many alerts fire; 0 only while the rules are known to be judged, else ``NOTHING``."""
    return f"count({_FIRING}}}) or on () {_JUDGED} or on () vector({NOTHING})"


def worst_alerts(most: int) -> str:
    """The gravest alerts as 3 critical, 2 warning, 1 other; the labels ``at`` and ``hostname`` say where."""
    ranked = (
        f'(3 * {_FIRING}, severity="critical"}} or 2 * {_FIRING}, severity="warning"}}'
        f' or 1 * {_FIRING}, severity!~"critical|warning"}})'
    )
    named = (
        f"(({ranked} and on ({HOST}) {_hosts()}) + on ({HOST}) group_left (hostname) {_hosts()}"
        f" or ({ranked} unless on ({HOST}) {_hosts()}))"
    )
    for text, label in ((" GPU $1", "gpu"), (" $1", "mountpoint")):
        named = f'label_replace({named}, "at", "{text}", "{label}", "(.+)")'
    return f"topk({most}, {named}) or on () {_JUDGED} or on () vector({NOTHING})"


ALERT_LEGEND = "{{alertname}}{{at}} {{hostname}}"


def targets_down() -> str:
    """How many targets cannot be scraped; ``NOTHING`` while there is no target."""
    return f"count(up == 0) or on () 0 * count(up) or on () vector({NOTHING})"


def _with_silent(metric: str) -> str:
    """The series of every exporter, of one that is away the last ones."""
    return f"{metric} or ({_within(metric, REMEMBERED)} and on ({HOST}) up == 0)"


def data_age() -> str:
    """Seconds since the source that is furthest behind last delivered, on any host; grows while an exporter is away."""
    stamps = _with_silent("gpuwarden_exporter_source_last_success_timestamp_seconds")
    return or_nothing(f"ceil(clamp_min(max(time() - ({stamps})), 0))")


def simulated_share() -> str:
    """Which share of the exporters plays a simulation: 0 none, 1 all."""
    return or_nothing(f"avg({_with_silent('gpuwarden_exporter_simulated')})")
