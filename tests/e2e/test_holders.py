"""The real exporter says who holds the memory: groups, budgets, containers, as on a host seen from a container."""

import time

import pytest

from tests.e2e.running import exporter, of_gpu, run, series, write
from tests.fakes.engine import Engine
from tests.fakes.nvml.gpu import Process
from tests.polling import wait_until

GIB = 2**30
ID, OTHER = "4f797c539e6c" + "7" * 52, "9ec39b91f3d7" + "0" * 52
SETTINGS = """\
exporter:
  process_limit: 2
  container_engines: [{socket}]
  host: {{root: {root}}}
  workloads:
    - {{name: cnn, container: trainer, budget: 0.8}}
    - {{name: gpt, process: "gpt.*", user: ann, budget: 0.2}}
    - {{name: idle, process: nothing, budget: 0.1}}
"""


@pytest.fixture
def host(tmp_path):
    """A host in a folder: who runs what in which container."""
    root = tmp_path / "host"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("ann:x:1000:1000::/home/ann:/bin/sh\n")
    for pid, name, user, identity in ((11, "python3", 0, ID), (12, "gpt2", 1000, ""), (13, "x", 5, OTHER)):
        add_process(root, pid, name, user, identity)
    return root


def add_process(root, pid, name, user, identity):
    folder = root / "proc" / str(pid)
    folder.mkdir(parents=True)
    (folder / "status").write_text(f"Name:\t{name}\nUid:\t{user}\t{user}\t{user}\t{user}\n")
    (folder / "cgroup").write_text(f"0::/system.slice/docker-{identity}.scope\n" if identity else "0::/init.scope\n")
    (folder / "stat").write_text(f"{pid} ({name}) S {' '.join(['0'] * 18)} 100 1 2\n")


@pytest.fixture
def running(tmp_path, fake_driver, host):
    """The exporter with a card of 10 GiB, an engine, and the file of a user."""
    driver = fake_driver("rtx-3060")
    gpu = driver.gpu(0)
    gpu.memory_total, gpu.memory_reserved, gpu.memory_used = 10 * GIB, 0, 9 * GIB
    gpu.set_processes(
        [Process(11, 5 * GIB, utilization=(80, 0, 0, 0)), Process(12, 2 * GIB), Process(13, GIB)],
    )
    with Engine(tmp_path / "engine.sock", {ID: "trainer"}) as engine:
        config = write(tmp_path / "gpuwarden.yml", SETTINGS.format(socket=engine.path, root=host))
        with exporter(tmp_path, driver.environment(), "--config", str(config)) as process:
            yield process, gpu, engine


def containers(url):
    held = series(url).get("gpu_process_memory_used_bytes", {})
    return {dict(labels)["pid"]: dict(labels)["container"] for labels in held}


def by_workload(url, name):
    return {dict(labels)["workload"]: value for labels, value in series(url).get(name, {}).items()}


def test_groups_show_what_they_hold_and_may_hold(running):
    """The user's workloads file would have no effect: no budget on the page, no mail about it."""
    process, _, _ = running
    ratio = "gpu_workload_memory_budget_used_ratio"
    expected = {"cnn": 5 / 8, "gpt": 1.0, "idle": 0.0}
    wait_until(lambda: by_workload(process.url, ratio) == pytest.approx(expected), 10, lambda: str(series(process.url)))
    found = series(process.url)

    assert by_workload(process.url, "gpu_workload_memory_used_bytes") == {"cnn": 5 * GIB, "gpt": 2 * GIB, "idle": 0}
    assert by_workload(process.url, "gpu_workload_memory_budget_bytes")["idle"] == GIB
    assert of_gpu(found, "gpu_memory_unaccounted_bytes", 0) == GIB
    assert of_gpu(found, "gpu_mps_clients", 0) == 0
    rows = {dict(labels)["pid"]: dict(labels) for labels in found["gpu_process_memory_used_bytes"]}
    assert (rows["11"]["container"], rows["11"]["user"], rows["11"]["workload"]) == ("trainer", "0", "cnn")
    assert (rows["12"]["process"], rows["12"]["user"], rows["12"]["workload"]) == ("gpt2", "ann", "gpt")
    assert rows.keys() == {"11", "12", ""}
    shares = {dict(labels)["pid"]: value for labels, value in found["gpu_process_utilization_ratio"].items()}
    assert shares == {"11": 0.8, "12": 0.0, "": 0.0}


@pytest.mark.parametrize("behaviour", ["hangs", "garbage", "endless", "gone"])
def test_an_engine_in_trouble_leaves_ids_and_the_page(running, host, behaviour):
    """A Docker that hangs or is being upgraded would take the monitoring of the cards with it."""
    process, gpu, engine = running
    wait_until(lambda: containers(process.url).get("11") == "trainer", 10, "no name")
    if behaviour == "gone":
        engine.__exit__()
    else:
        engine.behaviour = behaviour
    late = "ab" * 32
    add_process(host, 14, "late", 0, late)
    gpu.set_processes([Process(14, 3 * GIB), Process(11, 2 * GIB)])
    wait_until(lambda: containers(process.url).get("14") == late[:12], 10, lambda: str(containers(process.url)))
    if behaviour != "gone":
        wait_until(lambda: f"/containers/{late}/json" in engine.asked, 10, "never asked")
    for _ in range(3):
        before = time.time()
        wait_until(lambda before=before: last_success(process.url) > before, 10, "the card is no longer read")
    assert containers(process.url) == {"14": late[:12], "11": "trainer"}


def last_success(url):
    return series(url)["gpuwarden_exporter_source_last_success_timestamp_seconds"][(("source", "nvml/0"),)]


def test_an_engine_is_not_asked_unless_it_is_named(tmp_path, fake_driver, host):
    """Whoever may ask an engine may do everything on the host: nobody wants that to be found out by itself."""
    driver = fake_driver("rtx-3060")
    driver.gpu(0).set_processes([Process(11, GIB)])
    with Engine(tmp_path / "engine.sock", {ID: "trainer"}) as engine:
        environ = {
            **driver.environment(),
            "GPUWARDEN_EXPORTER_HOST_ROOT": str(host),
            "DOCKER_HOST": f"unix://{engine.path}",
        }
        with exporter(tmp_path, environ) as process:
            wait_until(lambda: containers(process.url).get("11"), 10, "no process")
            driver.gpu(0).wait_for_more("nvmlDeviceGetUtilizationRates", 3)
            assert containers(process.url) == {"11": ID[:12]}
        assert engine.asked == []


def test_an_expression_that_could_stop_the_exporter_is_refused(tmp_path):
    """Any user of the box could stop its monitoring by the name of a program."""
    write(tmp_path / "gpuwarden.yml", 'exporter:\n  workloads:\n    - {name: x, process: "(a+)+"}\n')
    done = run("exporter", home=tmp_path)
    assert done.returncode == 2
    assert "gpuwarden.yml:3: exporter.workloads[0].process: could take hours" in done.stderr
