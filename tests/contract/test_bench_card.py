"""``gpuwarden bench`` on a card: which one, whether it may, what it took of it, and who else was there."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.running import Running, run
from tests.fakes.interpreter import interpreter
from tests.fakes.nvml.gpu import Process
from tests.polling import wait_until

MIB, GIB = 2**20, 2**30
RESULT = (
    'figures = {"epoch_seconds": 10.0, "epoch_extrapolated": True, "steps": 30, "images_per_second": 5000.0,\n'
    '    "torch_allocated_peak_bytes": 2**30, "seen": os.environ.get("CUDA_VISIBLE_DEVICES"), "on": spec["device"]}\n'
    'tell("progress", phase="training")\n'
    'tell("barrier", pid=os.getpid())\n'
    "sys.stdin.readline()\n"
    'tell("result", outcome="ok", figures=figures, spec=spec)\n'
)
WAITS_BEFORE_THE_BARRIER = """\
from pathlib import Path
Path("pid").write_text(str(os.getpid()))
while not Path("go on").exists():
    time.sleep(0.01)
"""
EPOCH = ("--only", "resnet50-batch-8-memory")


@pytest.fixture
def driver(fake_driver):
    """Two cards of 12 and 24 GiB."""
    return fake_driver("rtx-3060", "rtx-3090")


@pytest.fixture
def bench(tmp_path, driver):
    """Runs the command to its end on the cards of ``driver``; its status, its document and what it told."""

    def call(*arguments, text=RESULT):
        python = interpreter(tmp_path, text)
        asked = ("bench", "--python", python, "--json", "a.json", *arguments)
        found = run(*asked, home=tmp_path, environ={"COLUMNS": "100", **driver.environment()})
        file = tmp_path / "a.json"
        document = json.loads(file.read_text()) if file.exists() else None
        return found.returncode, document, found.stdout + found.stderr

    return call


@pytest.mark.parametrize(("arguments", "chosen"), [((), 0), (("--gpu", "1"), 1), (("--gpu", "uuid"), 1)])
def test_the_card_that_was_named_is_measured(bench, driver, arguments, chosen):
    """A user would read the figures of another card."""
    uuid = driver.gpu(chosen).uuid
    arguments = [driver.gpu(1).uuid if each == "uuid" else each for each in arguments]
    status, document, told = bench(*arguments, *EPOCH)

    assert status == 0, told
    assert (document["card"]["uuid"], document["card"]["index"]) == (uuid, str(chosen))
    assert document["card"]["name"] == ("NVIDIA GeForce RTX 3060", "NVIDIA GeForce RTX 3090")[chosen]
    assert (document["runs"][0]["figures"]["seen"], document["runs"][0]["figures"]["on"]) == (uuid, "cuda:0")


def test_a_card_that_is_not_there_is_refused(bench, driver):
    """A user would wait for figures of a card that he does not have."""
    status, document, told = bench("--gpu", "7", *EPOCH)

    assert (status, document) == (2, None)
    assert f"there is no GPU 7; there are: 0 ({driver.gpu(0).uuid}), 1 ({driver.gpu(1).uuid})" in told


@pytest.mark.parametrize(
    ("mode", "complaint"),
    [
        (3, "GPU 0 is in compute mode exclusive process; bench needs Default: nvidia-smi -i 0 -c 0"),
        (2, "GPU 0 is in compute mode prohibited"),
    ],
)
def test_a_card_for_one_process_only_is_left_alone(bench, driver, mode, complaint):
    """The bench would take the card from the user's own program, or fail at each run."""
    driver.gpu(0).compute_mode = mode
    status, document, told = bench(*EPOCH)

    assert (status, document) == (1, None)
    assert complaint in told


def test_a_divided_card_is_not_measured(bench, fake_driver, tmp_path):
    """A seventh of a card would be compared with a whole one."""
    driver = fake_driver("h100-80gb")
    driver.gpu(0).mig_mode = [1, 1]
    driver.gpu(0).add_mig(0, "1g.10gb", 9728, 7)
    found = run("bench", "--python", "/nowhere", *EPOCH, home=tmp_path, environ=driver.environment())

    assert (found.returncode, found.stdout) == (1, "")
    assert "GPU 0 is divided (MIG)" in found.stderr


def test_a_run_that_does_not_fit_is_not_started(bench, driver):
    """The bench would take the last memory of a card on which somebody works."""
    driver.gpu(0).memory_used = 10 * GIB
    status, document, told = bench("--only", "batch-8-memory", "--only", "batch-32-memory", text="hang()\n")
    first, second = document["claims"]

    assert status == 0, told
    assert (first["verdict"], first["reason"]) == (second["verdict"], second["reason"]) == ("not measured", "vram")
    assert {run["seconds"] for run in document["runs"]} == {0}
    assert "wants 2.3 GiB of the card, 1.8 GiB are free" in " ".join(told.split())


