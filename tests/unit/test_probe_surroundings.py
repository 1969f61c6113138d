"""What the probe asks of the machine around the card: its power, its main memory, the Python that it names."""

import sys
import threading

import pytest

from exporter.latency.interpreter import missing, program
from exporter.latency.main_memory import Left, left_by_cgroups, within
from exporter.latency.power import on_battery

GIB = 2.0**30
BATTERY = {"type": "Battery", "status": "Discharging"}
MOUSE = {"type": "Battery", "status": "Discharging", "scope": "Device"}


def written(folder, files):
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return folder


@pytest.mark.parametrize(
    ("supplies", "expected"),
    [
        ({}, False),
        ({"BAT0": BATTERY}, True),
        ({"AC": {"type": "Mains", "online": "0"}, "BAT0": BATTERY}, True),
        ({"AC": {"type": "Mains", "online": "1"}, "BAT0": BATTERY}, False),
        ({"ucsi": {"type": "USB", "online": "1"}, "BAT0": BATTERY}, False),
        ({"BAT0": {"type": "Battery", "status": "Not charging"}}, False),
        ({"hidpp_battery_0": MOUSE}, False),
        ({"hidpp_battery_0": MOUSE, "BAT1": BATTERY}, True),
    ],
)
def test_a_machine_on_its_battery_is_told_from_one_at_the_mains(tmp_path, supplies, expected):
    """A laptop's battery would be spent on probes; or a wireless mouse would stop them on a desktop."""
    for name, files in supplies.items():
        written(tmp_path / name, files)
    assert on_battery(tmp_path) is expected
    assert on_battery(tmp_path / "nowhere") is False


def cgroups(root, path, files):
    return written(root, {"proc/self/cgroup": path, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}})


def test_the_tightest_limit_above_us_is_what_counts(tmp_path):
    """Under a unit's limit the kernel would end each run, and the probe would start the next one all the same."""
    unit = "system.slice/gpuwarden.service"
    cgroups(
        tmp_path,
        f"0::/{unit}",
        {
            f"{unit}/memory.max": "536870912",
            f"{unit}/memory.high": "max",
            f"{unit}/memory.current": "209715200",
            f"{unit}/memory.stat": "anon 104857600\ninactive_file 52428800\nactive_file 52428800",
            "system.slice/memory.max": "8589934592",
            "system.slice/memory.current": "1073741824",
        },
    )
    assert left_by_cgroups(tmp_path) == Left(536870912.0 - 104857600.0, 536870912.0)


def test_a_containers_limit_is_found_in_its_own_namespace(tmp_path):
    """In the Docker stack a probe would be started into `mem_limit`, and the container would be ended for it."""
    files = {"memory.max": str(4 * 2**30), "memory.high": str(2 * 2**30), "memory.current": str(2**30)}
    cgroups(tmp_path, "0::/", files)
    assert left_by_cgroups(tmp_path) == Left(GIB, 2 * GIB)


def test_the_older_cgroups_are_read(tmp_path):
    """On an older distribution a container's limit would be passed over."""
    files = {
        "memory/memory.limit_in_bytes": str(2 * 2**30),
        "memory/memory.usage_in_bytes": str(2**30),
        "memory/memory.stat": f"inactive_file 0\ntotal_inactive_file {2**29}",
    }
    cgroups(tmp_path, "9:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n0::/", files)
    assert left_by_cgroups(tmp_path) == Left(1.5 * GIB, 2 * GIB)


@pytest.mark.parametrize("limit", ["max", str(2**63 - 4096), "", "none"])
def test_where_nothing_is_limited_the_hosts_figure_counts(tmp_path, limit):
    """On most machines the probe would never run."""
    cgroups(tmp_path, "4:memory:/\n0::/", {"memory/memory.limit_in_bytes": limit, "memory.max": limit})
    assert left_by_cgroups(tmp_path) == Left(None, None)
    assert left_by_cgroups(tmp_path / "nowhere") == Left(None, None)
    assert within(Left(3.0, 4.0), Left(None, None)) == Left(3.0, 4.0)
    assert within(Left(None, None), Left(1.0, 2.0)) == Left(1.0, 2.0)
    assert within(Left(3.0, 4.0), Left(1.0, 8.0)) == Left(1.0, 4.0)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (None, sys.executable),
        ("python3", "python3"),
        ("/opt/my torch/bin/python", "/opt/my torch/bin/python"),
        ("venv/bin/python", "{here}/venv/bin/python"),
        ("./python", "{here}/python"),
        ("~/venv/bin/python", "{home}/venv/bin/python"),
    ],
)
def test_a_python_is_meant_as_in_a_shell(tmp_path, monkeypatch, named, expected):
    """A path from the folder in which gpuwarden was started would not be found, though it is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert program(named) == expected.format(here=tmp_path, home="/home/me")


def test_a_home_that_nobody_knows_ends_nothing(monkeypatch):
    """In a container with a user of its own, the exporter would not start."""
    assert program("~nobody-of-that-name/bin/python").endswith("bin/python")


def test_the_look_at_a_python_does_not_see_our_settings(tmp_path, monkeypatch):
    """A mail server's password would be in the environment of a program that has nothing to do with it."""
    monkeypatch.setenv("GPUWARDEN_ALERTER_MAIL_PASSWORD", "secret")
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\nexit 3\n")
    python.chmod(0o755)

    assert missing(str(python), threading.Event()) == "no_torch"
    assert "GPUWARDEN_" not in (tmp_path / "seen").read_text()
