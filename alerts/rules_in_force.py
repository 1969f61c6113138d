"""What every command about rules shares: the options that choose the rules in force, and mistakes as exit status 2."""

import os
import pathlib
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from alerts.rules import SHIPPED, Part, load_parts
from alerts.settings import AlerterSettings
from gpuwarden import settings
from gpuwarden.documents import DocumentError
from gpuwarden.options import WRONG_INPUT, config_option

FILE = click.Path(path_type=pathlib.Path)

Function = TypeVar("Function", bound=Callable[..., Any])

_FILES = click.option(
    "--rules",
    "files",
    multiple=True,
    metavar="FILE",
    help="Rules on top of the shipped ones, in place of those that the settings name; may be repeated.",
)


def rules_options(function: Function) -> Function:
    """``--config FILE`` and ``--rules FILE``."""
    return config_option(_FILES(function))


def settings_in_force(config: pathlib.Path | None, files: Sequence[str]) -> AlerterSettings:
    """The alerter's settings with the same flags."""
    flags = {"rules": [*files] or None}
    with mistakes_to_stderr():
        return settings.load("alerter", AlerterSettings, config=config, environ=os.environ, flags=flags).values


def parts_in_force(config: pathlib.Path | None, files: Sequence[str]) -> tuple[Part, ...]:
    """What the alerter would judge by with the same settings and flags, and what is switched off there."""
    found = settings_in_force(config, files)
    with mistakes_to_stderr():
        return load_parts(SHIPPED, found.rule_files)


@contextmanager
def mistakes_to_stderr() -> Generator[None]:
    """Print each mistake of a file and end with exit status 2."""
    try:
        yield
    except DocumentError as error:
        for mistake in error.mistakes:
            click.echo(str(mistake), err=True)
        raise click.exceptions.Exit(WRONG_INPUT) from error
