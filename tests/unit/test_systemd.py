import os
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "docs" / "systemd" / "gpuwarden.service"


def directives():
    """The unit's settings, each with all its values."""
    found = {}
    for line in UNIT.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("RestartForceExitStatus", ["75"]),
        ("RestartPreventExitStatus", ["2"]),
        ("StateDirectory", ["gpuwarden"]),
        ("User", ["gpuwarden"]),
        ("NoNewPrivileges", ["yes"]),
        ("CapabilityBoundingSet", [""]),
        ("ProtectSystem", ["strict"]),
    ],
)
def test_the_unit_restarts_what_should_and_gives_nothing_away(key, values):
    """After a driver upgrade nothing would be watched, or a hole in the exporter would be one in the box."""
    assert directives()[key] == values


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("PrivateDevices", ["no"]),
        ("ProtectProc", ["default"]),
        ("ProcSubset", ["all"]),
        ("PrivateUsers", ["no"]),
        ("DeviceAllow", ["char-nvidia* rw", "/dev/nvidiactl rw", "/dev/nvidia-uvm rw"]),
    ],
)
def test_the_unit_leaves_cards_and_processes_in_sight(key, values):
    """Under systemd, no card would be found, or nobody named who holds its memory."""
    assert directives()[key] == values


@pytest.mark.systemd
def test_systemd_takes_the_unit_and_finds_little_exposed(tmp_path):
    """A misspelt line would be ignored in silence, and with it what it protects."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("systemd-analyze is not installed")
    here = tmp_path / "gpuwarden.service"
    here.write_text(UNIT.read_text().replace("/opt/gpuwarden/.venv/bin/gpuwarden", shutil.which("true")))
    checked = subprocess.run([analyze, "verify", "--man=no", here], capture_output=True, text=True, check=False)
    rated = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=25", "--no-pager", here],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (checked.returncode, checked.stderr) == (0, "")
    assert rated.returncode == 0, rated.stdout.splitlines()[-1]
