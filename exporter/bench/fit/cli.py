"""``gpuwarden bench --fit``: from flags to answers. Nothing is run, and torch is not needed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from exporter.bench.around import columns
from exporter.bench.fit.assessment import Run, assess, known_runs, outline_runs
from exporter.bench.fit.cards import CardMemory, Cards, NoCardKnownError, ask_driver, card_of_size, parse_size
from exporter.bench.fit.outline import Outline
from exporter.bench.fit.report import Answer, document, text
from exporter.bench.telling.document import as_json, write
from gpuwarden.errors import UserInputError

_SCALES = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_MOST_PARAMETERS = 10**15
_OUTLINE = ("parameters", "layers", "width", "heads", "positions")
_OF_AN_OUTLINE = ("kv_heads", "prompt_chunk")


class UnknownModelError(UserInputError, LookupError):
    """No known model has such a name."""


class OutlineError(UserInputError, ValueError):
    """The outline of the user's model is incomplete or contradicts itself."""


def _size(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _count(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    """``7e9``, ``7B``, ``124,439,808``."""
    if value is None:
        return None
    plain = value.strip().replace(",", "").replace("_", "").lower()
    scale = _SCALES.get(plain[-1:], 1.0)
    try:
        number = float(plain[:-1] if scale > 1 else plain) * scale
    except ValueError:
        number = 0.0
    if not 1 <= number < _MOST_PARAMETERS:
        message = f"{value!r} is not a number of parameters: write 7e9, 7B or 124439808"
        raise click.BadParameter(message)
    return round(number)


_AT_LEAST_ONE = click.IntRange(min=1, max=2**24)


def _whole(name: str, text: str) -> Callable[[Any], Any]:
    return click.option(name, type=_AT_LEAST_ONE, metavar="N", help=text)


FIT_OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.option("--fit", is_flag=True, help="Say which models fit a card instead, and run nothing: docs/fit.md"),
    click.option("--memory", metavar="SIZE", callback=_size, help="A card of 6GiB, 8GB; no driver is asked."),
    click.option(
        "--cuda-context", metavar="SIZE", callback=_size, help="Of a process [default: 500MiB; 760MiB from 30 GiB]"
    ),
    click.option("--checkpointing", is_flag=True, help="GPTs are trained with gradient checkpointing."),
    click.option("--parameters", metavar="COUNT", callback=_count, help="Of your own Llama-like model, 7B."),
    _whole("--layers", "Of that model."),
    _whole("--width", "Of that model: what its configuration calls hidden_size."),
    _whole("--heads", "Of that model's attention."),
    _whole("--kv-heads", "Of that model: how many have keys and values [default: all]"),
    _whole("--positions", "For that model: prompt and answer together."),
    _whole("--prompt-chunk", "For that model: read at once [default: the whole prompt]"),
)
SHARED = frozenset({"only", "gpu", "json_file", "markdown_file", "batch", "optimizer"})
"""Options that other modes have, too."""


def tell_fit(options: Mapping[str, Any]) -> int:
    """Print the answers, write the files; the exit status.

    Raises:
        UserInputError: the flags contradict each other, or neither a driver nor ``--memory`` tells of a card.
    """
    runs = _runs(options)
    cards = _cards(options)
    answers = [_answer(card, runs, options["cuda_context"]) for card in cards.found]
    if options["json_file"]:
        write(options["json_file"], as_json(document(answers, cards.unknown)))
    if options["markdown_file"]:
        write(options["markdown_file"], text(answers, cards.unknown, markdown=True))
    click.echo(text(answers, cards.unknown, markdown=False, width=columns()), nl=False)
    return 0


def _cards(options: Mapping[str, Any]) -> Cards:
    if options["memory"]:
        return Cards((card_of_size(options["memory"]),))
    cards, wanted = ask_driver(), options["gpu"]
    if not wanted:
        return cards
    chosen = tuple(card for card in cards.found if wanted in {card.index, card.uuid})
    if not chosen:
        known = ", ".join(f"{card.index} ({card.uuid})" for card in cards.found)
        message = f"no GPU {wanted} tells its memory; there are: {known}"
        raise NoCardKnownError(message)
    return Cards(chosen)


def _answer(card: CardMemory, runs: tuple[Run, ...], context_bytes: int | None) -> Answer:
    context = card.context_bytes if context_bytes is None else context_bytes
    return Answer(card, context, context_bytes is None, tuple(assess(run, card, context) for run in runs))


def _runs(options: Mapping[str, Any]) -> tuple[Run, ...]:
    if any(options[key] is not None for key in (*_OUTLINE, *_OF_AN_OUTLINE)):
        return _own_runs(options)
    if options["batch"]:
        message = "--batch goes with a model of your own (--parameters); of the known ones the largest batch is told"
        raise OutlineError(message)
    runs = known_runs(options["optimizer"] or "", checkpointing=options["checkpointing"])
    wanted = [word.lower() for word in options["only"]]
    chosen = tuple(run for run in runs if not wanted or any(word in run.words for word in wanted))
    if not chosen:
        names = ", ".join(dict.fromkeys(run.model for run in runs))
        message = f"no model has {' or '.join(options['only'])} in its name; there are: {names}"
        raise UnknownModelError(message)
    return chosen


def _own_runs(options: Mapping[str, Any]) -> tuple[Run, ...]:
    missing = [f"--{key}" for key in _OUTLINE if options[key] is None]
    if missing:
        message = f"of a model of your own these are needed, too: {', '.join(missing)}"
        raise OutlineError(message)
    outline = _outline(options)
    return outline_runs(outline, options["batch"] or 1, options["positions"], options["prompt_chunk"] or 0)


def _outline(options: Mapping[str, Any]) -> Outline:
    outline = Outline(
        options["parameters"], options["layers"], options["width"], options["heads"], options["kv_heads"] or 0
    )
    if outline.width % outline.heads:
        message = f"--width {outline.width} is no multiple of --heads {outline.heads}"
        raise OutlineError(message)
    if outline.heads % (outline.kv_heads or 1):
        message = f"--heads {outline.heads} is no multiple of --kv-heads {outline.kv_heads}"
        raise OutlineError(message)
    least = outline.layers * outline.attention
    if outline.parameters < least:
        shape = f"{outline.layers} layers of width {outline.width}"
        message = f"in {shape} attention alone has {least:,} weights: more than --parameters {outline.parameters:,}"
        raise OutlineError(message)
    return outline
