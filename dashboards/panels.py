"""A thin typed layer over grafanalib, whose defaults and option shapes are Grafana 7's: here they are today's.

grafanalib has no types, so it enters as ``Any`` and each function here says what comes out. What it cannot say goes
through ``extraJson``, which merges mappings and replaces lists; ``classic`` afterwards drops the keys that are dead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import grafanalib.core  # pyright: ignore[reportMissingTypeStubs] -- it has no types

from dashboards.grid import Box
from dashboards.palette import BESIDE_LINES, CALM, SERIES
from dashboards.thresholds import Step

core: Any = grafanalib.core

Panel = Any
"""One of grafanalib's panels."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
DATASOURCE_VARIABLE: Any = core.Template(
    name="datasource",
    label="Data source",
    type="datasource",
    query="prometheus",
    default="gpuwarden-prometheus",
    hide=core.HIDE_VARIABLE,
    refresh=1,
)
"""Which Prometheus: the one that our compose files provision, unless the reader picks another."""
GRAFANA_UNIT = {
    "ratio": "percentunit",
    "celsius": "celsius",
    "seconds": "s",
    "hertz": "hertz",
    "bytes": "bytes",
    "count": "none",
    "bool": "none",
}
"""Grafana's names of the catalog's units, as far as a dashboard draws them."""


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL query and the legend of its series; ``steps`` and, in a chart, ``drawn`` are of its series only."""

    expression: str
    legend: str
    steps: tuple[Step, ...] | None = None
    drawn: Literal["line", "dashes", "dots"] = "line"
    """Dashes and dots belong to a line of the same name: they are white, and not in the legend again."""


@dataclass(frozen=True, slots=True)
class Word:
    """A text and colour in place of a number, or of the numbers between two; without a text only the colour."""

    text: str | None
    color: str
    number: float
    upto: float | None = None


@dataclass(frozen=True, slots=True)
class Tiles:
    """One coloured tile for each series, with the last value; sizes are pixels, None fits the tile."""

    description: str
    queries: Sequence[Query]
    unit: str
    steps: Sequence[Step] = (Step(None, CALM),)
    words: Sequence[Word] = ()
    decimals: int = 0
    title_size: int | None = None
    value_size: int | None = None
    text: Literal["value_and_name", "value", "name"] = "value_and_name"
    layout: Literal["columns", "rows", "lines"] = "columns"
    """Side by side; one below the other; the same, each with its name beside its value."""


def tiles(box: Box, spec: Tiles) -> Panel:
    """A stat panel with tiles filled with their colour; it has no title, since 14 px cannot be read from afar."""
    sizes = {"titleSize": spec.title_size, "valueSize": spec.value_size}
    return core.Stat(
        title="",
        description=spec.description,
        dataSource=DATASOURCE,
        gridPos=_position(box),
        targets=[_target(query, place, instant=True) for place, query in enumerate(spec.queries)],
        reduceCalc="lastNotNull",
        colorMode="background_solid",
        graphMode="none",
        textMode=spec.text,
        alignment="center",
        orientation="vertical" if spec.layout == "columns" else "horizontal",
        format=GRAFANA_UNIT[spec.unit],
        decimals=spec.decimals,
        noValue="NO DATA",
        color={"mode": "thresholds"},
        mappings=_mappings(spec.words),
        maxDataPoints=None,
        transformations=_SHORTER_NAMES,
        overrides=_overrides(spec.queries),
        extraJson={
            "fieldConfig": {"defaults": {"thresholds": _thresholds(spec.steps)}},
            "options": {
                "text": {key: size for key, size in sizes.items() if size},
                "wideLayout": spec.layout == "lines",
                "showPercentChange": False,
            },
        },
    )


@dataclass(frozen=True, slots=True)
class Chart:
    """Series over time, with a line at every limit."""

    title: str
    description: str
    queries: Sequence[Query]
    unit: str
    limits: Sequence[Step]
    lowest: int | None = None
    highest: int | None = None
    legend: Literal["below", "beside", "none"] = "below"
    color_by: Literal["card", "place"] = "card"
    """A card's lines by its index, or each line by its place among the others."""
    steps: bool = False
    """Whether a value holds until the next one, as one of a run that comes now and then does."""
    decades: bool = False
    """Whether milliseconds and minutes are to be seen beside each other; such an axis has no zero."""


