"""Who holds a card's memory, from the driver's lists into the snapshot."""

import os
import subprocess
import sys
import time

import pytest

from tests.contract.nvml_child import Sampling
from tests.fakes.nvml.codes import Kind, Return
from tests.fakes.nvml.gpu import Process

GIB = 2**30
ONE_CALL, ALL_CALL = "nvmlDeviceGetProcessUtilization", "nvmlDeviceGetProcessesUtilizationInfo"
LISTS = [
    f"nvmlDeviceGet{kind}RunningProcesses{version}" for kind in ("Compute", "Graphics") for version in ("_v2", "_v3")
]


@pytest.fixture
def card(fake_driver):
    """A driver with one card of 12 GiB that holds 10."""
    driver = fake_driver("rtx-3060")
    driver.gpu(0).memory_used = 10 * GIB
    return driver


@pytest.fixture
def others():
    """Processes of our own, besides this one."""
    running = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(2)]
    yield [process.pid for process in running]
    for process in running:
        process.communicate()


def first(driver, **settings):
    with Sampling(driver.environment(), **settings) as child:
        return child.until_up(True)["gpus"][0]


def by_pid(gpu, name):
    return {process["pid"]: process[name] for process in gpu["processes"]}


def test_memory_that_no_process_holds(card):
    """Memory that a crashed program left behind would be looked for in vain among the processes."""
    card.gpu(0).set_processes([Process(os.getpid(), 6 * GIB), Process(os.getppid(), GIB)])
    assert first(card)["memory_unaccounted_bytes"] == 3 * GIB


def test_memory_in_two_lists_is_accounted_for_once(card):
    """A program that computes and draws would hide as much of a leak as it holds itself."""
    card.gpu(0).set_processes(
        [
            Process(os.getpid(), 6 * GIB, Kind.COMPUTE | Kind.GRAPHICS),
            Process(os.getppid(), 2 * GIB, Kind.COMPUTE | Kind.MPS),
        ]
    )
    assert first(card)["memory_unaccounted_bytes"] == 2 * GIB


def test_processes_that_hold_more_than_is_used_leave_nothing(card):
    """Shared memory stands in the figure of each process; a leak of -5 GiB would be nonsense."""
    card.gpu(0).set_processes([Process(os.getpid(), 9 * GIB), Process(os.getppid(), 6 * GIB)])
    assert first(card)["memory_unaccounted_bytes"] == 0


def test_memory_of_processes_that_the_driver_does_not_tell(card):
    """Under WSL all memory would seem to be held by nobody."""
    card.gpu(0).set_processes([Process(os.getpid(), None)])
    gpu = first(card, workloads=[{"name": "all", "process": ".*", "budget": 0.5}])
    assert gpu["memory_unaccounted_bytes"] is None
    assert gpu["workload_memory_used_bytes"] == {}


def test_a_list_that_fails_for_now_leaves_sums_unknown(card):
    """For one second, all memory would be unaccounted for and every budget empty."""
    card.gpu(0).set_processes([Process(os.getpid(), 6 * GIB), Process(os.getppid(), GIB, Kind.GRAPHICS)])
    group = {"name": "all", "process": ".*"}
    with Sampling(card.environment(), workloads=[group]) as child:
        gpu = child.until_up(True)["gpus"][0]
        assert gpu["workload_memory_used_bytes"] == {"all": 7 * GIB}
        card.gpu(0).fail("nvmlDeviceGetComputeRunningProcesses_v3", Return.UNKNOWN)
        gpu = child.until(lambda found: len(found["gpus"][0]["processes"]) == 1)["gpus"][0]
        assert gpu["memory_unaccounted_bytes"] is None
        assert gpu["workload_memory_used_bytes"] == {}
        card.gpu(0).heal()
        child.until(lambda found: found["gpus"][0]["memory_unaccounted_bytes"] == 3 * GIB)


def test_a_card_without_lists_accounts_for_nothing(card):
    """Where the driver keeps no list, all memory would seem to be held by nobody."""
    for call in LISTS:
        card.gpu(0).fail(call, Return.NOT_SUPPORTED)
    gpu = first(card, workloads=[{"name": "all", "process": ".*", "budget": 0.5}])
    assert gpu["memory_unaccounted_bytes"] is None
    assert gpu["workload_memory_used_bytes"] == {}


