"""The document as a table for a terminal of 80 columns or more: pure text."""

import textwrap
from collections.abc import Callable, Iterable, Sequence

from exporter.bench.telling.words import (
    Document,
    failures,
    heading,
    reasons,
    reference,
    remarks,
    shown,
    summary,
    verdict,
)

NARROWEST, WIDEST = 80, 120
_GAP = "  "
_HEAD = ("claim", "reference", "here", "verdict")
_FIXED = (11, 25, 14)
"""Widths of all columns but the first, which takes what is left of 80; what is beyond goes half to the third."""

Paint = Callable[[str, str], str]
"""A text and its verdict into the text with colours; the length that is seen must not change."""


def _plain(text: str, _: str) -> str:
    return text


def table(document: Document, columns: int = NARROWEST, paint: Paint = _plain) -> str:
    """Everything a person wants to know of it."""
    width = max(NARROWEST, min(columns, WIDEST))
    # A note is about a figure; those of all claims are in docs/bench.md.
    notes = [claim for claim in document["claims"] if claim["note"] and claim["value"] is not None]
    numbers = {claim["id"]: number for number, claim in enumerate(notes, start=1)}
    parts = [
        _wrapped(heading(document), width),
        "\n".join(_rows(document, numbers, width, paint)),
        _wrapped(f"{summary(document)}.", width),
        _listed(remarks(document), width),
        _listed(failures(document), width),
        _listed(reasons(document), width),
        _listed((f"[{numbers[claim['id']]}] {claim['note']}" for claim in notes), width),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _rows(document: Document, numbers: dict[str, int], width: int, paint: Paint) -> Iterable[str]:
    fixed = (_FIXED[0], _FIXED[1] + (width - NARROWEST) // 2, _FIXED[2])
    widths = (width - sum(fixed) - len(_GAP) * len(fixed), *fixed)
    yield _line(_HEAD, widths)
    yield _line(["-" * each for each in widths], widths)
    for claim in document["claims"]:
        mark = f" [{numbers[claim['id']]}]" if claim["id"] in numbers else ""
        here = [shown(claim["value"], claim["unit"]), claim["detail"]]
        cells = (
            textwrap.wrap(f"{claim['says']}{mark}", widths[0]),
            textwrap.wrap(reference(claim), widths[1]),
            [line for text in here for line in textwrap.wrap(text, widths[2])],
            textwrap.wrap(verdict(claim), widths[3]),
        )
        for number in range(max(map(len, cells))):
            line = [cell[number] if number < len(cell) else "" for cell in cells]
            last = paint(line[-1], claim["verdict"]) if line[-1] else ""
            yield _line([*line[:-1], last], widths)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(text, width)


def _listed(texts: Iterable[str], width: int) -> str:
    return "\n".join(textwrap.fill(text, width, subsequent_indent="    ") for text in texts)
