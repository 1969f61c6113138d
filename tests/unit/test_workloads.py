"""Groups of processes, what they hold, and expressions that would cost too much."""

import os
import subprocess

import pytest

from exporter.processes.expressions import MOST_WAYS, ways
from exporter.processes.holders import CardMemory, Holders, Listed
from exporter.processes.table import Description, ProcessTable
from exporter.processes.workloads import Workloads, used_ratios
from exporter.settings import WorkloadGroup
from exporter.snapshot import GpuProcess

GIB = 2.0**30
GROUPS = (
    WorkloadGroup("cnn", process="resnet.*|yolo.*", budget=0.8),
    WorkloadGroup("gpt", process="python3?", container="gpt-.*", user="ann", budget=0.2),
    WorkloadGroup("rest of ann", user="ann"),
)


def process(workload, memory, pid=1):
    return GpuProcess(pid, "p", workload=workload, memory_bytes=memory)


@pytest.mark.parametrize(
    ("names", "group"),
    [
        (("resnet50", "", "bob"), "cnn"),
        (("my-resnet50", "", "bob"), ""),
        (("python3", "gpt-2", "ann"), "gpt"),
        (("python3", "gpt-2", "bob"), ""),
        (("python3x", "gpt-2", "ann"), "rest of ann"),
        (("yolo", "gpt-2", "ann"), "cnn"),
        (("", "", ""), ""),
    ],
)
def test_a_process_belongs_to_the_first_group_that_it_matches_whole(names, group):
    """A budget would count the memory of somebody else's process, or of one process twice."""
    assert Workloads(GROUPS).group_of(*names) == group


def test_what_groups_hold_and_may_hold():
    """Nobody would see that the CNN takes the memory that the GPT was promised."""
    workloads = Workloads(GROUPS)
    held = workloads.held([process("cnn", 6 * GIB), process("cnn", 3 * GIB), process("", GIB)])
    budgets = workloads.budgets(10 * GIB)

    assert held == {"cnn": 9 * GIB, "gpt": 0.0, "rest of ann": 0.0}
    assert budgets == {"cnn": 8 * GIB, "gpt": 2 * GIB}
    assert used_ratios(held, budgets) == {"cnn": 1.125, "gpt": 0.0}


def test_a_group_with_a_member_of_unknown_memory_is_unknown():
    """A group would seem to keep within its budget while half of it cannot be read."""
    held = Workloads(GROUPS).held([process("cnn", GIB), process("cnn", None), process("gpt", GIB)])
    assert held == {"gpt": GIB, "rest of ann": 0.0}
    assert used_ratios(held, {"cnn": GIB, "gpt": GIB}) == {"gpt": 1.0}


class Table:
    """A process table with these processes, all called by their number."""

    def __init__(self, *pids, everything=False, settled=True):
        self._pids = pids
        self._everything = everything
        self._settled = settled

    def describe(self, pid):
        return Description(f"resnet{pid}", "ann", "", self._settled) if pid in self._pids else None

    def sees_every_process(self):
        return self._everything


def readings(table, memory, *, used=10 * GIB, whole=True, limit=64):
    listed = Listed(memory, {}, whole)
    return Holders(table, Workloads(GROUPS), limit).readings(listed, CardMemory(20 * GIB, used, 20 * GIB), str)


def test_memory_that_no_process_holds():
    """Memory that a crashed program left behind would be looked for in vain among the processes."""
    found = readings(Table(1, 2), {1: 6 * GIB, 2: 1 * GIB})
    assert found["memory_unaccounted_bytes"] == 3 * GIB
    assert readings(Table(1), {1: 11 * GIB})["memory_unaccounted_bytes"] == 0.0
    assert readings(Table(everything=True), {})["memory_unaccounted_bytes"] == 10 * GIB