def test_what_a_run_takes_is_read_while_it_holds_it(tmp_path, driver):
    """Memory would be read when it is given back, or another's would be taken for the run's."""
    gpu, python = driver.gpu(0), interpreter(tmp_path, WAITS_BEFORE_THE_BARRIER + RESULT)
    gpu.memory_used = 300 * MIB
    gpu.clocks = [210, 210, 405, 555]
    other = Process(os.getpid(), 200 * MIB, utilization=(30, 0, 0, 0))
    gpu.set_processes([other])
    arguments = ("--python", python, "--json", "a.json", *EPOCH)
    with Running("bench", *arguments, home=tmp_path, environ=driver.environment()) as running:
        told = tmp_path / "pid"
        wait_until(lambda: told.exists() and told.read_text(), 20, lambda: running.output)
        gpu.set_processes([other, Process(int(told.read_text()), 1500 * MIB)])
        gpu.memory_used = 1800 * MIB
        gpu.clocks = [1800, 1800, 7000, 1600]
        gpu.clocks_event_reasons = 0x20
        (tmp_path / "go on").touch()
        running.process.wait(20)
        running.wait_for("1 met")
    run = json.loads((tmp_path / "a.json").read_text())["runs"][0]

    assert run["figures"]["process_bytes"] == 1500 * MIB
    assert run["figures"]["card_bytes"] == 1500 * MIB
    assert run["card"]["before"]["sm_clock_hertz"] == 210e6
    assert run["card"]["barrier"]["sm_clock_hertz"] == run["card"]["start"]["sm_clock_hertz"] == 1800e6
    assert run["card"]["barrier"]["throttled"] == ["sw_thermal"]
    assert [holder["memory_bytes"] for holder in run["card"]["barrier"]["others"]] == [200 * MIB]
    assert len(run["contended"]) == 1
    assert run["settled_seconds"] >= 5
    assert "Others were at the card in 1 of 1 runs" in running.output
    assert "The card held its clock back: sw_thermal." in running.output
    assert f"Memory of the card was not back after: {run['name']}." in " ".join(running.output.split())


@pytest.mark.parametrize("stays", [False, True])
def test_the_end_of_the_run_before_contends_with_nobody(tmp_path, driver, stays):
    """Each run would be called contended because of the one before it, or none because of a stranger."""
    gpu, python = driver.gpu(0), interpreter(tmp_path, RESULT)
    gpu.utilization_gpu = 90
    arguments = ("--python", python, "--json", "a.json", *EPOCH)
    with Running("bench", *arguments, home=tmp_path, environ=driver.environment()) as running:
        asked = "nvmlDeviceGetUtilizationRates"
        wait_until(lambda: gpu.entered(asked) > 2, 20, lambda: running.output)
        gpu.utilization_gpu = 90 if stays else 0
        assert running.process.wait(20) == 0, running.output
    run = json.loads((tmp_path / "a.json").read_text())["runs"][0]

    assert run["contended"] == (["somebody whom the driver does not name"] if stays else [])


def test_a_card_that_falls_silent_costs_its_readings_and_no_run(tmp_path, driver):
    """A driver's hiccup would end the bench and lose what was measured."""
    gpu, python = driver.gpu(0), interpreter(tmp_path, WAITS_BEFORE_THE_BARRIER + RESULT)
    arguments = ("--python", python, "--json", "a.json", "--only", "resnet18-epoch-imagenet-stem")
    with Running("bench", *arguments, home=tmp_path, environ=driver.environment()) as running:
        wait_until((tmp_path / "pid").exists, 20, lambda: running.output)
        gpu.fail_all(15)
        (tmp_path / "go on").touch()
        assert running.process.wait(20) == 0
    document = json.loads((tmp_path / "a.json").read_text())

    assert document["claims"][0]["verdict"] == "met"
    assert "GPU is lost" in document["runs"][0]["card"]["barrier"]["error"]


def test_a_driver_that_hangs_in_a_run_does_not_hold_ctrl_c(tmp_path, driver):
    """A user could not get his terminal back, nor what was measured before."""
    gpu, python = driver.gpu(0), interpreter(tmp_path, WAITS_BEFORE_THE_BARRIER + RESULT)
    arguments = ("--python", python, "--json", "a.json", *EPOCH)
    with Running("bench", *arguments, home=tmp_path, environ=driver.environment()) as running:
        wait_until((tmp_path / "pid").exists, 20, lambda: running.output)
        asked = gpu.entered("nvmlDeviceGetPowerUsage")
        gpu.hang("nvmlDeviceGetPowerUsage")
        (tmp_path / "go on").touch()
        wait_until(lambda: gpu.entered("nvmlDeviceGetPowerUsage") > asked, 20, lambda: running.output)
        running.process.send_signal(signal.SIGINT)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(25) == 130
        running.wait_for("1 not measured")
    assert json.loads((tmp_path / "a.json").read_text())["claims"][0]["reason"] == "not_run"


def test_the_list_tells_what_fits_now(driver, tmp_path):
    """A user would learn only after an hour that the card was full."""
    driver.gpu(0).memory_used = 10 * GIB
    found = run("bench", "--list", "--python", "/nowhere", home=tmp_path, environ=driver.environment())
    lines = [line for line in found.stdout.splitlines() if "  gpt2-xl fp16 32+992" in line]

    assert found.returncode == 0, found.stderr
    assert lines[0].endswith("gpt2-xl fp16 32+992 (vram: not enough is free now)")
    assert Path(tmp_path / "a.json").exists() is False
