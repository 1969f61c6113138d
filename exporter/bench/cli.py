"""``gpuwarden bench``: what this machine does with CNN and GPT models, beside what a guide promises."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from exporter.bench import around
from exporter.bench.around import Options
from exporter.bench.cli_modes import MODE_OPTIONS, InModes, mode_of
from exporter.bench.guide.claims import CLAIMS, SPARE_RUNS
from exporter.bench.guide.show import print_table
from exporter.bench.plan import Plan, Wishes, plan
from exporter.bench.running.card import MeasuredCard
from exporter.bench.running.measuring import Bench, Record
from exporter.bench.running.patience import answered
from exporter.bench.running.session import Outcome, make_all
from exporter.bench.telling.document import Circumstances, document
from exporter.bench.telling.listing import listing
from exporter.bench.telling.markdown import markdown
from exporter.bench.telling.saving import files
from gpuwarden.errors import UserInputError
from gpuwarden.options import FAILED

_INTERRUPTED = 130


class NothingToRunError(UserInputError, LookupError):
    """No claim and no run has the word that was asked for."""


def _with(decorators: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def add(function: Any) -> Any:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return add


def _with_images(_context: click.Context, _parameter: click.Parameter, folder: str | None) -> str | None:
    """What the workload will read (exporter/workload/cifar.py) must be there: it looks only after the first start."""
    patterns = ("data_batch_*", "cifar-10-batches-*/data_batch_*")
    if folder is not None and not any(any(Path(folder).glob(pattern)) for pattern in patterns):
        message = f"{folder} has no data_batch_1 or data_batch_1.bin of CIFAR-10"
        raise click.BadParameter(message)
    return folder


_FILE = click.Path(dir_okay=False, path_type=Path)
_OPTIONS = (
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
    click.option("--gpu", default="", metavar="INDEX|UUID", help="The card to measure [default: the first]"),
    click.option("--python", default=sys.executable, metavar="INTERPRETER", help="One with torch [default: this one]"),
    click.option("--only", multiple=True, metavar="WORD", help="Claims and runs with this word; may be repeated."),
    click.option("--all", "spare", is_flag=True, help="Also the runs that serve no claim."),
    click.option(
        "--list", "only_list", is_flag=True, help="Say what would be run and the memory it needs, run nothing."
    ),
    click.option("--quick", is_flag=True, help="Fewer steps and three seconds a phase; without a 90th percentile."),
    click.option("--full-epoch", is_flag=True, help="Train CIFAR-10's whole epoch instead of extrapolating 30 steps."),
    click.option(
        "--data",
        type=click.Path(exists=True, file_okay=False, resolve_path=True),
        callback=_with_images,
        metavar="FOLDER",
        help="CIFAR-10's own images (data_batch_1, ...), loaded from the host.",
    ),
    click.option(
        "--json", "json_file", type=_FILE, metavar="FILE", help="Every result, written as soon as it is there."
    ),
    click.option("--markdown", "markdown_file", type=_FILE, metavar="FILE", help="The tables for a page."),
    click.option(
        "--minutes", type=click.FloatRange(min=0, min_open=True), help="What is left by then is not measured."
    ),
    click.option("--tiny", is_flag=True, help="Stand-ins on the CPU, to try the way to the table."),
)


@click.command(cls=InModes)
@_with(_OPTIONS)
@_with(MODE_OPTIONS)
@click.pass_context
def bench(context: click.Context, **options: Any) -> None:
    """Run GPTs and CNNs here and hold what they take against published figures.

    Each run is a process of its own that ends before the next begins. Ctrl-C ends it, and the table of what is there is
    printed. The exit status is 0 when every run came to a result or cannot be made here, for want of memory, a card,
    ONNX Runtime or quantization; else 1.
    """
    mode = mode_of(context)
    context.exit(mode(options) if mode else _bench(options))


def _bench(options: Options) -> int:
    card = around.card_to_measure(options)
    chosen = plan(CLAIMS, SPARE_RUNS, _wishes(options, card))
    if not chosen.runs:
        message = f"no claim and no run has {' or '.join(options['only'])} in its name; see: gpuwarden bench --list"
        raise NothingToRunError(message)
    if options["only_list"]:
        click.echo(listing(chosen, answered(card.reading).free_bytes if card else None), nl=False)
        return 0
    return _measure(options, card, chosen, around.circumstances(options, card))


def _wishes(options: Options, card: MeasuredCard | None) -> Wishes:
    names = ("only", "spare", "quick", "full_epoch", "tiny")
    return Wishes(card is not None, **{name: options[name] for name in names}, data=options["data"] or "")


def _measure(options: Options, card: MeasuredCard | None, chosen: Plan, circumstances: Circumstances) -> int:
    records: list[Record] = []
    kept = files(options, markdown, lambda: document(chosen, records, circumstances))
    kept.write()  # a file that cannot be written is told now, and not after half an hour

    def save(made: tuple[Record, ...]) -> None:
        records[:] = made
        kept.save()

    until = time.monotonic() + 60 * options["minutes"] if options["minutes"] else None
    one = Bench(options["python"], card, threading.Event(), until)
    outcome = make_all(chosen, one, around.progress(len(chosen.to_make)), save)
    print_table(document(chosen, outcome.records, circumstances))
    return _status(outcome, options["python"]) or (0 if kept.complete else FAILED)


def _status(outcome: Outcome, python: str) -> int:
    if any(record.done.reason == "no_torch" for record in outcome.records):
        click.echo(
            f"{python} has no torch: pip install 'gpuwarden[probe]', or name one: --python INTERPRETER", err=True
        )
    if outcome.interrupted:
        return _INTERRUPTED
    return 0 if outcome.complete else FAILED
