"""Families into the bytes that scrapers read: Prometheus text 0.0.4 and OpenMetrics 1.0.0.

1. Both formats have the same sample lines; only the lines above them differ. So the samples are rendered once, and a
   page in the other format costs no more than joining.
2. A line is kept with its value: it is used again while the value stays, and while it does not, all but the number is.
   Only the lines of the last page are kept: processes come and go, and what has gone must not stay in memory.
3. Nothing that came from outside can break the page: label values are escaped, and what UTF-8 cannot say is replaced.

The tests hold both formats against the renderers of prometheus-client, byte by byte.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, chain
from typing import NamedTuple, TypeVar

from exporter.families import Family, Labels
from gpuwarden.catalog import Metric

V = TypeVar("V")

_POINT_OF_A_MILLION = 7
"""Where the decimal point of a number from a million on stands, counted from its first character."""

_NOTHING: tuple[object, str] = None, ""
_NO_DIGITS = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}


class Block(NamedTuple):
    """One family's sample lines."""

    row: Metric
    lines: bytes


_Known = dict[Labels, tuple[object, str]]
"""One row's lines on the last page, and the value that they show."""


class Exposition:
    """Renders families; used from one thread."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def render(self, families: Iterable[Family]) -> list[Block]:
        """The sample lines of each family."""
        before, self._known = self._known, {}
        return [Block(family.row, self._lines(family, before.get(family.row.name, {}))) for family in families]

    def _lines(self, family: Family, known: _Known) -> bytes:
        row, samples, distributions = family
        lines = [
            *_kept(samples, known, lambda labels, value, line: _sample(row, labels, value, line)),
            *_kept(distributions.items(), known, lambda labels, value, _: _distribution(row, labels, *value)),
        ]
        if len(known) > len(lines):
            known = {labels: known[labels] for labels in chain((labels for labels, _ in samples), distributions)}
        self._known[row.name] = known
        return "".join(lines).encode(errors="replace")


def _kept(shown: Iterable[tuple[Labels, V]], known: _Known, render: Callable[[Labels, V, str], str]) -> Iterator[str]:
    """The known line where the value is still the same; else a new one, for which ``render`` is given the old."""
    for labels, value in shown:
        before, line = known.get(labels, _NOTHING)
        if before != value:
            line = render(labels, value, line)
            known[labels] = value, line
        yield line


def _sample(row: Metric, labels: Labels, value: float, before: str) -> str:
    beginning = before[: before.rindex(" ")] if before else f"{row.name}{braces(row.labels, labels)}"
    return f"{beginning} {number(value)}\n"


def _distribution(row: Metric, labels: Labels, counts: tuple[int, ...], total: float) -> str:
    """A histogram's cumulative buckets, count and sum."""
    lines = [
        f"{row.name}_bucket{braces((*row.labels, 'le'), (*labels, bound))} {number(count)}\n"
        for bound, count in zip((*map(number, row.buckets), "+Inf"), accumulate(counts), strict=True)
    ]
    own = braces(row.labels, labels)
    return "".join([*lines, f"{row.name}_count{own} {number(sum(counts))}\n", f"{row.name}_sum{own} {number(total)}\n"])


def as_text(blocks: Iterable[Block]) -> bytes:
    """A page in Prometheus text format 0.0.4."""
    return b"".join([part for row, lines in blocks for part in (_head(row), lines)])


def as_openmetrics(blocks: Iterable[Block]) -> bytes:
    """A page in OpenMetrics 1.0.0."""
    return b"".join([*(part for row, lines in blocks for part in (_openmetrics_head(row), lines)), b"# EOF\n"])


def number(value: float) -> str:
    """A number as Go prints it, which both formats take for their own."""
    text = repr(float(value))
    point = text.find(".")
    if value > 0 and point >= _POINT_OF_A_MILLION:
        digits = f"{text[0]}.{text[1:point]}{text[point + 1 :]}".rstrip("0.")
        return f"{digits}e+{point - 1:02d}"
    return _NO_DIGITS.get(text, text)


def braces(names: Labels, values: Labels) -> str:
    """``{gpu="0",uuid="GPU-..."}``, by name; nothing where there are no labels."""
    pairs = sorted(zip(names, values, strict=True))
    inside = ",".join([f'{name}="{_escaped(value)}"' for name, value in pairs])
    return f"{{{inside}}}" if inside else ""


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


@functools.cache
def _head(row: Metric) -> bytes:
    kind = "gauge" if row.kind == "info" else row.kind
    described = row.help.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {row.name} {described}\n# TYPE {row.name} {kind}\n".encode()


@functools.cache
def _openmetrics_head(row: Metric) -> bytes:
    ending = {"counter": "_total", "info": "_info"}.get(row.kind, "")
    # A counter of another exporter's that does not end as OpenMetrics asks for keeps its name and loses its type.
    kind = row.kind if row.name.endswith(ending) else "unknown"
    name = row.name.removesuffix(ending)
    return f"# HELP {name} {_escaped(row.help)}\n# TYPE {name} {kind}\n".encode()
