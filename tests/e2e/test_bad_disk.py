"""The real alerter on disks that are full, read-only or damaged."""

import hashlib
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.running import CLIENT, run
from tests.polling import wait_until
from tests.scenarios.burning import Place
from tests.scenarios.kill_loop import ROADS, Incident, Posted

FILE = "alerter.sqlite3"


def incident(number):
    return Incident(number, brief=False, began=time.time(), ended=time.time() + 1)


@pytest.fixture
def in_namespace(tmp_path):
    """Runs a command with mounts of its own; skips where the kernel does not let us."""
    unshare = shutil.which("unshare")
    if unshare is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("unshare is not installed")
    trial = [unshare, "-Urm", "mount", "-t", "tmpfs", "none", str(tmp_path)]
    if subprocess.run(trial, check=False, capture_output=True).returncode:
        pytest.skip("this kernel lets us have no mounts of our own")
    return lambda script: [unshare, "-Urm", "sh", "-euc", f'{script}; exec "$@"', "sh"]


class WriteLimit:
    """A disk that takes not one byte more."""

    before = ()

    def __init__(self, place):
        pass

    def fill(self, process):
        resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def free(self, process):
        resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class SmallDisk:
    """A file system of two megabytes with something large in it."""

    def __init__(self, place, in_namespace):
        place.state.mkdir()
        self._state = place.state
        self.before = in_namespace(f"mount -t tmpfs -o size=2m none {place.state}")

    def _large(self, process):
        return Path(f"/proc/{process.process.pid}/root{self._state}/large")

    def fill(self, process):
        with suppress(OSError), self._large(process).open("wb", buffering=0) as file:
            for _ in range(1024):
                file.write(bytes(4096))

    def free(self, process):
        self._large(process).unlink()


@pytest.fixture(params=["write limit", "small disk"])
def disk_of(request):
    """A disk that can be filled and freed."""
    if request.param == "write limit":
        return WriteLimit
    in_namespace = request.getfixturevalue("in_namespace")
    return lambda place: SmallDisk(place, in_namespace)


@pytest.mark.parametrize("road", ROADS, ids=[road.judge for road in ROADS])
def test_a_full_disk_refuses_loudly_and_nothing_is_lost_or_sent_twice(tmp_path, disk_of, road):
    """A full disk would swallow alerts while everything looks well, or mail the same ones over and over."""
    place = Place(tmp_path, road)
    disk = disk_of(place)
    with place.open(), place.alerter(before=disk.before) as process:
        process.wait_for("listening on")
        assert place.burn(incident(1))
        place.smtp.wait_mails(1, 20)
        disk.fill(process)
        assert place.burn(incident(2)) is (road is not Posted)  # Alertmanager is told to come again
        wait_until(lambda: place.health() == 503, 20, "it says that it is well")
        assert "not available" in CLIENT.get(f"{place.road.url}/status").text
        assert len(place.smtp.mails()) == 1
        disk.free(process)
        assert place.burn(incident(2))
        place.smtp.wait_mails(2, 20)
        wait_until(lambda: place.health() == 200, 20, "it does not recover")
        assert place.burn(incident(1))
        place.goes_round()

    assert place.told() == [(1, "first"), (2, "first")]
    assert "Traceback" not in process.output


def test_a_mail_that_is_accepted_while_the_disk_is_full_is_not_sent_again(tmp_path, disk_of):
    """Each try to write down that a mail is out would send it once more."""
    place = Place(tmp_path, Posted)
    disk = disk_of(place)
    with place.open(), place.alerter(before=disk.before) as process:
        process.wait_for("listening on")
        place.smtp.hold("recorded")
        assert place.burn(incident(1))
        place.smtp.wait_at("recorded")
        disk.fill(process)
        place.smtp.release("recorded")
        process.wait_for("the outbox cannot be written, trying again")
        disk.free(process)
        assert place.burn(incident(2))
        place.smtp.wait_mails(2, 20)
        place.goes_round()

    assert place.told() == [(1, "first"), (2, "first")]


