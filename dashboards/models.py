"""The models: one screen of 1920 x 1080 that says how fast each one answers, and whether the model or the card is slow.

From top to bottom: a table with a column for each probe and a row for each reading of its last run; the same over time,
with the clock of the card beside the latencies and a dot at each run that shared the card; then what is asked of the
models from elsewhere, and what became of the probe's runs. Colour means that a rule's number is passed or that
something is gone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from alerts.matchers import Matcher
from alerts.notify.notification import Severity
from alerts.promql import selector
from alerts.rules import Rule
from dashboards import queries
from dashboards.cells import Division, divide
from dashboards.grid import Band, Box, stack
from dashboards.model_queries import (
    CAME_THROUGH,
    FAILED,
    NOT_YET,
    OLD,
    PROBE_LABELS,
    PROBE_LEGEND,
    against_itself,
    beside,
    came_through,
    contended,
    course,
    failures,
    last,
    no_probe,
    probes,
    quantile_by_source,
    skipped,
    state,
)
from dashboards.palette import BY_SEVERITY, CALM, CRITICAL, DIM, LINE_BASE, SILENT, worst
from dashboards.panels import DATASOURCE_VARIABLE, Chart, Panel, Query, Tiles, Word, chart, core, heading, tiles
from dashboards.readings import LINES_LEFT_OUT, description
from dashboards.thresholds import Step, limits_for, lines, narrowed, steps, too_many
from dashboards.wall import origin
from gpuwarden.catalog import CATALOG
from gpuwarden.units import Unit

UID = "gpuwarden-models"
MOST_LISTED = 5

_FIRST_TOKEN, _PER_TOKEN = "model_probe_time_to_first_token_seconds", "model_probe_time_per_output_token_seconds"
_ANSWER, _CLOCK = "model_probe_duration_seconds", "model_probe_sm_clock_hertz"
_MEDIAN = {"percentile": "50"}
_END = {"at": "end"}
_MISSING = (
    Word("n/a", DIM, queries.UNSUPPORTED),
    Word("not yet", DIM, NOT_YET),
    Word("LOST", CRITICAL, queries.LOST),
    Word("NO DATA", SILENT, queries.SILENT),
)

_STATES = Band(3, (3, 21))
_ROW = Band(2, (3, 21))
_COURSES = Band(7, (5, 8, 6, 5))
_FOOT = Band(7, (6, 6, 6, 3, 3))

_ROWS: tuple[tuple[str, Mapping[str, str], str], ...] = (
    (_FIRST_TOKEN, _MEDIAN, "First token, p50"),
    (_ANSWER, _MEDIAN, "Whole answer, p50"),
    (_CLOCK, _END, "SM clock at its end"),
    ("model_probe_memory_peak_bytes", {}, "Memory at its peak"),
    ("model_probe_contended", {}, "Alone on the card"),
)
"""Readings of the last run, the labels of the series that are shown, and the words before them."""


_DECIMALS: Mapping[Unit, int] = {"seconds": 2, "hertz": 2, "bytes": 1, "bool": 0}


def models(rules: Sequence[Rule]) -> Any:
    """The dashboard as a grafanalib ``Dashboard``; colours and lines are those of ``rules``."""
    head, *rows, courses, foot = stack((_STATES, *(_ROW,) * len(_ROWS), _COURSES, _FOOT))
    return core.Dashboard(
        title="Models",
        description="How fast each model answers, and on what; generated from the catalog and the rules in force.",
        uid=UID,
        tags=["gpuwarden"],
        panels=[*_table(head, rows, rules), *_courses(courses, rules), *_foot(foot, rules)],
        templating=core.Templating(list=[DATASOURCE_VARIABLE]),
        time=core.Time("now-24h", "now"),
        refresh="30s",
        timezone="browser",
        editable=False,
    )


def _table(head: Sequence[Box], rows: Sequence[Sequence[Box]], rules: Sequence[Rule]) -> list[Panel]:
    """Each probe's name and state above its readings; all rows are divided alike, by the rules of all of them."""
    judging = [rule for metric, shown, _ in _ROWS for rule in narrowed(limits_for(rules, metric), shown, PROBE_LABELS)]
    parts = divide(judging, *(metric for metric, _, _ in _ROWS), judging_by=limits_for)
    made = [tiles(head[0], origin()), tiles(head[1], _states(parts, rules))]
    for (left, right), (metric, shown, words) in zip(rows, _ROWS, strict=True):
        made += [heading(left, "", words), tiles(right, _readings(metric, shown, parts))]
    return made


def _states(parts: Division, rules: Sequence[Rule]) -> Tiles:
    silent = [rule for rule in rules if rule.metric == "model_probe_last_run_timestamp_seconds"]
    oldest = min((rule.threshold for rule in silent if rule.comparison == "older"), default=None)
    return Tiles(
        description="How the last run of each probe ended. Without one, exporter.probe.enabled is not set.",
        queries=_by_probe(state(oldest), parts),
        unit="count",
        words=(
            *_MISSING,
            Word("NO PROBE SEEN", DIM, queries.NOTHING),
            Word("OK", CALM, CAME_THROUGH),
            Word("FAILED", _gravest(_on_failures(rules)), FAILED),
            Word("NOT RUN LATELY", _gravest(silent), OLD),
        ),
        title_size=14,
        value_size=28,
    )


def _on_failures(rules: Sequence[Rule]) -> Sequence[Rule]:
    """The rules on runs of the probe that fail."""
    counting = [rule for rule in rules if rule.metric == "model_requests_total"]
    return narrowed(counting, {"source": "probe", "outcome": "error"}, PROBE_LABELS)


