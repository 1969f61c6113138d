"""Tiles and charts of catalog metrics: unit and description from the catalog, colours and lines from the rules."""

from collections.abc import Iterable, Sequence
from typing import Literal

from alerts.rules import Rule
from dashboards import queries
from dashboards.cells import Cell, Division, divide
from dashboards.palette import CALM, CRITICAL, DIM, SILENT
from dashboards.panels import Chart, Query, Tiles, Word
from dashboards.thresholds import equal_values, lines, rules_for, steps, too_many
from gpuwarden.catalog import CATALOG

MISSING = (
    Word("n/a", DIM, queries.UNSUPPORTED),
    Word("LOST", CRITICAL, queries.LOST),
    Word("NO DATA", SILENT, queries.SILENT),
    Word("NO GPU SEEN", SILENT, queries.NOTHING),
)
"""What a tile says in place of a reading; a lost card is told by ``gpu_up`` itself, whatever the rules say."""


LIMITS_LEFT_OUT = " Limits of single series are not drawn here: there are too many for one screen."
LINES_LEFT_OUT = " Only the first limit of each severity has a line: there are too many for one chart."


def card_tiles(metric: str, parts: Division, rules: Sequence[Rule], text: Literal["value", "name"] = "value") -> Tiles:
    """A tile for each card with its reading of ``metric``; the same ``parts`` give every row the same order."""
    made = [
        _card_query(queries.select(metric, cell), cell, rules_for(cell.rules, metric), parts) for cell in parts.cells
    ]
    words = (*MISSING, *_equal_words(rules_for(rules, metric)))
    return Tiles(description(metric, parts), made, CATALOG[metric].unit, words=words, text=text)


def power_tiles(parts: Division) -> Tiles:
    """A tile for each card with the power that it draws over its limit; no rule judges the quotient."""
    made = [_card_query(queries.power_over_limit(), cell, (), parts) for cell in parts.cells]
    return Tiles("Power drawn over the limit in force.", made, "ratio", words=MISSING, text="value")


def _card_query(reading: str, cell: Cell, rules: Sequence[Rule], parts: Division) -> Query:
    expression = queries.cards(reading, cell)
    whole = queries.or_nothing(expression) if len(parts.cells) == 1 else expression
    return Query(whole, queries.CARD_LEGEND, steps(rules, CALM))


def host_tiles(metric: str, legend: str, rules: Sequence[Rule]) -> Tiles:
    """A tile for each host with the highest of its series of ``metric``."""
    parts = divide(rules, metric)
    made = [Query(queries.hosts(metric, cell), legend, steps(cell.rules, CALM)) for cell in parts.cells]
    return Tiles(
        description(metric, parts),
        made,
        CATALOG[metric].unit,
        words=(*MISSING, *_equal_words(rules_for(rules, metric))),
        layout="rows",
        title_size=20,
    )


def card_chart(metric: str, title: str, rules: Sequence[Rule], *, lowest: int, highest: int | None = None) -> Chart:
    """A line for each card, and one for each limit that any rule sets to any card."""
    row, judging = CATALOG[metric], rules_for(rules, metric)
    query = Query(queries.card_history(metric), queries.FULL_CARD_LEGEND)
    description = row.help + (LINES_LEFT_OUT if too_many(judging) else "")
    return Chart(title, description, (query,), row.unit, lines(judging), lowest, highest)


def description(metric: str, parts: Division) -> str:
    """What the metric means, and whether limits of it are not drawn."""
    return CATALOG[metric].help + (LIMITS_LEFT_OUT if metric in parts.whole else "")


def _equal_words(rules: Iterable[Rule]) -> list[Word]:
    return [Word(None, color, number) for number, color in equal_values(rules).items()]