def test_a_read_only_state_folder_is_named(tmp_path, in_namespace):
    """The alerter would end in a traceback, or run without remembering anything."""
    place = Place(tmp_path, Posted)
    place.state.mkdir()
    state = place.state
    before = in_namespace(f"mount --bind {state} {state}; mount -o remount,ro,bind {state}")
    with place.open(), place.alerter(before=before) as process:
        assert process.process.wait(20) == 1

    assert process.lines == [f"the state folder {state} cannot be used: Read-only file system"]


def test_a_disk_that_is_full_at_the_start_is_said(tmp_path, in_namespace):
    """The alerter would end in a traceback, or run without being able to remember anything."""
    place = Place(tmp_path, Posted)
    place.state.mkdir()
    full = f"mount -t tmpfs -o size=256k none {place.state}; head -c 1M /dev/zero > {place.state}/large 2>&- || true"
    with place.open(), place.alerter(before=in_namespace(full)) as process:
        assert process.process.wait(20) == 1

    assert re.fullmatch(rf"the state in {place.state} is not available: .*(full|space|I/O).*", process.output)


def whole_state(place):
    """A state with a mail that waits and an alert that fires, as a clean end leaves it."""
    with place.open(), place.alerter() as process:
        process.wait_for("listening on")
        place.smtp.script(mail="451 later")
        for number in range(1, 9):
            assert place.burn(incident(number))
        wait_until(lambda: process.output.count("next try in") >= 8, 20, lambda: process.output)
    return place.state / FILE


def flip_the_middle(file):
    data = bytearray(file.read_bytes())
    for start in range(len(data) // 3 // 4096 * 4096, len(data) // 3 * 2, 4096):
        data[start : start + 64] = bytes(byte ^ 0xFF for byte in data[start : start + 64])
    file.write_bytes(data)


DAMAGES = {
    "cut in half": lambda file: os.truncate(file, file.stat().st_size // 2),
    "emptied": lambda file: os.truncate(file, 0),
    "garbage at its head": lambda file: file.write_bytes(b"garbage " * 16 + file.read_bytes()[128:]),
    "flipped in the middle": flip_the_middle,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_state_is_refused_and_kept_until_a_person_sets_it_aside(tmp_path, damage):
    """The alerter would begin with an empty state, and nobody would learn which mails it has forgotten."""
    place = Place(tmp_path, Posted)
    file = whole_state(place)
    state = ("--state", str(place.state))
    assert run("state", "set-aside", *state, home=tmp_path).returncode == 1
    assert (
        "is whole: 8 alerts are remembered, 8 mails wait, 0 are given up"
        in run("state", "check", *state, home=tmp_path).stdout
    )
    damage(file)
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    with place.open(), place.alerter() as process:
        assert process.process.wait(20) == 1
    assert f"the state file {file} is damaged" in process.output
    assert "gpuwarden state set-aside" in process.output
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before
    assert run("state", "check", *state, home=tmp_path).returncode == 1

    kept = run("state", "set-aside", *state, home=tmp_path).stdout.strip().removeprefix("kept as ")
    assert hashlib.sha256(Path(kept).read_bytes()).hexdigest() == before
    with place.open(), place.alerter() as process:
        process.wait_for("listening on")
        place.smtp.script()
        assert place.burn(incident(1))
        place.smtp.wait_mails(1, 20)
    assert place.told() == [(1, "first")]


def test_a_state_of_a_newer_version_is_left_alone(tmp_path):
    """Going back to an older version could destroy what the newer one wrote."""
    place = Place(tmp_path, Posted)
    file = whole_state(place)
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    with place.open(), place.alerter() as process:
        assert process.process.wait(20) == 1

    assert "the state is of version 999" in process.output
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before


def test_a_state_that_somebody_removed_is_said(tmp_path):
    """Mails that waited would be gone without a word."""
    place = Place(tmp_path, Posted)
    file = whole_state(place)
    file.unlink()
    with place.open(), place.alerter() as process:
        process.wait_for(f"WARNING .*{file} has been removed since the last start; beginning without it")
        process.wait_for("listening on")