def chart(box: Box, spec: Chart) -> Panel:
    """A time series panel; a gap in the data is a gap in the line."""
    return core.TimeSeries(
        title=spec.title,
        description=spec.description,
        dataSource=DATASOURCE,
        gridPos=_position(box),
        targets=[_target(query, place, instant=False) for place, query in enumerate(spec.queries)],
        unit=GRAFANA_UNIT[spec.unit],
        lineInterpolation="stepAfter" if spec.steps else "linear",
        scaleDistributionType="log" if spec.decades else "linear",
        scaleDistributionLog=10,
        lineWidth=3 if spec.color_by == "card" else 2,
        showPoints="never",
        stacking={"group": "A", "mode": "none"},
        tooltipMode="multi",
        tooltipSort="desc",
        legendCalcs=[],
        thresholdsStyleMode="line",
        valueMin=spec.lowest,
        valueMax=spec.highest,
        maxDataPoints=None,
        transformations=_SHORTER_NAMES,
        overrides=[*(_COLORS_BY_INDEX if spec.color_by == "card" else ()), *_drawn(spec.queries)],
        extraJson={
            "fieldConfig": {"defaults": {"thresholds": _thresholds(spec.limits), "noValue": "NO DATA"}},
            "options": {
                "legend": {
                    "showLegend": spec.legend != "none",
                    "placement": "right" if spec.legend == "beside" else "bottom",
                }
            },
        },
    )


def heading(box: Box, text: str, small: str) -> Panel:
    """A word in large type beside the tiles that it is about, three rows high, and what it means in smaller type.

    Without the word two rows are enough.
    """
    word = f'<div style="font-size:36px;line-height:36px;font-weight:500">{text}</div>' if text else ""
    return core.Text(
        title="",
        dataSource=None,
        gridPos=_position(box),
        mode="html",
        content=f'{word}<div style="font-size:20px;line-height:24px;color:#9FA7B3">{small}</div>',
        maxDataPoints=None,
        transparent=True,
    )


_SHORTER_NAMES = [
    {"id": "renameByRegex", "options": {"regex": "(.*?)NVIDIA (?:GeForce )?(.*)", "renamePattern": "$1$2"}}
]
_COLORS_BY_INDEX = [
    {
        "matcher": {"id": "byRegexp", "options": f"/GPU {index}( |$)/"},
        "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
    }
    for index, color in enumerate(SERIES)
]


def _position(box: Box) -> Any:
    return core.GridPos(h=box.h, w=box.w, x=box.x, y=box.y)


def _ref_id(place: int) -> str:
    letter = chr(ord("A") + place % 26)
    return letter if place < 26 else f"{letter}{place // 26}"  # noqa: PLR2004 -- letters of the alphabet


def _target(query: Query, place: int, *, instant: bool) -> Any:
    return core.Target(
        expr=query.expression,
        legendFormat=query.legend,
        refId=_ref_id(place),
        instant=instant,
        intervalFactor=1,
        datasource=DATASOURCE,
    )


def _thresholds(steps: Sequence[Step]) -> Mapping[str, object]:
    return {"mode": "absolute", "steps": [{"value": step.value, "color": step.color} for step in steps]}


def _overrides(queries: Sequence[Query]) -> list[object]:
    return [
        {
            "matcher": {"id": "byFrameRefID", "options": _ref_id(place)},
            "properties": [{"id": "thresholds", "value": _thresholds(query.steps)}],
        }
        for place, query in enumerate(queries)
        if query.steps is not None
    ]


_DRAWN: Mapping[str, tuple[tuple[str, object], ...]] = {
    "dashes": (("custom.lineStyle", {"fill": "dash", "dash": [6, 6]}), ("custom.lineWidth", 1)),
    "dots": (("custom.drawStyle", "points"), ("custom.pointSize", 5)),
}
_ALL_DRAWN = (
    ("color", {"mode": "fixed", "fixedColor": BESIDE_LINES}),
    ("custom.hideFrom", {"legend": True, "tooltip": False, "viz": False}),
)


def _drawn(queries: Sequence[Query]) -> list[object]:
    return [
        {
            "matcher": {"id": "byFrameRefID", "options": _ref_id(place)},
            "properties": [{"id": key, "value": value} for key, value in (*_DRAWN[query.drawn], *_ALL_DRAWN)],
        }
        for place, query in enumerate(queries)
        if query.drawn in _DRAWN
    ]


def _mappings(words: Sequence[Word]) -> list[object]:
    found: list[object] = []
    for index, word in enumerate(words):
        result = {"color": word.color, "index": index, **({"text": word.text} if word.text else {})}
        if word.upto is None:
            found.append({"type": "value", "options": {f"{word.number:g}": result}})
        else:
            found.append({"type": "range", "options": {"from": word.number, "to": word.upto, "result": result}})
    return found
