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


def card_tiles(metric: str, parts: Sequence[Cell], text: Literal["value", "name"] = "value") -> Tiles:
    """A tile for each card with its reading of ``metric``; the same ``parts`` give every row the same order."""
    row = CATALOG[metric]
    made = [_card_query(queries.select(metric, cell), cell, rules_for(cell.rules, metric), parts) for cell in parts]
    words = (*MISSING, *_equal_words(rules_for((rule for cell in parts for rule in cell.rules), metric)))
    return Tiles(row.help, made, row.unit, words=words, text=text)


def power_tiles(parts: Sequence[Cell]) -> Tiles:
    """A tile for each card with the power that it draws over its limit; no rule judges the quotient."""
    made = [_card_query(queries.power_over_limit(), cell, (), parts) for cell in parts]
    return Tiles("Power drawn over the limit in force.", made, "ratio", words=MISSING, text="value")


def _card_query(reading: str, cell: Cell, rules: Sequence[Rule], parts: Sequence[Cell]) -> Query:
    expression = queries.cards(reading, cell)
    whole = queries.or_nothing(expression) if len(parts) == 1 else expression
    return Query(whole, queries.CARD_LEGEND, steps(rules, CALM))


def host_tiles(metric: str, legend: str, rules: Sequence[Rule]) -> Tiles:
    """A tile for each host with the highest of its series of ``metric``."""
    row, parts = CATALOG[metric], cells(rules_for(rules, metric))
    made = [Query(queries.hosts(metric, cell), legend, steps(cell.rules, CALM)) for cell in parts]
    return Tiles(
        row.help,
        made,
        row.unit,
        words=(*MISSING, *_equal_words(rules_for(rules, metric))),
        layout="rows",
        title_size=20,
    )


def card_chart(metric: str, title: str, rules: Sequence[Rule], *, lowest: int, highest: int | None = None) -> Chart:
    """A line for each card, and one for each limit that any rule sets to any card."""
    row = CATALOG[metric]
    query = Query(queries.card_history(metric), queries.FULL_CARD_LEGEND)
    return Chart(title, row.help, (query,), row.unit, lines(rules_for(rules, metric)), lowest, highest)


def _equal_words(rules: Iterable[Rule]) -> list[Word]:
    return [Word(None, color, number) for number, color in equal_values(rules).items()]