@pytest.mark.parametrize(
    ("table", "memory", "options"),
    [
        (Table(1, 2), {1: None, 2: None}, {}),
        (Table(1, 2), {1: GIB, 2: None}, {}),
        (Table(1), {1: GIB}, {"whole": False}),
        (Table(1), {1: GIB}, {"used": None}),
        (Table(), {}, {}),
    ],
    ids=["nothing said", "one not said", "a list failed", "used unknown", "in a container"],
)
def test_memory_that_cannot_be_accounted_for_is_unknown(table, memory, options):
    """An alert would blame a leak for memory that somebody holds and we cannot see."""
    assert readings(table, memory, **options)["memory_unaccounted_bytes"] is None


def test_groups_are_summed_before_the_list_is_cut():
    """A group of many small processes would hold nothing as soon as the list is longer than the page shows."""
    found = readings(Table(*range(1, 9)), dict.fromkeys(range(1, 9), GIB), limit=2)
    assert len(found["processes"]) == 3
    assert found["workload_memory_used_bytes"]["cnn"] == 8 * GIB
    assert found["workload_memory_budget_used_ratio"]["cnn"] == 0.5


@pytest.mark.parametrize(
    ("table", "memory", "whole"),
    [
        (Table(), {1: GIB}, True),
        (Table(), {}, True),
        (Table(1), {1: GIB}, False),
        (Table(1), {1: GIB, 2: GIB}, True),
        (Table(1, settled=False), {1: GIB}, True),
    ],
    ids=["none is found", "no list", "a list failed", "one is hidden", "a name is still asked for"],
)
def test_groups_of_processes_that_cannot_be_seen_are_unknown(table, memory, whole):
    """In a container that sees no process, every group would seem to hold nothing."""
    found = readings(table, memory, whole=whole)
    assert found["workload_memory_used_bytes"] == {}
    assert found["workload_memory_budget_used_ratio"] == {}
    assert found["workload_memory_budget_bytes"] == {"cnn": 16 * GIB, "gpt": 4 * GIB}


CHEAP = (
    "python3?",
    "resnet.*|yolo.*|.*cnn.*",
    ".*(train|serve).*gpt.*",
    "(?i)(a|b|c)(d|e)[^/]*",
    "([a-z]+-)?trainer-[0-9]{1,4}",
    "(?:gpt|llama){2}.*",
    r"\(.*\)",
    "[]()|*+]*",
    "(?#a (comment)x",
    "",
)
DEAR = (
    "(a+)+",
    "(a|a)*b",
    "(.*)*",
    "(?:x+x+)+y",
    "((a{1,9}){1,9}){1,9}",
    "(a?){60}",
    "a?" * 40,
    ".*a.*b.*c.*d",
    "(?:a|b)" * 30,
    "(?x)(a+ # )\n)+",
    "(?=(.*)+)x",
    "(?P<x>a+)*(?P=x)",
    r"(\w+\s?)*!",
)


@pytest.mark.parametrize("expression", CHEAP)
def test_what_people_write_is_cheap(expression):
    """A user would be refused an expression that does no harm."""
    assert ways(expression) <= MOST_WAYS


@pytest.mark.parametrize("expression", DEAR)
def test_what_could_stop_the_exporter_is_refused(expression):
    """Any user of the box could stop its monitoring by the name of a program."""
    assert ways(expression) > MOST_WAYS
    assert [key for key, *_ in WorkloadGroup("x", process=expression).problems()] == ["process"]


def test_our_own_child_is_named_and_in_no_group():
    """A run of the probe would count against a workload's budget, or look like a stranger."""
    everything = Workloads((WorkloadGroup("all", process=".*"),))
    with subprocess.Popen(["sleep", "60"]) as child:
        listed = Listed({child.pid: 5.0, os.getppid(): 7.0}, None, whole=True)
        found = Holders(ProcessTable(), everything).readings(listed, CardMemory(100.0, 12.0, 100.0), lambda _: "")
        child.kill()

    assert {item.pid: item.workload for item in found["processes"]} == {
        child.pid: "gpuwarden_probe",
        os.getppid(): "all",
    }
    assert found["workload_memory_used_bytes"] == {"all": 7.0}
