"""``gpuwarden rules``: what a file says and whether it is right, without starting anything."""

import os
import pathlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import click

from alerts.matchers import Matcher
from alerts.prometheus_rules import rule_file
from alerts.rule import Rule
from alerts.rules import SHIPPED, load_rules
from alerts.settings import AlerterSettings
from gpuwarden import settings
from gpuwarden.documents import DocumentError
from gpuwarden.options import config_option
from gpuwarden.units import format_duration, format_value

_FILE = click.Path(path_type=pathlib.Path)
_FILES = click.option(
    "--rules",
    "files",
    multiple=True,
    metavar="FILE",
    help="Rules on top of the shipped ones, in place of those that the settings name; may be repeated.",
)
_COLUMNS = ("ALERT", "FIRES WHEN", "CLEARS", "FOR", "KEEPS", "SEVERITY")


@click.group()
def rules() -> None:
    """Look at alert rules."""


@rules.command()
@click.argument("files", nargs=-1, type=_FILE)
def check(files: tuple[pathlib.Path, ...]) -> None:
    """Check rules FILES on top of the shipped rules; exit status 2 when there is a mistake."""
    with _mistakes_to_stderr():
        found = load_rules(SHIPPED, files)
    click.echo(f"ok: {len(found)} rules")


@rules.command("list")
@config_option
@_FILES
def list_(config: pathlib.Path | None, files: tuple[str, ...]) -> None:
    """Show the rules that are in force."""
    rows = [_COLUMNS, *(_row(rule) for rule in _in_force(config, files))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@rules.command()
@config_option
@_FILES
def prometheus(config: pathlib.Path | None, files: tuple[str, ...]) -> None:
    """Print the rules that are in force as a Prometheus rule file."""
    click.echo(rule_file(_in_force(config, files)), nl=False)


def _in_force(config: pathlib.Path | None, files: Sequence[str]) -> tuple[Rule, ...]:
    """What the alerter would judge by with the same settings and flags."""
    flags = {"rules": [*files] or None}
    with _mistakes_to_stderr():
        loaded = settings.load("alerter", AlerterSettings, config=config, environ=os.environ, flags=flags)
        return load_rules(SHIPPED, loaded.values.rule_files)


@contextmanager
def _mistakes_to_stderr() -> Generator[None]:
    """Print each mistake of a file and end with exit status 2."""
    try:
        yield
    except DocumentError as error:
        for mistake in error.mistakes:
            click.echo(str(mistake), err=True)
        raise click.exceptions.Exit(2) from error


def _row(rule: Rule) -> tuple[str, ...]:
    return (
        rule.alert,
        f"{_series(rule)} {rule.comparison} {_number(rule, rule.threshold)}",
        "" if rule.clear is None else _number(rule, rule.clear),
        format_duration(rule.for_),
        format_duration(rule.keep_firing_for),
        rule.severity,
    )


def _series(rule: Rule) -> str:
    selector = _group(rule.where) if rule.where else ""
    others = "".join(f" (not {_group(group)})" for group in rule.unless)
    return f"{rule.metric}{selector}{others}"


def _group(matchers: Sequence[Matcher]) -> str:
    return f"{{{', '.join(map(str, matchers))}}}"


def _number(rule: Rule, number: float) -> str:
    return f"{number:g}" if rule.unit == "bool" else format_value(number, rule.unit)
