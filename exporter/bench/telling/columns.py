"""A table with one line a row, its columns as wide as they need be: the same for a terminal and in Markdown. Pure."""

from collections.abc import Iterable, Sequence

NOTHING = "-"
"""What stands in a cell that has nothing to say; a column of such cells is left out."""


def drawn(head: Sequence[str], rows: Iterable[Sequence[str]], *, markdown: bool) -> list[str]:
    """Its lines, the head first."""
    given = [list(head), *map(list, rows)]
    kept = [column for column in range(len(head)) if any(row[column] != NOTHING for row in given[1:])]
    cells = [[row[column] for column in kept] for row in given]
    widths = [max(len(row[column]) for row in cells) for column in range(len(kept))]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    if not markdown:
        return ["  ".join(line).rstrip() for line in lines]
    first, *others = [f"| {' | '.join(line)} |" for line in lines]
    return [first, f"| {' | '.join('-' * width for width in widths)} |", *others]
