"""What would be run: pure text."""

from collections.abc import Iterable

from exporter.bench.plan import Plan, Planned
from exporter.bench.words import REASONS
from gpuwarden.units import format_value


def listing(plan: Plan, free_bytes: float | None) -> str:
    """A line for each run with the card memory that it needs and the claims that it serves."""
    width = max(len(planned.run.name) for planned in plan.runs)
    lines = [
        f"{'run':{width}}  {'memory':>9}  serves",
        *(_line(planned, width, free_bytes) for planned in plan.to_make),
    ]
    left_out = [planned for planned in plan.runs if planned.left_out]
    return "\n".join([*lines, *_left_out(left_out), _sum(plan, free_bytes)]) + "\n"


def _line(planned: Planned, width: int, free_bytes: float | None) -> str:
    memory = format_value(planned.needs_bytes, "bytes") if planned.needs_bytes else "processor"
    short = free_bytes is not None and free_bytes < planned.wants_bytes
    remark = "  (vram: not enough is free now)" if short else ""
    return f"{planned.run.name:{width}}  {memory:>9}  {', '.join(planned.serves) or '-'}{remark}"


def _left_out(left_out: list[Planned]) -> Iterable[str]:
    for reason in dict.fromkeys(planned.left_out for planned in left_out):
        yield f"left out, {reason} ({REASONS[reason]}):"
        yield from (f"  {planned.run.name}" for planned in left_out if planned.left_out == reason)


def _sum(plan: Plan, free_bytes: float | None) -> str:
    free = "" if free_bytes is None else f"; {format_value(free_bytes, 'bytes')} of the card are free"
    return f"{len(plan.to_make)} runs for {len(plan.claims)} claims{free}"
