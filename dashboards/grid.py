"""Grafana's grid: 24 columns; a cell is 30 px high with 8 px between, so 27 rows fill 1080 px without scrolling."""

from collections.abc import Sequence
from dataclasses import dataclass

COLUMNS = 24
ROWS_1080P = 27


@dataclass(frozen=True, slots=True)
class Box:
    """Where a panel lies, in columns and rows from the upper left."""

    x: int
    y: int
    w: int
    h: int

    def overlaps(self, other: "Box") -> bool:
        """Whether both cover a cell."""
        return (
            self.x < other.x + other.w
            and other.x < self.x + self.w
            and self.y < other.y + other.h
            and other.y < self.y + self.h
        )


@dataclass(frozen=True, slots=True)
class Band:
    """Panels side by side: one height, and a width for each."""

    height: int
    widths: Sequence[int]


def stack(bands: Sequence[Band], most_rows: int = ROWS_1080P) -> tuple[tuple[Box, ...], ...]:
    """Lay bands under each other and return the boxes of each.

    Raises:
        ValueError: a band is wider than the grid, or all of them are higher than ``most_rows``.
    """
    laid: list[tuple[Box, ...]] = []
    y = 0
    for band in bands:
        if sum(band.widths) > COLUMNS:
            message = f"{sum(band.widths)} columns do not fit into {COLUMNS}"
            raise ValueError(message)
        laid.append(tuple(Box(sum(band.widths[:place]), y, w, band.height) for place, w in enumerate(band.widths)))
        y += band.height
    if y > most_rows:
        message = f"{y} rows do not fit into {most_rows}"
        raise ValueError(message)
    return tuple(laid)
