"""``gpuwarden rules test``: do the rules in force fire on a person's own series as they should?"""

import pathlib
from collections.abc import Iterable, Sequence

import click

from alerts.prometheus_rules import rule_file
from alerts.promtool import check_tests
from alerts.promtool_tests import RULE_FILE, promtool_document, without_annotations
from alerts.rule import Rule
from alerts.rule_test import RuleTest
from alerts.rule_test_file import rule_tests
from alerts.rule_tests import Fires, failures, run
from alerts.rules import Part
from alerts.rules_in_force import FILE, mistakes_to_stderr, parts_in_force, rules_options
from gpuwarden.documents import DocumentError, Mistake, read
from gpuwarden.options import FAILED

Judged = tuple[RuleTest, Fires]


@click.command()
@click.argument("files_of_tests", metavar="FILE...", nargs=-1, required=True, type=FILE)
@rules_options
@click.option("--promtool", is_flag=True, help="Ask Prometheus's own promtool as well; it must be on the PATH.")
def test(
    files_of_tests: tuple[pathlib.Path, ...], config: pathlib.Path | None, files: tuple[str, ...], *, promtool: bool
) -> None:
    """Run the rules on the series that each FILE gives and compare when they fire.

    Exit status 1 when an alert fires at another time than the FILE says, 2 when a FILE is wrong.
    """
    parts = parts_in_force(config, files)
    rules = tuple(part.rule for part in parts if part.enabled)
    tests = tests_of(files_of_tests, parts, with_expr=promtool)
    judged = [judged_by(group, rules) for group in tests]
    failed = sum(_failed(one, fires) for group in judged for one, fires in group)
    said = _promtool(judged, rules) if promtool else []
    for text in said:
        click.echo(text)
    count = sum(map(len, tests))
    click.echo(f"{failed} of {count} tests failed" if failed else f"ok: {_counted(count, 'test')}")
    if promtool:
        whole = _counted(len(tests), "file")
        click.echo(f"promtool: {len(said)} of {whole} failed" if said else f"promtool ok: {whole}")
    if failed or said:
        raise click.exceptions.Exit(FAILED)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def tests_of(files: Iterable[pathlib.Path], parts: Sequence[Part], *, with_expr: bool) -> list[tuple[RuleTest, ...]]:
    """The tests of each file; with a mistake in any of them all are printed, and the command ends."""
    rules = tuple(part.rule for part in parts if part.enabled)
    off = {part.rule.alert for part in parts} - {rule.alert for rule in rules}
    tests: list[tuple[RuleTest, ...]] = []
    mistakes: list[Mistake] = []
    for file in files:
        try:
            tests.append(rule_tests(read(file, as_written=True), rules, off=off, with_expr=with_expr))
        except DocumentError as error:
            mistakes.extend(error.mistakes)
    with mistakes_to_stderr():
        if mistakes:
            raise DocumentError(mistakes)
    return tests


def judged_by(tests: Iterable[RuleTest], rules: Sequence[Rule]) -> list[Judged]:
    """The tests of one file, each with what our own judge finds."""
    return [(one, run(one, rules)) for one in tests]


def _failed(test: RuleTest, fires: Fires) -> bool:
    found = failures(test, fires)
    for failure in found:
        click.echo(f"FAILED {failure}")
    return bool(found)


def _promtool(files: Iterable[Sequence[Judged]], rules: Sequence[Rule]) -> list[str]:
    """What promtool says of the files in which it does not agree."""
    rule_files = {RULE_FILE: without_annotations(rule_file(rules))}
    found = ((tests[0][0].file, check_tests(rule_files, promtool_document(tests, rules))) for tests in files)
    return [f"FAILED {file} under promtool:\n{said}" for file, said in found if said]
