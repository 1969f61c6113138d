"""Containers' names from engines that answer, and from those that do not."""

import os

import pytest

from exporter.processes.engines import ContainerNames
from exporter.processes.lookups import Lookups
from exporter.processes.table import ProcessTable
from tests.fakes.engine import Engine
from tests.polling import wait_until

ID = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970"
OTHER = "9ec39b91f3d70e1beff50a308f77067065ea6be0d91a3378375056cd4422cf3d"


@pytest.fixture
def engine(tmp_path):
    with Engine(tmp_path / "engine.sock", {ID: "trainer"}) as running:
        yield running


def asking(*sockets, patience=5.0):
    return ContainerNames([str(path) for path in sockets], patience)


def host(folder, **containers):
    """A table of the processes of a host in a folder: their number and the container that they run in."""
    for pid, identity in containers.items():
        place(folder, int(pid.removeprefix("p")), identity)
    return folder


def place(folder, pid, identity, started=100):
    own = folder / "proc" / str(pid)
    own.mkdir(parents=True, exist_ok=True)
    (own / "stat").write_text(f"{pid} (python3) S {' '.join(['0'] * 18)} {started} 1 2\n")
    (own / "status").write_text("Name:\tpython3\nUid:\t1000\t1000\t1000\t1000\n")
    (own / "cgroup").write_text(f"0::/system.slice/docker-{identity}.scope\n" if identity else "0::/init.scope\n")
    (own / "cmdline").write_bytes(b"python3\0train.py\0")


def test_an_engine_names_a_container(engine):
    """A user would have to look ids up by hand."""
    assert asking(engine.path).look_up(ID) == "trainer"
    assert engine.asked == [f"/containers/{ID}/json"]


def test_a_container_that_no_engine_knows(engine):
    """A container of another engine would take a name from an error message."""
    with pytest.raises(KeyError):
        asking(engine.path).look_up(OTHER)


def test_the_next_engine_is_asked_when_one_is_gone_or_does_not_know(engine, tmp_path):
    """On a box with Docker and Podman, one engine that is stopped would take the names of the other away."""
    with Engine(tmp_path / "podman.sock", {OTHER: "server"}) as podman:
        names = asking(tmp_path / "not-there.sock", engine.path, podman.path)
        assert (names.look_up(ID), names.look_up(OTHER)) == ("trainer", "server")
    with pytest.raises(OSError, match="No such file"):
        names.look_up(OTHER)


@pytest.mark.parametrize("behaviour", ["garbage", "no_json", "nested", "no_name", "endless"])
def test_an_engine_that_answers_something_else(engine, behaviour):
    """A broken engine, or another program's socket, would end the look-ups, or fill the memory."""
    engine.behaviour = behaviour
    with pytest.raises(ValueError):
        asking(engine.path).look_up(ID)


@pytest.mark.parametrize("behaviour", ["hangs", "drips"])
def test_an_engine_that_does_not_come_to_an_end(engine, behaviour):
    """An engine that hangs would be waited for for ever, and no other engine be asked."""
    engine.behaviour = behaviour
    with pytest.raises(TimeoutError):
        asking(engine.path, patience=0.2).look_up(ID)


def test_only_an_id_is_ever_asked_for(engine):
    """A name that somebody chose could make the engine do something, with the rights of root."""
    with pytest.raises(ValueError, match="full id"):
        asking(engine.path).look_up("../images/prune")
    assert engine.asked == []


def test_names_come_and_an_engine_that_goes_leaves_ids(engine, tmp_path):
    """A container would have no label at all once the engine is restarted."""
    root = host(tmp_path, p10=ID, p11=OTHER, p12="")
    table = ProcessTable(root, containers=Lookups("containers", asking(engine.path).look_up))

    assert table.describe(10).container == ID[:12]
    wait_until(lambda: table.describe(10).container == "trainer", 5, "no name")
    assert table.describe(11).container == OTHER[:12]
    assert table.describe(12).container == ""
    engine.__exit__()
    late = "a" * 64
    place(root, 13, late)
    assert table.describe(13).container == late[:12]
    assert table.describe(10).container == "trainer"


