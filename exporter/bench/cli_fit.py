"""``gpuwarden bench --fit``: from flags to answers. Nothing is loaded but the driver's library, and nothing is run."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import click

from exporter.bench.fit import Run, assess, known_runs, outline_runs
from exporter.bench.fit_cards import CardMemory, Cards, ask_driver, card_of_size, parse_size
from exporter.bench.fit_report import Answer, document, text
from exporter.bench.fit_training import COPIES
from exporter.bench.shapes import GPTS, RESNETS, Outline
from gpuwarden.errors import UserInputError

_SCALES = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_MOST_PARAMETERS = 10**15
_OUTLINE = ("parameters", "layers", "width", "heads", "positions")
_OF_AN_OUTLINE = ("kv_heads", "batch", "prompt_chunk")


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
_OPTIONS = (
    click.option("--memory", metavar="SIZE", callback=_size, help="A card of this size (6GiB, 8GB), asking no driver."),
    click.option(
        "--cuda-context", metavar="SIZE", callback=_size, help="Of a process [default: 500MiB; 760MiB from 30 GiB]"
    ),
    click.option(
        "--optimizer", type=click.Choice(list(COPIES)), help="For all [default: sgd for CNNs, adamw for GPTs]"
    ),
    click.option("--checkpointing", is_flag=True, help="GPTs are trained with gradient checkpointing."),
    click.option("--parameters", metavar="COUNT", callback=_count, help="Of your own Llama-like model: 7e9, 7B."),
    click.option("--layers", type=_AT_LEAST_ONE, help="How many it has."),
    click.option("--width", type=_AT_LEAST_ONE, help="What its configuration calls hidden_size."),
    click.option("--heads", type=_AT_LEAST_ONE, help="How many of attention."),
    click.option("--kv-heads", type=_AT_LEAST_ONE, help="How many have keys and values [default: all]"),
    click.option("--positions", type=_AT_LEAST_ONE, help="Prompt and answer together."),
    click.option("--batch", type=_AT_LEAST_ONE, help="How many texts at once [default: 1]"),
    click.option("--prompt-chunk", type=_AT_LEAST_ONE, help="Positions of a prompt read at once [default: all]"),
)


def fit_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The flags of ``--fit`` that no other mode has."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command()
@fit_options
@click.option(
    "--model", "models", multiple=True, type=click.Choice([*GPTS, *RESNETS]), help="Only this one; may be repeated."
)
@click.option("--json", "as_json", is_flag=True, help="All figures in bytes.")
@click.option("--markdown", is_flag=True, help="Tables for a page.")
def fit(models: tuple[str, ...], *, as_json: bool, markdown: bool, **asked: Any) -> None:
    """Say which models fit a card's memory, answering and in training, without running anything."""
    tell_fit(models, as_json=as_json, markdown=markdown, **asked)


def tell_fit(models: tuple[str, ...], *, as_json: bool, markdown: bool, **asked: Any) -> None:
    """Print the answers.

    Raises:
        UserInputError: the flags contradict each other, or neither a driver nor ``--memory`` tells of a card.
    """
    runs = _runs(models, asked)
    cards = Cards((card_of_size(asked["memory"]),)) if asked["memory"] else ask_driver()
    answers = [_answer(card, runs, asked["cuda_context"]) for card in cards.found]
    if as_json:
        click.echo(json.dumps(document(answers, cards.unknown), indent=2))
    else:
        click.echo(text(answers, cards.unknown, markdown=markdown), nl=False)


def _answer(card: CardMemory, runs: tuple[Run, ...], context_bytes: int | None) -> Answer:
    context = card.context_bytes if context_bytes is None else context_bytes
    return Answer(card, context, context_bytes is None, tuple(assess(run, card, context) for run in runs))


def _runs(models: tuple[str, ...], asked: Mapping[str, Any]) -> tuple[Run, ...]:
    given = [key for key in (*_OUTLINE, *_OF_AN_OUTLINE) if asked[key] is not None]
    if not given:
        return known_runs(models, asked["optimizer"] or "", checkpointing=asked["checkpointing"])
    missing = [f"--{key}" for key in _OUTLINE if asked[key] is None]
    if missing:
        message = f"of a model of your own these are needed, too: {', '.join(missing)}"
        raise OutlineError(message)
    outline = _outline(asked)
    return outline_runs(outline, asked["batch"] or 1, asked["positions"], asked["prompt_chunk"] or 0)


def _outline(asked: Mapping[str, Any]) -> Outline:
    outline = Outline(asked["parameters"], asked["layers"], asked["width"], asked["heads"], asked["kv_heads"] or 0)
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
