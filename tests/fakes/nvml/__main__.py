"""Run a command as if cards were there: python -m tests.fakes.nvml --profile rtx-3060 --profile rtx-3090 -- COMMAND."""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fakes.nvml.driver import FakeDriver
from tests.fakes.nvml.profiles import PROFILES


def main() -> int:
    """The command's exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.nvml", description=__doc__)
    parser.add_argument("--profile", action="append", choices=sorted(PROFILES), help="a card; repeat for more")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="fake-nvml-") as directory,
        FakeDriver.create(Path(directory), arguments.profile or ["rtx-3060"]) as driver,
        subprocess.Popen(arguments.command, env=os.environ | driver.environment()) as process,
    ):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command, which ends in its own time
        return process.wait()


if __name__ == "__main__":
    sys.exit(main())
