"""Who a process is, on real processes, and how a long list is cut."""

import os
import subprocess
import sys
import threading
import time

import psutil
import pytest

from exporter.processes.capping import OTHERS, capped
from exporter.processes.labels import program_name
from exporter.processes.lookups import Lookups
from exporter.processes.procfs import lengthened
from exporter.processes.table import ProcessTable
from exporter.processes.users import UserNames, name_in
from exporter.snapshot import GpuProcess
from tests.polling import wait_until

_RENAME = """
import ctypes, sys
for line in sys.stdin:
    ctypes.CDLL(None).prctl(15, bytes.fromhex(line.strip()))
    print(flush=True)
"""


@pytest.fixture
def renamed():
    """``renamed(b"name")`` is a running process that calls itself so; given one, it renames that."""
    running = []

    def start(name, process=None):
        if process is None:
            process = subprocess.Popen(
                [sys.executable, "-c", _RENAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
            running.append(process)
        process.stdin.write(name.hex() + "\n")
        process.stdout.readline()
        return process

    yield start
    for process in running:
        process.communicate()


def until(reached):
    wait_until(reached, 5, "not reached in time")


def test_a_process_has_a_name_and_a_user():
    """The mail names who holds the memory."""
    table = ProcessTable()
    assert table.describe(os.getpid()).name == psutil.Process().name()
    until(lambda: table.describe(os.getpid()).user == psutil.Process().username())


class Directory:
    """A name service that answers with what ``names`` holds, once ``reachable`` is set."""

    def __init__(self, **names):
        self.names = {int(number.removeprefix("u")): name for number, name in names.items()}
        self.asked = []
        self.reachable = threading.Event()
        self.reachable.set()

    def look_up(self, number):
        self.asked.append(number)
        assert self.reachable.wait(30)
        return self.names[number]


def test_a_slow_name_service_does_not_hold_up_the_reading():
    """A GPU stood as "does not answer" because the directory with the users' names did not."""
    directory, own = Directory(), os.getuid()
    directory.names[own] = "ann"
    directory.reachable.clear()
    table = ProcessTable(users=UserNames(directory.look_up))
    try:
        assert [table.describe(os.getpid()).user for _ in range(3)] == [str(own)] * 3
        until(lambda: directory.asked == [own])
    finally:
        directory.reachable.set()
    until(lambda: table.describe(os.getpid()).user == "ann")
    assert directory.asked == [own]


def test_a_name_that_could_not_be_had_is_asked_for_again_after_a_minute():
    """A directory that was out of reach for a moment must not leave a number in every mail until a restart."""
    now, directory = [0.0], Directory(u8="bob")
    names = Lookups("names", directory.look_up, monotonic=lambda: now[0])
    assert names.known(7) == ""
    until(lambda: names.known(8) == "bob")
    now[0] = 59.0
    assert names.known(7) == ""
    directory.names[7] = "ann"
    now[0] = 60.0
    until(lambda: names.known(7) == "ann")
    assert directory.asked == [7, 8, 7]


def test_a_name_that_changes_is_noticed_and_stands_until_then():
    """A container that was renamed would carry its old name for months, and a dead engine would take names away."""
    now, directory = [0.0], Directory(u7="before")
    names = Lookups("names", directory.look_up, renew=600, monotonic=lambda: now[0])
    until(lambda: names.known(7) == "before")
    now[0], directory.names = 600.0, {}
    until(lambda: names.known(7) == "before" and len(directory.asked) == 2)
    now[0], directory.names = 660.0, {7: "after"}
    until(lambda: names.known(7) == "after")


def test_a_name_service_that_hangs_is_not_asked_without_end():
    """An exporter that runs for months beside a dead directory must not grow, and must go on when it is back."""
    directory = Directory(**{f"u{number}": f"name{number}" for number in range(100)})
    directory.reachable.clear()
    names = Lookups("names", directory.look_up, waiting=3, size=10)
    try:
        names.known(0)
        until(lambda: directory.asked == [0])
        assert {names.known(number) for number in range(100)} == {""}
        assert names._questions.qsize() == 3
        assert names._asked == {0, 1, 2, 3}
    finally:
        directory.reachable.set()
    for number in range(100):
        until(lambda number=number: names.known(number) == f"name{number}")
        assert len(names._answers) <= 10


def test_a_look_up_that_fails_in_an_unforeseen_way_ends_no_others():
    """One odd answer of a directory would leave every other user without a name until a restart."""
    directory = Directory(u8="bob")
    directory.names[7] = None
    names = Lookups("names", directory.look_up)
    names.known(7)
    until(lambda: names.known(8) == "bob")


def test_users_of_the_host_are_found_in_its_own_file(tmp_path):
    """In a container, the host's user 1000 would carry the name of whoever is 1000 in the image."""
    passwd = tmp_path / "passwd"
    passwd.write_bytes(b"root:x:0:0::/root:/bin/sh\n\n#:\nann\xff:x:1000:1000:Ann:/home/ann:/bin/sh\nbroken\n:x:7:\n")
    look_up = name_in(passwd)
    assert (look_up(0), look_up(1000)) == ("root", "ann\ufffd")
    for number in (7, 100):
        with pytest.raises(KeyError):
            look_up(number)
    passwd.unlink()
    with pytest.raises(OSError, match="passwd"):
        look_up(0)


def test_the_name_of_a_user_is_cleaned():
    """A directory may hold anything, and a line break in a name must not forge a line of a mail."""
    users = UserNames(Directory(u7="evil\nHost: forged").look_up)
    until(lambda: users.name(7) == "evil Host: forged")


def test_a_process_that_is_not_there_has_none():
    """A process of another namespace must not get a stranger's name."""
    assert ProcessTable().describe(2**22 - 1) is None
    assert ProcessTable().describe(-1) is None


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"a\nb", "a b"), (b"\xff\xfe", "\ufffd\ufffd"), (b'q"\\', 'q"\\'), (b"\x1b[31mred", "[31mred"), (b"\n", "")],
)
def test_a_process_that_names_itself_to_break_something(renamed, name, shown):
    """A process name with a line break or bytes that are no text must not reach page or mail."""
    assert ProcessTable().describe(renamed(name).pid).name == shown


