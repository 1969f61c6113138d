"""Stands in for an interpreter with torch: takes the workload's path as any Python would, and runs a script instead."""

import shlex
import sys
from pathlib import Path

from tests.fakes.workload import stand_in


def interpreter(folder: Path, text: str) -> str:
    """The path of a program that, given the workload, does ``text`` with the workload's way to talk."""
    return _program(folder, f"{shlex.quote(sys.executable)} {shlex.quote(stand_in(folder, text))}")


def without_torch(folder: Path) -> str:
    """The path of a real Python that has the standard library and nothing else."""
    return _program(folder, f'{shlex.quote(sys.executable)} -S "$@"')


def _program(folder: Path, command: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\nexec {command}\n")
    path.chmod(0o755)
    return str(path)
