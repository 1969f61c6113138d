"""The wall: one screen of 1920 x 1080 that is read from five metres, for up to eight cards or a handful of hosts.

From top to bottom: is this real, does something fire, can everything be seen; then a table with a column for each card
and a row for each reading; then the way here, and the hosts. Colour means that a rule's number is passed or that
something is gone; the tile says in a word what.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from alerts.rules import Rule
from dashboards import queries
from dashboards.cells import divide
from dashboards.grid import Band, Box, stack
from dashboards.palette import BY_SEVERITY, CALM, CRITICAL, SILENT, SIMULATED
from dashboards.panels import DATASOURCE_VARIABLE, Panel, Query, Tiles, Word, chart, core, heading, tiles
from dashboards.readings import card_chart, card_tiles, host_tiles, power_tiles
from dashboards.thresholds import Step, rules_for

UID = "gpuwarden-wall"
MOST_ALERTS = 3

_HEAD = Band(4, (4, 3, 11, 3, 3))
_NAMES = Band(2, (3, 21))
_ROW = Band(3, (3, 21))
_FOOT = Band(6, (10, 5, 3, 3, 3))

_ROWS = (
    ("gpu_memory_used_ratio", "Memory", "used"),
    ("gpu_utilization_ratio", "Load", "of the time"),
    ("gpu_temperature_celsius", "Temp.", "GPU core"),
    ("gpu_temperature_margin_celsius", "Margin", "to slowdown"),
)
_HOSTS = (
    ("host_cpu_utilization_ratio", "CPU {{hostname}}"),
    ("host_memory_used_ratio", "RAM {{hostname}}"),
    ("host_filesystem_used_ratio", "{{mountpoint}} {{hostname}}"),
)


def wall(rules: Sequence[Rule]) -> Any:
    """The wall as a grafanalib ``Dashboard``; colours and lines are those of ``rules``."""
    head, names, *rows, foot = stack((_HEAD, _NAMES, *(_ROW,) * (len(_ROWS) + 1), _FOOT))
    return core.Dashboard(
        title="GPU wall",
        description="Every card, every host and what is firing; generated from the catalog and the rules in force.",
        uid=UID,
        tags=["gpuwarden"],
        panels=[*_head(head, rules), *_cards(names, rows, rules), *_foot(foot, rules)],
        templating=core.Templating(list=[DATASOURCE_VARIABLE]),
        time=core.Time("now-30m", "now"),
        refresh="5s",
        timezone="browser",
        editable=False,
    )


def _head(boxes: Sequence[Box], rules: Sequence[Rule]) -> list[Panel]:
    shown = (origin(), _alert_count(), _alerts(), _targets(), _age(rules))
    return [tiles(box, spec) for box, spec in zip(boxes, shown, strict=True)]


def origin() -> Tiles:
    """Whether what is shown is real."""
    return Tiles(
        description="Whether the exporters read real cards (gpuwarden_exporter_simulated).",
        queries=(Query(queries.simulated_share(), "readings"),),
        unit="count",
        words=(
            Word("REAL", CALM, 0),
            Word("SIMULATED", SIMULATED, 1),
            Word("UNKNOWN", SILENT, queries.NOTHING),
            Word("PARTLY SIMULATED", SIMULATED, 1e-9, 1 - 1e-9),
        ),
    )


def _alert_count() -> Tiles:
    """The number without a colour: how grave they are is said by the alerts beside it."""
    return Tiles(
        description="Alerts that fire. Unknown while the Watchdog alert is missing: then nobody judges the rules.",
        queries=(Query(queries.alert_count(), "alerts firing"),),
        unit="count",
        words=(Word("UNKNOWN", SILENT, queries.NOTHING),),
    )


def _alerts() -> Tiles:
    return Tiles(
        description="The gravest alerts that fire, with their severity.",
        queries=(Query(queries.worst_alerts(MOST_ALERTS), queries.ALERT_LEGEND),),
        unit="count",
        layout="lines",
        title_size=28,
        value_size=34,
        words=(
            Word("NOTHING FIRES", CALM, 0),
            Word("INFO", BY_SEVERITY["info"], 1),
            Word("WARNING", BY_SEVERITY["warning"], 2),
            Word("CRITICAL", CRITICAL, 3),
            Word("ALERTS UNKNOWN", SILENT, queries.NOTHING),
        ),
    )


def _targets() -> Tiles:
    return Tiles(
        description="Targets that Prometheus cannot scrape (up).",
        queries=(Query(queries.targets_down(), "targets down"),),
        unit="count",
        steps=(Step(None, CALM), Step(1, CRITICAL)),
        words=(Word("NO TARGET", SILENT, queries.NOTHING),),
    )


def _age(rules: Sequence[Rule]) -> Tiles:
    """Silence is fine for as long as the rules on ``up`` wait before they fire."""
    patience = min((rule.for_ for rule in rules_for(rules, "up") if rule.comparison == "equals"), default=None)
    late = () if patience is None else (Step(patience, CRITICAL),)
    return Tiles(
        description="Time since the source that is furthest behind last delivered, on any host.",
        queries=(Query(queries.data_age(), "data age"),),
        unit="seconds",
        steps=(Step(None, CALM), *late),
        words=(Word("UNKNOWN", SILENT, queries.NOTHING),),
    )


def _cards(names: Sequence[Box], rows: Sequence[Sequence[Box]], rules: Sequence[Rule]) -> list[Panel]:
    """A table: each card's name above its readings.

    Tiles stand query by query, so all rows divide the cards alike, by the rules of all of them.
    """
    parts = divide(rules, "gpu_up", *(metric for metric, _, _ in _ROWS))
    made = [heading(names[0], "", "Host and card"), tiles(names[1], card_tiles("gpu_up", parts, rules, "name"))]
    for (left, right), (metric, word, small) in zip(rows, _ROWS, strict=False):
        made += [heading(left, word, small), tiles(right, card_tiles(metric, parts, rules))]
    left, right = rows[-1]
    return [*made, heading(left, "Power", "of its limit"), tiles(right, power_tiles(parts))]


def _foot(boxes: Sequence[Box], rules: Sequence[Rule]) -> list[Panel]:
    memory = card_chart("gpu_memory_used_ratio", "GPU memory used, and its limits", rules, lowest=0, highest=1)
    margin = card_chart("gpu_temperature_margin_celsius", "Margin to slowdown, and its limits", rules, lowest=0)
    margin = replace(margin, legend="none")  # its lines have the colours of the chart beside it
    hosts = [host_tiles(metric, legend, rules) for metric, legend in _HOSTS]
    return [
        *(chart(box, spec) for box, spec in zip(boxes, (memory, margin), strict=False)),
        *(tiles(box, spec) for box, spec in zip(boxes[2:], hosts, strict=True)),
    ]
