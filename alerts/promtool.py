"""Running promtool, which is found on the PATH."""

import pathlib
import shutil
import subprocess
import tempfile

from gpuwarden.errors import GpuwardenError, UserInputError

_LONGEST_RUN = 300.0


class NoPromtoolError(UserInputError):
    """promtool is not on the PATH."""


class PromtoolError(GpuwardenError):
    """promtool did not come to an end."""


def check_tests(rule_files: dict[str, str], tests: str) -> str:
    """What promtool says of a unit test, empty where all is well; ``rule_files`` are texts by name.

    Raises:
        NoPromtoolError: there is no promtool.
        PromtoolError: it did not end in time.
    """
    program = shutil.which("promtool")
    if program is None:
        message = "promtool is not on the PATH: it comes with Prometheus (Debian and Ubuntu: apt install prometheus)"
        raise NoPromtoolError(message)
    with tempfile.TemporaryDirectory(prefix="gpuwarden-") as folder:
        for name, text in {**rule_files, "tests.yml": tests}.items():
            (pathlib.Path(folder) / name).write_text(text, encoding="utf-8")
        command = [program, "test", "rules", "tests.yml"]
        try:
            ended = subprocess.run(  # noqa: S603 -- the program that the user asked for, on files of ours
                command, cwd=folder, capture_output=True, text=True, timeout=_LONGEST_RUN, check=False
            )
        except subprocess.TimeoutExpired as error:
            message = f"promtool did not end within {_LONGEST_RUN:g} s"
            raise PromtoolError(message) from error
    said = "\n".join(line for line in (ended.stdout + ended.stderr).splitlines() if line.strip())
    return "" if ended.returncode == 0 and "SUCCESS" in said else said or f"promtool ended with {ended.returncode}"