def test_an_engine_that_hangs_does_not_hold_up_a_reading(engine, tmp_path):
    """Every card would stand as "does not answer" because Docker did not."""
    engine.behaviour = "hangs"
    table = ProcessTable(host(tmp_path, p10=ID), containers=Lookups("containers", asking(engine.path).look_up))
    assert table.describe(10).container == ID[:12]
    wait_until(lambda: engine.asked, 5, "not asked")
    assert table.describe(10).container == ID[:12]


def test_a_name_of_a_container_is_cleaned(engine, tmp_path):
    """A container's name reaches page and mail."""
    engine.names[ID] = "evil\nHost: forged"
    table = ProcessTable(host(tmp_path, p10=ID), containers=Lookups("containers", asking(engine.path).look_up))
    wait_until(lambda: table.describe(10).container == "evil Host: forged", 5, "no name")


def test_what_no_engine_can_know_is_not_asked_for(engine, tmp_path):
    """An engine would be asked every minute for the containers of LXC, and log an error each time."""
    place(tmp_path, 10, "")
    (tmp_path / "proc/10/cgroup").write_text("0::/lxc.payload.box/init.scope\n")
    place(tmp_path, 11, ID)
    names = Lookups("containers", asking(engine.path).look_up)
    table = ProcessTable(tmp_path, containers=names)
    assert table.describe(10).container == "box"
    wait_until(lambda: table.describe(11).container == "trainer", 5, "no name")
    assert list(names._answers) == [ID]


def test_a_process_id_that_is_used_again_is_another_process(tmp_path):
    """The memory of a new process would be booked on the container and the user of one that has ended."""
    table = ProcessTable(host(tmp_path, p10=ID))
    assert table.describe(10).container == ID[:12]
    place(tmp_path, 10, OTHER, started=101)
    assert table.describe(10).container == OTHER[:12]
    place(tmp_path, 10, "", started=102)
    assert table.describe(10).container == ""


def test_a_process_that_is_moved_into_a_container_is_noticed_within_a_minute(tmp_path):
    """A process that an engine moves late would stay outside its container for life."""
    now = [0.0]
    table = ProcessTable(host(tmp_path, p10=""), monotonic=lambda: now[0])
    assert table.describe(10).container == ""
    place(tmp_path, 10, ID)
    now[0] = 59.0
    assert table.describe(10).container == ""
    now[0] = 60.0
    assert table.describe(10).container == ID[:12]


def test_a_known_process_costs_one_file(tmp_path):
    """With eight cards and hundreds of processes, the exporter would cost a core of its own."""
    table = ProcessTable(host(tmp_path, p10=ID))
    before = table.describe(10)
    for name in ("status", "cgroup", "cmdline"):
        (tmp_path / "proc/10" / name).unlink()
    after = table.describe(10)
    assert (after.name, after.user, after.container) == (before.name, before.user, before.container)


def test_a_process_that_is_stuck_in_the_kernel_holds_up_no_card(tmp_path):
    """One process whose memory is locked would take every card that it is on off the page."""
    table = ProcessTable(host(tmp_path, p10="", p11=""))
    own = tmp_path / "proc/10"
    for pid in (10, 11):
        (tmp_path / f"proc/{pid}/stat").write_text(f"{pid} (train_the_model) S {' '.join(['0'] * 18)} 100 1 2\n")
    (own / "cmdline").unlink()
    os.mkfifo(own / "cmdline")

    assert table.describe(10).name == "train_the_model"
    assert table.describe(11).name == "train_the_model"
    with (own / "cmdline").open("wb") as released:
        released.write(b"/usr/bin/train_the_model_again\0")
    wait_until(lambda: table.describe(10).name == "train_the_model_again", 5, "the whole name never came")
