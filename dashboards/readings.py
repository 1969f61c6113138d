"""Tiles and charts of catalog metrics: unit and description from the catalog, colours and lines from the rules."""

from collections.abc import Iterable, Sequence
from typing import Literal

from alerts.rules import Rule
from dashboards import queries
from dashboards.palette import CALM, CRITICAL, DIM, SILENT
from dashboards.panels import Chart, Query, Tiles, Word
from dashboards.thresholds import Cell, cells, equal_values, lines, rules_for, steps
from gpuwarden.catalog import CATALOG

MISSING = (
    Word("n/a", DIM, queries.UNSUPPORTED),
    Word("LOST", CRITICAL, queries.LOST),
    Word("NO DATA", SILENT, queries.SILENT),
    Word("NO GPU SEEN", SILENT, queries.NOTHING),
)
"""What a tile says in place of a reading; a lost card is told by ``gpu_up`` itself, whatever the rules say."""


def card_tiles(
    metric: str, legend: str, rules: Iterable[Rule], text: Literal["value_and_name", "value", "name"] = "value"
) -> Tiles:
    """A tile for each card with its reading of ``metric``."""
    row, parts = CATALOG[metric], cells(rules, metric)
    made = [Query(queries.cards(queries.select(metric, cell), cell), legend, steps(cell.rules, CALM)) for cell in parts]
    if len(made) == 1:
        made = [Query(queries.or_nothing(made[0].expression), legend, made[0].steps)]
    return Tiles(row.help, made, row.unit, words=(*MISSING, *_equal_words(parts)), text=text)


def power_tiles(legend: str, text: Literal["value_and_name", "value"] = "value") -> Tiles:
    """A tile for each card with the power that it draws over its limit; no rule judges the quotient."""
    reading = queries.or_nothing(queries.cards(queries.power_over_limit(), Cell()))
    return Tiles("Power drawn over the limit in force.", [Query(reading, legend)], "ratio", words=MISSING, text=text)


def host_tiles(metric: str, legend: str, rules: Iterable[Rule]) -> Tiles:
    """A tile for each host with the highest of its series of ``metric``."""
    row, parts = CATALOG[metric], cells(rules, metric)
    made = [Query(queries.hosts(metric, cell), legend, steps(cell.rules, CALM)) for cell in parts]
    return Tiles(row.help, made, row.unit, words=(*MISSING, *_equal_words(parts)), layout="rows", title_size=20)


def card_chart(metric: str, title: str, rules: Iterable[Rule], *, lowest: int, highest: int | None = None) -> Chart:
    """A line for each card, and one for each limit that any rule sets to any card."""
    row = CATALOG[metric]
    query = Query(queries.card_history(metric), queries.FULL_CARD_LEGEND)
    return Chart(title, row.help, (query,), row.unit, lines(rules_for(rules, metric)), lowest, highest)


def _equal_words(parts: Sequence[Cell]) -> list[Word]:
    rules = [rule for cell in parts for rule in cell.rules]
    return [Word(None, color, number) for number, color in equal_values(rules).items()]