def _gravest(rules: Sequence[Rule]) -> str:
    """The colour of what these rules watch; calm where nobody is told of it."""
    severities: list[Severity] = [rule.severity for rule in rules]
    return BY_SEVERITY[worst(*severities)] if severities else CALM


def _readings(metric: str, shown: Mapping[str, str], parts: Division) -> Tiles:
    row = CATALOG[metric]
    own = (Word("ALONE", CALM, 0), Word("SHARED", BY_SEVERITY["info"], 1)) if row.unit == "bool" else ()
    return Tiles(
        description(metric, parts),
        _by_probe(last(_series(metric, shown)), parts, metric),
        row.unit,
        words=(*_MISSING, Word("n/a", DIM, queries.NOTHING), *own),
        decimals=_DECIMALS[row.unit],
        text="value",
    )


def _by_probe(reading: str, parts: Division, *judged: str) -> list[Query]:
    """The reading of each probe, with the limits of the cell that it is in; or that there is no probe."""
    return [
        *(
            Query(probes(reading, cell), PROBE_LEGEND, steps(limits_for(cell.rules, *judged), CALM))
            for cell in parts.cells
        ),
        Query(no_probe(), "probes"),
    ]


def _series(metric: str, labels: Mapping[str, str]) -> str:
    return selector(metric, (Matcher(name, "=", value) for name, value in labels.items()))


def _courses(boxes: Sequence[Box], rules: Sequence[Rule]) -> list[Panel]:
    """Four charts in which a probe has one colour, so one legend is enough for them and for further tokens below."""
    median, row = _series(_ANSWER, _MEDIAN), CATALOG[_CLOCK]
    itself = Chart(
        "Whole answer over its median of 7 days",
        "The last probe's p50 over what it mostly was: above 100 % the card is slower than it was.",
        (Query(against_itself(median), PROBE_LEGEND),),
        "ratio",
        (Step(None, LINE_BASE),),
        legend="none",
        color_by="place",
        steps=True,
    )
    clock = Chart(
        "SM clock (dashed: at the start)",
        row.help,
        (
            Query(course(_series(_CLOCK, _END)), PROBE_LEGEND),
            Query(beside(_series(_CLOCK, {"at": "start"})), PROBE_LEGEND, drawn="dashes"),
        ),
        row.unit,
        lines(limits_for(rules, _CLOCK)),
        lowest=0,
        legend="none",
        color_by="place",
        steps=True,
    )
    made = (_latency(_FIRST_TOKEN, "First token", rules), _latency(_ANSWER, "Whole answer", rules), itself, clock)
    return [chart(box, spec) for box, spec in zip(boxes, made, strict=True)]


def _latency(metric: str, title: str, rules: Sequence[Rule]) -> Chart:
    """p50 and p90 of the last probe over time; a batch of a CNN and an answer of a GPT are decades apart."""
    judging, median, decades = limits_for(rules, metric), _series(metric, _MEDIAN), metric == _ANSWER
    return Chart(
        f"{title} (dashed: p90, dots: shared)",
        CATALOG[metric].help + (LINES_LEFT_OUT if too_many(judging) else ""),
        (
            Query(course(median), PROBE_LEGEND),
            Query(beside(_series(metric, {"percentile": "90"})), PROBE_LEGEND, drawn="dashes"),
            Query(contended(median), PROBE_LEGEND, drawn="dots"),
        ),
        "seconds",
        lines(judging),
        lowest=None if decades else 0,
        color_by="place",
        steps=True,
        decades=decades,
        legend="beside" if metric == _ANSWER else "none",
    )


def _foot(boxes: Sequence[Box], rules: Sequence[Rule]) -> list[Panel]:
    charts = (
        _latency(_PER_TOKEN, "Further tokens", rules),
        _by_source("model_time_to_first_token_seconds", "First token", rules),
        _by_source("model_request_duration_seconds", "Whole answers", rules),
    )
    listed = (_outcomes(rules), _skipped())
    return [
        *(chart(box, spec) for box, spec in zip(boxes[:3], charts, strict=True)),
        *(tiles(box, spec) for box, spec in zip(boxes[3:], listed, strict=True)),
    ]


def _by_source(metric: str, title: str, rules: Sequence[Rule]) -> Chart:
    judging = limits_for(rules, metric)
    return Chart(
        f"{title} by who asks: 90 % within",
        CATALOG[metric].help + (LINES_LEFT_OUT if too_many(judging) else ""),
        (Query(quantile_by_source(metric, 0.9), "{{model}} {{source}} {{hostname}}"),),
        "seconds",
        lines(judging),
        color_by="place",
        decades=True,
    )


def _outcomes(rules: Sequence[Rule]) -> Tiles:
    return Tiles(
        description="The probe's runs of the last 24 hours by how they ended.",
        queries=(
            Query(came_through(), "runs OK in 24 h"),
            Query(failures(MOST_LISTED), "{{model}} {{outcome}}", (Step(None, _gravest(_on_failures(rules))),)),
        ),
        unit="count",
        words=(Word("NO PROBE", DIM, queries.NOTHING),),
        layout="lines",
        title_size=18,
        value_size=24,
    )


def _skipped() -> Tiles:
    return Tiles(
        description="The probe's runs of the last 24 hours that were not started, or had to wait, by reason.",
        queries=(Query(skipped(MOST_LISTED), "skipped {{reason}}"),),
        unit="count",
        words=(Word("NO PROBE", DIM, queries.NOTHING),),
        layout="lines",
        title_size=18,
        value_size=24,
    )
