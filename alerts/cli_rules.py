"""``gpuwarden rules``: what a file says and whether it is right, without starting anything."""

import pathlib
from collections.abc import Sequence

import click

from alerts import cli_rule_tests
from alerts.prometheus_rules import rule_file
from alerts.promtool_tests import without_annotations
from alerts.reading_words import condition_words, number_words
from alerts.rule import Rule
from alerts.rules import SHIPPED, load_rules
from alerts.rules_in_force import FILE, mistakes_to_stderr, parts_in_force, rules_options
from gpuwarden.units import format_duration

_COLUMNS = ("ALERT", "FIRES WHEN", "CLEARS", "FOR", "KEEPS", "SEVERITY")


@click.group()
def rules() -> None:
    """Look at alert rules."""


rules.add_command(cli_rule_tests.test)


@rules.command()
@click.argument("files", nargs=-1, type=FILE)
def check(files: tuple[pathlib.Path, ...]) -> None:
    """Check rules FILES on top of the shipped rules; exit status 2 when there is a mistake."""
    with mistakes_to_stderr():
        found = load_rules(SHIPPED, files)
    click.echo(f"ok: {len(found)} rules")


@rules.command("list")
@rules_options
def list_(config: pathlib.Path | None, files: tuple[str, ...]) -> None:
    """Show the rules that are in force."""
    rows = [_COLUMNS, *(_row(rule) for rule in _in_force(config, files))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@rules.command()
@rules_options
@click.option("--tests", type=FILE, metavar="FILE", help="Print a file of rule tests for promtool instead.")
@click.option("--no-annotations", is_flag=True, help="Leave the texts out, as promtool's tests need it.")
def prometheus(
    config: pathlib.Path | None, files: tuple[str, ...], tests: pathlib.Path | None, *, no_annotations: bool
) -> None:
    """Print the rules that are in force as a Prometheus rule file.

    A test that is printed by --tests expects the rules of --no-annotations beside it as gpuwarden.rules.yml.
    """
    parts = parts_in_force(config, files)
    in_force = tuple(part.rule for part in parts if part.enabled)
    if tests:
        (found,) = cli_rule_tests.tests_of([tests], parts, with_expr=True)
        text = cli_rule_tests.promtool_text(found, in_force)
    else:
        text = rule_file(in_force)
    click.echo(without_annotations(text) if no_annotations and not tests else text, nl=False)


def _in_force(config: pathlib.Path | None, files: Sequence[str]) -> tuple[Rule, ...]:
    return tuple(part.rule for part in parts_in_force(config, files) if part.enabled)


def _row(rule: Rule) -> tuple[str, ...]:
    return (
        rule.alert,
        condition_words(rule),
        "" if rule.clear is None else number_words(rule, rule.clear),
        format_duration(rule.for_),
        format_duration(rule.keep_firing_for),
        rule.severity,
    )
