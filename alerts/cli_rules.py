"""``gpuwarden rules``: what a file says and whether it is right, without starting anything."""

import pathlib
import textwrap

import click

from alerts import cli_rule_tests
from alerts.explain import Fact, condition, facts, number
from alerts.explain_telling import telling
from alerts.expression_checks import unverified
from alerts.override_text import override_text
from alerts.prometheus_rules import rule_file
from alerts.promtool_tests import promtool_document, without_annotations
from alerts.rule import Rule
from alerts.rules import SHIPPED, load_parts
from alerts.rules_in_force import FILE, mistakes_to_stderr, parts_in_force, rules_options, settings_in_force
from gpuwarden.documents import nearest
from gpuwarden.errors import UserInputError
from gpuwarden.units import format_duration

_TOPIC, _WIDTH = 19, 90
_COLUMNS = ("ALERT", "FIRES WHEN", "CLEARS", "FOR", "KEEPS", "SEVERITY")


@click.group()
def rules() -> None:
    """Look at alert rules."""


rules.add_command(cli_rule_tests.test)


@rules.command()
@click.argument("files", nargs=-1, type=FILE)
def check(files: tuple[pathlib.Path, ...]) -> None:
    """Check rules FILES on top of the shipped rules; exit status 2 when there is a mistake.

    Where promtool is on the PATH, it is asked about each expr.
    """
    with mistakes_to_stderr():
        parts = load_parts(SHIPPED, files)
        remark = unverified(parts)
    click.echo(f"ok: {sum(part.enabled for part in parts)} rules")
    if remark:
        click.echo(remark)


@rules.command("list")
@rules_options
def list_(config: pathlib.Path | None, files: tuple[str, ...]) -> None:
    """Show the rules that are in force."""
    parts = parts_in_force(config, files)
    on = [part.rule for part in parts if part.enabled]
    rows = [_COLUMNS, *map(_row, on)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    off = dict.fromkeys(part.rule.alert for part in parts if not part.enabled)
    if silent := [name for name in off if all(rule.alert != name for rule in on)]:
        click.echo(f"\nSwitched off: {', '.join(silent)}")


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
        text = promtool_document(cli_rule_tests.judged_by(found, in_force), in_force)
    else:
        text = rule_file(in_force)
    click.echo(without_annotations(text) if no_annotations and not tests else text, nl=False)


def _row(rule: Rule) -> tuple[str, ...]:
    return (
        rule.alert,
        condition(rule),
        "" if rule.clear is None else number(rule, rule.clear),
        format_duration(rule.for_),
        format_duration(rule.keep_firing_for),
        rule.severity,
    )


@rules.command()
@click.argument("name")
@rules_options
def explain(name: str, config: pathlib.Path | None, files: tuple[str, ...]) -> None:
    """Say in words what the rule NAME does, as it is in force, whom it tells, and how to change it."""
    parts = parts_in_force(config, files)
    found = [part for part in parts if part.rule.alert == name]
    if not found:
        hint = nearest(name, (part.rule.alert for part in parts))
        raise UnknownRuleError(f"there is no rule {name[:100]!r}" + (f" ({hint})" if hint else ""))
    in_force = settings_in_force(config, files)
    for part in found:
        click.echo(name)
        whom = telling(part.rule, in_force.policy, in_force.recipients)
        for fact in (*facts(part.rule, enabled=part.enabled), Fact("tells", whom)):
            click.echo(_wrapped(fact))
        click.echo(f"\nTo change it, in a file of yours:\n\n{override_text(part.rule, enabled=part.enabled)}")


class UnknownRuleError(UserInputError):
    """There is no rule of this name."""


def _wrapped(fact: Fact) -> str:
    """A fact as a paragraph beside its topic."""
    indent = " " * _TOPIC
    lines = textwrap.wrap(" ".join(fact.text.split()), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return f"  {fact.topic.ljust(_TOPIC - 2)}" + f"\n{indent}".join(lines)
