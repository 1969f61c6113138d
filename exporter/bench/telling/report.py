"""The document as a table for a terminal of 80 columns or more: pure text."""

import itertools
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
_FIXED = (11, 11, 14)
"""Widths of all columns but the first, which takes what is left."""
_INDENT = " " * 4

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
    """Each claim in its columns, and over their whole width what more there is to say of it."""
    widths = (width - sum(_FIXED) - len(_GAP) * len(_FIXED), *_FIXED)
    yield _line(_HEAD, widths)
    yield _line(["-" * each for each in widths], widths)
    for claim in document["claims"]:
        mark = f" [{numbers[claim['id']]}]" if claim["id"] in numbers else ""
        texts = (f"{claim['says']}{mark}", reference(claim), shown(claim["value"], claim["unit"]), verdict(claim))
        cells = [textwrap.wrap(text, each) for text, each in zip(texts, widths, strict=True)]
        for line in itertools.zip_longest(*cells, fillvalue=""):
            last = paint(line[-1], claim["verdict"]) if line[-1] else ""
            yield _line([*line[:-1], last], widths)
        yield from textwrap.wrap(claim["detail"], width, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(text, width)


def _listed(texts: Iterable[str], width: int) -> str:
    return "\n".join(textwrap.fill(text, width, subsequent_indent=_INDENT) for text in texts)
