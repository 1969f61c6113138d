"""What would be run: pure text of 80 columns."""

import textwrap
from collections.abc import Iterable

from exporter.bench.plan import Plan, Planned
from exporter.bench.telling.words import REASONS
from gpuwarden.units import format_value

_WIDTH, _MEMORY_WIDTH = 80, 9


def listing(plan: Plan, free_bytes: float | None) -> str:
    """Each run with the card memory that it needs, and below it the claims that it serves."""
    head = f"{'memory':>{_MEMORY_WIDTH}}  run, and the claims that it serves"
    lines = [head, *(line for planned in plan.to_make for line in _lines(planned, free_bytes))]
    left_out = [planned for planned in plan.runs if planned.left_out]
    return "\n".join([*lines, *_left_out(left_out), _sum(plan, free_bytes)]) + "\n"


def _lines(planned: Planned, free_bytes: float | None) -> Iterable[str]:
    memory = format_value(planned.needs_bytes, "bytes") if planned.needs_bytes else "processor"
    short = free_bytes is not None and free_bytes < planned.wants_bytes
    yield f"{memory:>{_MEMORY_WIDTH}}  {planned.run.name}{' (vram: not enough is free now)' if short else ''}"
    indent = " " * (_MEMORY_WIDTH + 4)
    yield from textwrap.wrap(
        ", ".join(planned.serves), _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def _left_out(left_out: list[Planned]) -> Iterable[str]:
    for reason in dict.fromkeys(planned.left_out for planned in left_out):
        yield f"left out, {reason} ({REASONS[reason]}):"
        yield from (f"  {planned.run.name}" for planned in left_out if planned.left_out == reason)


def _sum(plan: Plan, free_bytes: float | None) -> str:
    free = "" if free_bytes is None else f"; {format_value(free_bytes, 'bytes')} of the card are free"
    return f"{len(plan.to_make)} runs for {len(plan.claims)} claims{free}"
