"""The answers of ``bench --fit`` as tables for a terminal or in Markdown, and as a document for JSON."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from exporter.bench.fit.assessment import ANSWER, Assessment, Room, Run
from exporter.bench.fit.cards import GIB, CardMemory
from exporter.bench.fit.verdict import Judged, Largest
from exporter.bench.telling.columns import NOTHING, drawn
from exporter.model_memory.answering import HIGHEST_RATIO, LOWEST_RATIO
from gpuwarden.units import format_value

_MOMENTS = (
    "A training needs most at the end of the forward pass, when there is no gradient yet, or in the optimizer's step, "
    "when there are all; what each needs is told of the worse of the two."
)
_TIGHT = (
    "tight: less than 10 % or less than 512 MiB would be left. "
    "A desktop takes some hundred MiB of the card that it is on."
)
_LARGEST = (
    "largest: what still fits on the empty card, the other number staying as it is; in brackets: what would be tight."
)
_VERDICTS = ("model", "run", "precision", "needs GiB", "free now", "if empty", "largest batch", "largest context")
_PARTS = (
    "model",
    "run",
    "precision",
    "weights",
    "KV cache",
    "gradients",
    "optimizer",
    "activations",
    "torch",
    "context",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is told of one card."""

    card: CardMemory
    context_bytes: int
    context_assumed: bool
    assessments: Sequence[Assessment]


def document(answers: Sequence[Answer], unknown: Sequence[str]) -> dict[str, Any]:
    """All of it, in bytes; ``unknown`` says which cards did not tell their memory."""
    return {"cards": [_card(each) for each in answers], "unknown_cards": list(unknown), "notes": notes(answers)}


def _card(answer: Answer) -> dict[str, Any]:
    return {
        **asdict(answer.card),
        "free_if_empty_bytes": answer.card.empty_bytes,
        "context_bytes": answer.context_bytes,
        "context_assumed": answer.context_assumed,
        "runs": [_run(each) for each in answer.assessments],
    }


def _run(assessment: Assessment) -> dict[str, Any]:
    run = assessment.run
    return {
        **{key: getattr(run, key) for key in ("model", "what", "precision", "batch", "positions", "optimizer")},
        "needs_bytes": assessment.parts.total,
        "parts_bytes": asdict(assessment.parts),
        "moment": assessment.moment,
        "if_empty": _room(assessment.if_empty),
        "now": None if assessment.now is None else _room(assessment.now),
    }


def _room(room: Room) -> dict[str, Any]:
    return {
        **asdict(room.judged),
        "largest_batch": asdict(room.batch),
        "largest_positions": None if room.positions is None else asdict(room.positions),
    }


def text(answers: Sequence[Answer], unknown: Sequence[str], *, markdown: bool, width: int = 0) -> str:
    """For a person; sentences are broken at ``width`` columns, 0: never. Cards of which the same is told share it."""

    def sentence(words: str, indent: str = "") -> str:
        return textwrap.fill(words, width, subsequent_indent=indent) if width else words

    lines: list[str] = []
    for told, cards in _alike(answers).items():
        lines += [sentence(_title(card, markdown=markdown)) for card in cards]
        lines += ["", *drawn(_VERDICTS, map(_verdict_cells, told), markdown=markdown), ""]
    for context, answer in {each.context_bytes: each for each in answers}.items():
        lines += [sentence(_parts_title(context, assumed=answer.context_assumed)), ""]
        lines += [*drawn(_PARTS, map(_part_cells, answer.assessments), markdown=markdown), ""]
    lines += [f"Not told of: {each}" for each in unknown]
    lines += [sentence(f"- {each}", "  ") for each in notes(answers)]
    return "\n".join(lines) + "\n"


def notes(answers: Sequence[Answer]) -> list[str]:
    """What a reader must know."""
    below, above = 100 * (1 - LOWEST_RATIO), 100 * (HIGHEST_RATIO - 1)
    estimates = (
        "Estimates for torch; a GPT reads its whole prompt at once, with fused attention. Beside runs on an H200 they "
        f"are between {below:.0f} % below and {above:.0f} % above what torch had reserved."
    )
    found = ["All figures in the tables are GiB.", estimates, _TIGHT, _LARGEST]
    if any(each.moment for answer in answers for each in answer.assessments):
        found.append(_MOMENTS)
    return found


def _alike(answers: Sequence[Answer]) -> Mapping[tuple[Assessment, ...], list[CardMemory]]:
    found: dict[tuple[Assessment, ...], list[CardMemory]] = {}
    for answer in answers:
        found.setdefault(tuple(answer.assessments), []).append(answer.card)
    return found


def _title(card: CardMemory, *, markdown: bool) -> str:
    said = "assumed" if card.reserved_assumed else "as it says"
    words = (
        f"{f'GPU {card.index} ' if card.index else ''}{card.name}: {format_value(card.total_bytes, 'bytes')}, of which "
        f"the driver keeps {format_value(card.reserved_bytes, 'bytes')} ({said}); "
        f"{format_value(card.empty_bytes, 'bytes')} for programs when it is empty"
    )
    if card.free_bytes is not None:
        words += f", {format_value(card.free_bytes, 'bytes')} free now"
    return f"**{words}**" if markdown else words


def _parts_title(context_bytes: int, *, assumed: bool) -> str:
    said = "assumed for such a card" if assumed else "as you say"
    return (
        f"What each needs, in GiB (torch: workspace of libraries, and what its allocator keeps; "
        f"CUDA context: {format_value(context_bytes, 'bytes')}, {said}):"
    )


def _run_words(run: Run) -> str:
    size = f"{run.batch} x {run.positions}" if run.positions else f"{run.batch}"
    return f"{run.what} {size}" if run.what == ANSWER else f"{run.what} {size} {run.optimizer}"


def _verdict_cells(each: Assessment) -> tuple[str, ...]:
    run, room = each.run, each.if_empty
    return (
        *(run.model, _run_words(run), run.precision, _gib(each.parts.total)),
        NOTHING if each.now is None else _judged(each.now.judged),
        _judged(room.judged),
        _largest(room.batch),
        NOTHING if room.positions is None else _largest(room.positions),
    )


def _part_cells(each: Assessment) -> tuple[str, ...]:
    parts = each.parts
    sizes = (parts.weights, parts.kv_cache, parts.gradients, parts.optimizer, parts.activations)
    torch = parts.libraries + parts.allocator
    return (
        *(each.run.model, _run_words(each.run), each.run.precision),
        *(_gib(size) if size else NOTHING for size in (*sizes, torch, parts.context)),
    )


def _gib(size: int) -> str:
    return f"{size / GIB:.2f}"


def _judged(judged: Judged) -> str:
    gap = "short" if judged.left_bytes < 0 else "left"
    return f"{judged.verdict}, {_gib(abs(judged.left_bytes))} {gap}"


def _largest(found: Largest) -> str:
    if found.fits:
        return f"{found.fits:,}"
    return f"({found.tight:,})" if found.tight else "none"
