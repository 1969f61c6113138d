"""``gpuwarden bench --show FILE``: an earlier run, judged by the claims of today; and how a table is printed."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from exporter.bench.around import Options, columns
from exporter.bench.guide.claims import CLAIMS
from exporter.bench.telling.document import write
from exporter.bench.telling.markdown import markdown
from exporter.bench.telling.recorded import read, understood
from exporter.bench.telling.report import table

SHOW_OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.option(
        "--show",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Print the table of an earlier --json (with --markdown its page, too), run nothing.",
    ),
)
SHARED = frozenset({"markdown_file"})
"""Options that other modes have, too."""

_COLOURS = {"met": "green", "not met": "red", "other": "yellow"}


def show_recorded(options: Options) -> int:
    """Print it, write the page; the exit status."""
    found = read(options["show"], CLAIMS)
    with understood(options["show"]):
        page, text = markdown(found), table(found, columns(), _paint)
    if options["markdown_file"]:
        write(options["markdown_file"], page)
    click.echo(text, nl=False)
    return 0


def print_table(found: Mapping[str, Any]) -> None:
    """On standard output, as wide as the terminal."""
    click.echo(table(found, columns(), _paint), nl=False)


def _paint(text: str, verdict: str) -> str:
    """In colours; click takes them away where standard output is no terminal."""
    if os.environ.get("NO_COLOR"):
        return text
    return click.style(text, fg=_COLOURS.get(verdict), dim=verdict == "not measured" or None)
