"""What surrounds the runs of a bench, in whatever mode: the card, the host, the line that shows progress."""

import datetime as dt
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from typing import Any

import click

from exporter.bench.running.card import MeasuredCard, NoCardError, open_card
from exporter.bench.running.patience import answered
from exporter.bench.running.progress import Progress
from exporter.bench.telling.document import Circumstances
from exporter.bench.telling.report import NARROWEST
from gpuwarden import __version__

Options = Mapping[str, Any]

_QUIET = frozenset({"json_file", "markdown_file", "only_list", "python", "show"})


def card_to_measure(options: Options) -> MeasuredCard | None:
    """The card that was asked for, None for the processor.

    Raises:
        NoCardError: a card was asked for, and there is none.
        DriverHangsError: the driver does not answer.
    """
    if options["device"] == "cpu" or options["tiny"]:
        if options["gpu"]:
            message = "--gpu names a card, and nothing is run on one"
            raise click.UsageError(message)
        return None
    card = answered(lambda: open_card(options["gpu"]))
    if card is None and options["device"] == "cuda":
        message = "no card is found here (gpuwarden exporter says why); on the processor: --device cpu"
        raise NoCardError(message)
    return card


def circumstances(options: Options, card: MeasuredCard | None) -> Circumstances:
    """What stands above the results; of the options without those that say nothing of the figures."""
    described = answered(card.described) if card else {}
    told = {name: value for name, value in options.items() if value and name not in _QUIET}
    host = {"cpus": os.cpu_count(), "machine": platform.machine(), "system": platform.system()}
    return Circumstances(
        __version__, dt.datetime.now().astimezone().isoformat(timespec="seconds"), told, described, host
    )


def progress(total: int) -> Progress:
    """On standard error; one line that moves where that is a terminal."""
    width = columns() if sys.stderr.isatty() else 0
    return Progress(lambda text: click.echo(text, nl=False, err=True), width, total)


def columns() -> int:
    """How wide the terminal is."""
    return shutil.get_terminal_size((NARROWEST, 24)).columns