def test_arguments_are_never_part_of_a_name(tmp_path):
    """Command lines hold tokens and passwords."""
    program = tmp_path / "averyverylongname"
    program.symlink_to("/bin/sleep")
    title = f"{program} --token=secret"
    table = ProcessTable()
    with subprocess.Popen([title, "60"], executable=program) as process:
        try:
            end = time.monotonic() + 5
            while (name := table.describe(process.pid).name) != "averyverylongname":
                assert "secret" not in name
                assert time.monotonic() < end
        finally:
            process.kill()


def test_a_renamed_process_is_noticed(renamed):
    """Model servers rename themselves once they are up; the name of their launcher tells nobody anything."""
    table = ProcessTable()
    process = renamed(b"before")
    assert table.describe(process.pid).name == "before"
    renamed(b"after", process)
    assert table.describe(process.pid).name == "after"


def test_the_table_does_not_grow_without_limit(renamed):
    """An exporter that runs for months must not remember every process it has seen."""
    table = ProcessTable(size=2)
    for process in [renamed(b"x") for _ in range(4)]:
        table.describe(process.pid)
    assert len(table._known) == 2


def test_a_process_that_was_not_read_for_a_minute_is_forgotten(renamed):
    """Four thousand short jobs would hold four megabytes of the exporter's memory until it is restarted."""
    now = [0.0]
    table = ProcessTable(monotonic=lambda: now[0])
    ended, stays = renamed(b"short"), renamed(b"long")
    table.describe(ended.pid)
    now[0] = 60.0
    table.describe(stays.pid)

    assert [pid for pid, _ in table._known] == [stays.pid]


@pytest.mark.parametrize(
    ("comm", "cmdline", "shown"),
    [
        (b"python3", b"/usr/bin/python3\0-m\0train\0", b"python3"),
        (b"averyverylongna", b"/opt/averyverylongname\0--x\0", b"averyverylongname"),
        (b"averyverylongna", b"averyverylongname --token=secret", b"averyverylongname"),
        (b"averyverylongna", b"/opt/averyverylongname --data=/secret", b"averyverylongname"),
        (b"averyverylongna", b"/opt/a b/averyverylongname\0", b"averyverylongname"),
        (b"averyverylongna", b"other --token=secret", b"averyverylongna"),
        (b"averyverylongna", b"", b"averyverylongna"),
        (b"server with sp ", b"server with sp --token=abc", b"server with sp "),
        (b"server with spa", b"server with spaces --token=abc", b"server with spaces"),
    ],
)
def test_a_long_name_is_completed_and_nothing_else(comm, cmdline, shown):
    """The kernel cuts names, and what follows the program in a rewritten command line may be a secret."""
    assert lengthened(comm, cmdline) == shown


@pytest.mark.parametrize(
    ("command", "name"),
    [("/usr/bin/python3 train.py --key x", "python3"), ("python3", "python3"), ("", ""), ("  \n", ""), ("/a/", "")],
)
def test_the_program_of_a_command_line(command, name):
    """The driver's own name for a process comes with path and arguments."""
    assert program_name(command) == name


def process(pid, memory):
    return GpuProcess(pid=pid, name=f"p{pid}", memory_bytes=memory)


def test_the_largest_holders_come_first():
    """The mail shows the first few."""
    ranked = capped([process(1, 5.0), process(2, None), process(3, 9.0), process(4, 0.0)])
    assert [item.pid for item in ranked] == [3, 1, 4, 2]


def test_what_is_cut_is_summed():
    """The rows must add up to what is held, whatever the limit."""
    ranked = capped([process(number, float(number)) for number in range(1, 11)], limit=3)
    assert [item.pid for item in ranked] == [10, 9, 8, 0]
    assert ranked[-1] == GpuProcess(pid=0, name=OTHERS, memory_bytes=28.0)


def test_a_cut_of_unknown_memory_stays_unknown():
    """A sum of nothing is not zero bytes."""
    assert capped([process(1, 1.0), process(2, None), process(3, None)], limit=1)[-1].memory_bytes is None