def test_clients_of_mps_are_counted_and_listed(card, others):
    """Under MPS nobody would see how many programs share the card, nor which."""
    server, client, idle = os.getpid(), *others
    gpu = card.gpu(0)
    gpu.set_processes(
        [
            Process(server, 30 * 2**20),
            Process(client, 3 * GIB, Kind.COMPUTE | Kind.MPS),
            Process(idle, GIB, Kind.MPS),
            Process(0, GIB, Kind.MPS),
        ]
    )
    with Sampling(card.environment()) as child:
        found = child.until_up(True)["gpus"][0]
        assert found["mps_clients"] == 2
        assert by_pid(found, "memory_bytes") == {server: 30 * 2**20, client: 3 * GIB, idle: GIB}
        gpu.set_processes([])
        child.until(lambda found: found["gpus"][0]["mps_clients"] == 0)


def test_a_driver_without_a_list_of_mps_counts_no_clients(card):
    """An old driver would seem to say that nobody uses MPS."""
    for version in ("_v2", "_v3"):
        card.gpu(0).fail(f"nvmlDeviceGetMPSComputeRunningProcesses{version}", Return.FUNCTION_NOT_FOUND)
    card.gpu(0).set_processes([Process(os.getpid(), GIB)])
    gpu = first(card)
    assert gpu["mps_clients"] is None
    assert gpu["memory_unaccounted_bytes"] == 9 * GIB


def test_each_process_has_its_share_of_the_time(card, others):
    """A card at 100 % would not tell which of its three programs works."""
    busy, idle = others
    card.gpu(0).set_processes([Process(busy, GIB, utilization=(73, 9, 0, 0)), Process(idle, GIB)])
    assert by_pid(first(card), "utilization_ratio") == {busy: 0.73, idle: 0.0}


def test_a_program_that_stops_working_is_idle_soon(card, others):
    """A program that has ended its work would seem busy for as long as it holds memory."""
    busy, _ = others
    gpu = card.gpu(0)
    with Sampling(card.environment()) as child:
        child.until_up(True)
        now = int(time.time() * 1e6)
        gpu.set_processes([Process(busy, GIB, utilization=(40, 0, 0, 0), sampled_at=now)])
        child.until(lambda found: by_pid(found["gpus"][0], "utilization_ratio") == {busy: 0.4})
        child.until(lambda found: by_pid(found["gpus"][0], "utilization_ratio") == {busy: 0.0})


GARBAGE = {
    "more than all": {"utilization": (101, 0, 0, 0)},
    "the sentinel": {"utilization": (2**32 - 1, 0, 0, 0)},
    "a time to come": {"utilization": (50, 0, 0, 0), "sampled_at": 2**62},
    "long ago": {"utilization": (50, 0, 0, 0), "sampled_at": 1},
}


@pytest.mark.parametrize("case", GARBAGE)
def test_garbage_among_the_samples(card, others, case):
    """A program at 4294967295 % would be believed, and a time to come would end all samples after it."""
    wrong, right = others
    gpu = card.gpu(0)
    nobody = Process(0, GIB, utilization=(9, 0, 0, 0))
    gpu.set_processes([Process(wrong, GIB, **GARBAGE[case]), nobody, Process(right, GIB, utilization=(33, 0, 0, 0))])
    with Sampling(card.environment()) as child:
        child.until(lambda found: found["gpus"] and by_pid(found["gpus"][0], "utilization_ratio").get(right) == 0.33)
        gpu.wait_for_more(ONE_CALL, 4)
        assert by_pid(child.ask()["gpus"][0], "utilization_ratio") == {wrong: 0.0, right: 0.33}


def test_the_newest_of_several_samples_counts(card, others):
    """A program's share would jump to and fro between what it did and what it does."""
    busy, _ = others
    with Sampling(card.environment()) as child:
        child.until_up(True)
        now = int(time.time() * 1e6)
        card.gpu(0).set_processes(
            [Process(busy, GIB, utilization=(90 - 10 * age, 0, 0, 0), sampled_at=now - age * 1000) for age in (1, 0, 2)]
        )
        child.until(lambda found: by_pid(found["gpus"][0], "utilization_ratio") == {busy: 0.9})


