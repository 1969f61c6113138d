"""Running promtool, which is found on the PATH."""

import pathlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

import yaml

from alerts.prometheus_texts import ONE_LINE
from gpuwarden.errors import GpuwardenError, UserInputError

_LONGEST_RUN = 300.0
_LONGEST_WORDS = 500
_REFUSAL = re.compile(r"(?P<number>[0-9]+)\.yml: (?:.*could not parse expression: )?(?P<words>.+)")
"""``0.yml: 1:45: group "a", rule 1, "A": could not parse expression: 1:11: parse error: unexpected end of input``."""


class NoPromtoolError(UserInputError):
    """promtool is not on the PATH."""


class PromtoolError(GpuwardenError):
    """promtool did not come to an end, or not to one that means something."""


def check_tests(rule_files: Mapping[str, str], tests: str) -> str:
    """What promtool says of a unit test, empty where all is well; ``rule_files`` are texts by name.

    Raises:
        NoPromtoolError: there is no promtool.
        PromtoolError: it did not end in time.
    """
    status, said = _run(["test", "rules", "tests.yml"], {**rule_files, "tests.yml": tests})
    return "" if status == 0 and "SUCCESS" in said else said or f"promtool ended with {status}"


def refused(expressions: Sequence[str]) -> dict[int, str]:
    """What promtool says of each expression that it refuses, by its place in the list.

    Raises:
        NoPromtoolError: there is no promtool.
        PromtoolError: it did not end in time, or refuses something else.
    """
    files = {f"{number}.yml": _rule_file(expression) for number, expression in enumerate(expressions)}
    status, said = _run(["check", "rules", *files], files)
    found: dict[int, str] = {}
    for line in said.splitlines():
        if refusal := _REFUSAL.fullmatch(line.strip()):
            found.setdefault(int(refusal["number"]), refusal["words"])
    if status != 0 and not found:
        message = f"promtool check rules ended with {status}: {said[:_LONGEST_WORDS]}"
        raise PromtoolError(message)
    return found


def _rule_file(expression: str) -> str:
    group = {"name": "gpuwarden", "rules": [{"alert": "Asked", "expr": expression}]}
    return yaml.safe_dump({"groups": [group]}, allow_unicode=True, width=ONE_LINE)


def _run(arguments: Sequence[str], files: Mapping[str, str]) -> tuple[int, str]:
    """Its exit status and what it says, of files in a folder of their own."""
    program = shutil.which("promtool")
    if program is None:
        message = "promtool is not on the PATH: it comes with Prometheus (Debian and Ubuntu: apt install prometheus)"
        raise NoPromtoolError(message)
    with tempfile.TemporaryDirectory(prefix="gpuwarden-") as folder:
        for name, text in files.items():
            (pathlib.Path(folder) / name).write_text(text, encoding="utf-8")
        try:
            ended = subprocess.run(  # noqa: S603 -- the program that the user asked for, on files of ours
                [program, *arguments], cwd=folder, capture_output=True, text=True, timeout=_LONGEST_RUN, check=False
            )
        except subprocess.TimeoutExpired as error:
            message = f"promtool did not end within {_LONGEST_RUN:g} s"
            raise PromtoolError(message) from error
    return ended.returncode, "\n".join(line for line in (ended.stdout + ended.stderr).splitlines() if line.strip())