@pytest.mark.parametrize("code", [Return.SUCCESS, Return.NOT_FOUND, Return.INSUFFICIENT_SIZE])
def test_no_samples_is_no_failure(card, code):
    """An idle card would log a warning and lose what it knows of its processes."""
    card.gpu(0).set_processes([Process(os.getpid(), GIB)])
    card.gpu(0).fail(ONE_CALL, code)
    with Sampling(card.environment()) as child:
        gpu = child.until_up(True)["gpus"][0]
        assert by_pid(gpu, "utilization_ratio") == {os.getpid(): 0.0}
        card.gpu(0).wait_for_more(ONE_CALL, 3)
        assert child.leave() == 0
        assert not [line for line in child.whole_log() if "process utilization" in line]


def test_a_card_that_has_only_the_new_call(card):
    """From Blackwell on no program would have a share of the time."""
    gpu = card.gpu(0)
    gpu.set_processes([Process(os.getpid(), GIB, utilization=(61, 0, 0, 0))])
    gpu.fail(ONE_CALL, Return.NOT_SUPPORTED)
    with Sampling(card.environment()) as child:
        assert by_pid(child.until_up(True)["gpus"][0], "utilization_ratio") == {os.getpid(): 0.61}
        gpu.wait_for_more(ALL_CALL, 4)
        assert gpu.entered(ONE_CALL) == 1


def test_a_card_that_tells_no_shares_is_asked_once(card):
    """In MIG mode every program would seem idle, and the card be asked in vain every second."""
    gpu = card.gpu(0)
    gpu.set_processes([Process(os.getpid(), GIB)])
    gpu.fail(ONE_CALL, Return.NOT_SUPPORTED)
    gpu.fail(ALL_CALL, Return.FUNCTION_NOT_FOUND)
    with Sampling(card.environment()) as child:
        assert by_pid(child.until_up(True)["gpus"][0], "utilization_ratio") == {os.getpid(): None}
        gpu.wait_for_more("nvmlDeviceGetUtilizationRates", 5)
        assert (gpu.entered(ONE_CALL), gpu.entered(ALL_CALL)) == (1, 1)


def test_groups_and_their_budgets(card, others):
    """Nobody would see that one workload takes the memory that another was promised."""
    gpu = card.gpu(0)
    gpu.memory_total, gpu.memory_reserved = 11 * GIB, GIB
    gpu.set_processes([Process(os.getpid(), 6 * GIB), *(Process(pid, GIB) for pid in others)])
    groups = [{"name": "all", "process": "py.*", "budget": 0.5}, {"name": "none", "process": "nothing", "budget": 0.2}]
    with Sampling(card.environment(), workloads=groups, process_limit=1) as child:
        found = child.until_up(True)["gpus"][0]
        assert [process["workload"] for process in found["processes"]] == ["all", ""]
        assert found["workload_memory_used_bytes"] == {"all": 8 * GIB, "none": 0}
        assert found["workload_memory_budget_bytes"] == {"all": 5 * GIB, "none": 2 * GIB}
        assert found["workload_memory_budget_used_ratio"] == {"all": 1.6, "none": 0}


def test_a_process_id_that_is_used_again(card, tmp_path):
    """The memory of a new process would be booked on the container of one that has ended."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("ann:x:1000:1000::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n")
    _place(tmp_path, 4000, "before", 1000, 100, "a" * 64)
    card.gpu(0).set_processes([Process(4000, GIB)])
    with Sampling(card.environment(), root=str(tmp_path)) as child:
        (process,) = child.until(_named("ann"))["gpus"][0]["processes"]
        assert (process["name"], process["container"]) == ("before", "a" * 12)
        _place(tmp_path, 4000, "after", 1001, 200, "b" * 64)
        (process,) = child.until(_named("bob"))["gpus"][0]["processes"]
        assert (process["name"], process["container"]) == ("after", "b" * 12)


def _named(user):
    return lambda found: [process["user"] for gpu in found["gpus"] for process in gpu["processes"]] == [user]


def _place(root, pid, name, user, started, container):
    """A process of a host in a folder; all its files change at once, as the kernel's do."""
    folder = root / "proc" / f"{pid}.{started}"
    folder.mkdir(parents=True)
    (folder / "stat").write_text(f"{pid} ({name}) S {' '.join(['0'] * 18)} {started} 1 2\n")
    (folder / "status").write_text(f"Name:\t{name}\nUid:\t{user}\t0\t0\t0\n")
    (folder / "cgroup").write_text(f"0::/docker/{container}\n")
    link = root / "proc" / "new"
    link.symlink_to(folder.name)
    link.rename(root / "proc" / str(pid))
