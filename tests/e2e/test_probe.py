"""The probe in a real exporter on a fake driver, with a stand-in for the Python that has torch."""

import itertools
import os
import shutil
import signal
import subprocess
import time

import pytest

from tests.e2e.probing import SECONDS, Probing, end, is_there, value, wait_for
from tests.e2e.running import CLIENT, of_gpu, series
from tests.fakes.nvml.codes import Return
from tests.fakes.nvml.gpu import Process
from tests.polling import wait_until

GIB = 2**30
UTILIZATION = "nvmlDeviceGetUtilizationRates"


def test_a_run_is_on_the_page_as_histograms_and_gauges(tmp_path, fake_driver):
    """A user could not see how fast the card answers."""
    driver = fake_driver("rtx-3060")
    probing = Probing(tmp_path)
    with probing.exporter(driver.environment()) as process:
        assert value(process.url, "model_probe_success", model="gpt2-small") is None
        wait_for(process, "model_probe_success", 1, model="gpt2-small", gpu="0")
        found = series(process.url)
        status = CLIENT.get(process.url).text
        url = process.url
        figures = {
            percentile: value(url, "model_probe_time_to_first_token_seconds", percentile=percentile)
            for percentile in ("50", "90")
        }
        uuid = driver.gpu(0).uuid
        assert figures == {"50": 0.02, "90": 0.03}
        assert value(url, "model_probe_duration_seconds", uuid=uuid, precision="fp16", percentile="50") == 0.24
        assert value(url, "model_probe_cold_seconds") == 0.25
        assert value(url, "model_probe_memory_peak_bytes", kind="torch_reserved") == 310_000_000
        assert value(url, "model_probe_info", torch="2.9.1", cuda="13.0", interpreter="configured") == 1
        assert value(url, "model_probe_contended") == 0
        assert value(url, "model_probe_sm_clock_hertz", at="end") > 0
        assert 0 < value(url, "model_probe_time_used_ratio", gpu="0") < 0.05
        assert value(url, "model_requests_total", source="probe", outcome="ok") == 1
        assert value(url, "model_requests_total", source="probe", outcome="timeout") == 0
        assert value(url, "model_probe_skipped_total", reason="vram") == 0
        assert time.time() - value(url, "model_probe_last_run_timestamp_seconds") < SECONDS
        assert value(url, "gpuwarden_exporter_source_up", source="probe") == 1
    counts = {name: dict(found[f"model_{name}_count"]) for name in ("request_duration_seconds",)}

    assert list(counts["request_duration_seconds"].values()) == [1]
    assert "probed by gpuwarden on GPU 0, fp16, last run, clean" in status
    assert str(probing.program) not in status
    (spec,) = probing.runs().values()
    assert (spec["prompt"], spec["new_tokens"], spec["iterations"], spec["device"]) == (32, 32, 64, "cuda:0")
    assert (spec["visible"], spec["nice"], spec["threads"]) == (uuid, 19, 1)


CAUSES = {
    "filled": ("vram", lambda gpu: setattr(gpu, "memory_used", 11 * GIB)),
    "at work": ("busy", lambda gpu: setattr(gpu, "utilization_gpu", 90)),
    "held down by heat": ("thermal", lambda gpu: setattr(gpu, "clocks_event_reasons", 0x40)),
    "hot": ("thermal", lambda gpu: setattr(gpu, "temperature", 91)),
    "exclusive": ("compute_mode", lambda gpu: setattr(gpu, "compute_mode", 3)),
}
CAUSES_AFTER_THE_START = {
    "at work between two readings": ("busy", lambda gpu: gpu.add_sample("utilization", 95)),
    "lost": ("no_reading", lambda gpu: gpu.fail_all(Return.GPU_IS_LOST)),
}


@pytest.mark.parametrize(("reason", "cause"), CAUSES.values(), ids=CAUSES)
def test_a_card_that_must_not_be_disturbed_is_left_alone(tmp_path, fake_driver, reason, cause):
    """The probe would take the last memory of a card, or slow down what somebody runs on it."""
    driver = fake_driver("rtx-3060")
    cause(driver.gpu(0))
    probing = Probing(tmp_path)
    with probing.exporter(driver.environment()) as process:
        wait_for(process, "model_probe_skipped_total", 1, model="gpt2-small", gpu="0", reason=reason)
        process.wait_for(f"gpt2-small on GPU 0 is skipped: {reason} ")

    assert probing.runs() == {}


@pytest.mark.parametrize(("reason", "cause"), CAUSES_AFTER_THE_START.values(), ids=CAUSES_AFTER_THE_START)
def test_what_happens_to_a_card_meanwhile_counts(tmp_path, fake_driver, reason, cause):
    """A burst that no reading has met would be disturbed by the next probe, or a lost card be probed."""
    driver = fake_driver("rtx-3060")
    probing = Probing(tmp_path, QUIET="6s")
    with probing.exporter(driver.environment()) as process:
        wait_until(lambda: of_gpu(series(process.url), "gpu_up", 0) == 1, 10, "the card was not read")
        cause(driver.gpu(0))
        wait_for(process, "model_probe_skipped_total", 1, model="gpt2-small", gpu="0", reason=reason)

    assert probing.runs() == {}


def test_memory_that_moves_is_left_alone(tmp_path, fake_driver):
    """A server that measures what is free while it starts would end."""
    driver = fake_driver("rtx-3060")
    gpu, amounts = driver.gpu(0), itertools.cycle([GIB, 2 * GIB])
    probing = Probing(tmp_path, QUIET="3s")
    with probing.exporter(driver.environment()) as process:

        def skipped():
            gpu.memory_used = next(amounts)
            return value(process.url, "model_probe_skipped_total", reason="memory_moves") == 1

        wait_until(skipped, SECONDS, "nothing was skipped")

    assert probing.runs() == {}


def test_a_new_process_is_waited_for(tmp_path, fake_driver):
    """A server that measures the free memory while it starts would end, because the probe let go of some."""
    driver = fake_driver("rtx-3060")
    probing = Probing(tmp_path, QUIET="4s")
    with probing.exporter(driver.environment()) as process:
        wait_until(lambda: of_gpu(series(process.url), "gpu_up", 0) == 1, 10, "the card was not read")
        driver.gpu(0).wait_for_more(UTILIZATION, 12)
        driver.gpu(0).set_processes([Process(pid=os.getpid(), memory=2**20)])
        wait_for(process, "model_probe_skipped_total", 1, gpu="0", reason="new_process")
        assert probing.runs() == {}
        wait_for(process, "model_probe_success", 1, gpu="0")


@pytest.mark.parametrize("mode", ["no_torch", "broken_torch", "wrong_cuda", "no_cuda"])
def test_without_a_torch_that_works_one_series_and_one_line_say_so(tmp_path, fake_driver, mode):
    """A user would wait for figures that never come, or find his log full."""
    reason = {"broken_torch": "no_torch"}.get(mode, mode)
    driver = fake_driver("rtx-3060")
    probing = Probing(tmp_path, mode)
    with probing.exporter(driver.environment()) as process:
        wait_for(process, "gpuwarden_exporter_source_up", 0, source="probe")
        wait_for(process, "model_probe_skipped_total", 2, reason=reason)
        said = [line for line in process.lines if reason in line]
        assert len(said) == 1, process.output
        assert f"probe: {reason}" in CLIENT.get(process.url).text
        assert sum(series(process.url)["model_requests_total"].values()) == 0
        probing.mode("ok")
        wait_for(process, "gpuwarden_exporter_source_up", 1, source="probe")
        wait_for(process, "model_probe_success", 1)


def test_an_interpreter_that_is_not_there_costs_only_the_probe(tmp_path, fake_driver):
    """A mistake in a path would take the cards off the page."""
    driver = fake_driver("rtx-3060")
    probing = Probing(tmp_path, PYTHON=str(tmp_path / "nowhere"))
    with probing.exporter(driver.environment()) as process:
        wait_for(process, "gpuwarden_exporter_source_up", 0, source="probe")
        wait_for(process, "model_probe_skipped_total", 1, reason="no_interpreter")
        assert of_gpu(series(process.url), "gpu_up", 0) == 1
        assert len([line for line in process.lines if "no_interpreter" in line]) == 1


@pytest.mark.parametrize(("mode", "outcome"), [("oom", "oom"), ("crash", "error"), ("garbage", "error")])
def test_a_run_that_fails_is_counted_by_how_it_failed(tmp_path, fake_driver, mode, outcome):
    """A card that breaks programs would be noticed by the user's own."""
    driver = fake_driver("rtx-3060")
    with Probing(tmp_path, mode).exporter(driver.environment()) as process:
        wait_for(process, "model_requests_total", 1, source="probe", outcome=outcome)
        wait_for(process, "model_probe_success", 0, gpu="0")
        found = series(process.url)
        status = CLIENT.get(process.url).text

    assert "model_probe_time_to_first_token_seconds" not in found
    assert "model_probe_last_run_timestamp_seconds" not in found
    assert "its last probe on GPU 0 failed" in status


def test_a_run_that_hangs_delays_nothing_and_counts_as_long_as_it_was_waited_for(tmp_path, fake_driver):
    """A card that hangs would look fast, or take the page with it."""
    driver = fake_driver("rtx-3060")
    probing = Probing(tmp_path, "hang", TIMEOUT="9s")
    with probing.exporter(driver.environment()) as process:
        pid = probing.wait_for_run()
        wait_for(process, "model_probe_running", 1, gpu="0")
        for _ in range(20):
            began = time.monotonic()
            assert CLIENT.get(f"{process.url}/metrics").status_code == 200
            assert time.monotonic() - began < 1
        wait_for(process, "model_requests_total", 1, source="probe", outcome="timeout")
        wait_for(process, "model_probe_running", 0, gpu="0")
        assert value(process.url, "model_request_duration_seconds_sum", source="probe") == 9
        assert value(process.url, "model_time_to_first_token_seconds_sum", source="probe") == 9
        assert not is_there(pid)
        # The whole time counts: 9 s are more than a twentieth of the ten until the next.
        wait_for(process, "model_probe_skipped_total", 1, reason="duty_cycle")


def test_a_python_that_does_not_come_to_its_beginning_says_nothing_of_a_model(tmp_path, fake_driver):
    """A machine with busy processors would mail that its models do not answer."""
    driver = fake_driver("rtx-3060")
    probing = Probing(tmp_path, "slow", TIMEOUT="1s")
    with probing.exporter(driver.environment()) as process:
        wait_for(process, "model_probe_skipped_total", 1, reason="not_begun")

        assert value(process.url, "model_requests_total", source="probe", outcome="timeout") == 0
        assert value(process.url, "model_probe_time_used_ratio", gpu="0") == 0
        assert value(process.url, "model_probe_success", gpu="0") is None


def test_the_probes_own_process_is_named_and_not_in_its_own_way(tmp_path, fake_driver):
    """The exporter's own run would look like a stranger on the card, and its figures like contended ones."""
    driver = fake_driver("rtx-3060")
    probing = Probing(tmp_path, "wait")
    with probing.exporter(driver.environment()) as process:
        pid = probing.wait_for_run()
        driver.gpu(0).set_processes([Process(pid=pid, memory=GIB, utilization=(90, 0, 0, 0))])
        wait_for(process, "gpu_process_memory_used_bytes", GIB, pid=str(pid), workload="gpuwarden_probe")
        probing.mode("ok")
        wait_for(process, "model_probe_contended", 0, gpu="0")
        assert value(process.url, "model_probe_memory_peak_bytes", kind="process") == GIB


def test_a_neighbour_at_work_makes_the_figures_contended(tmp_path, fake_driver):
    """A slow answer beside somebody's training would be taken for a slow card."""
    driver = fake_driver("rtx-3060")
    probing = Probing(tmp_path, "wait")
    with probing.exporter(driver.environment()) as process:
        probing.wait_for_run()
        driver.gpu(0).set_processes([Process(pid=os.getpid(), memory=GIB, utilization=(90, 0, 0, 0))])
        wait_for(process, "gpu_process_memory_used_bytes", GIB, pid=str(os.getpid()))
        probing.mode("ok")
        wait_for(process, "model_probe_contended", 1, gpu="0")
        assert ", contended" in CLIENT.get(process.url).text


def test_a_card_that_is_lost_leaves_no_figures(tmp_path, fake_driver):
    """The page would show how fast a card is that has fallen off the bus."""
    driver = fake_driver("rtx-3060")
    with Probing(tmp_path).exporter(driver.environment()) as process:
        wait_for(process, "model_probe_success", 1, gpu="0")
        driver.gpu(0).fail_all(Return.GPU_IS_LOST)
        wait_until(lambda: value(process.url, "model_probe_success") is None, 10, "figures of a lost card")
        assert value(process.url, "model_probe_last_run_timestamp_seconds", gpu="0") > 0
        wait_for(process, "model_probe_skipped_total", 1, reason="no_reading")


@pytest.mark.parametrize(
    ("number", "mode"),
    [(signal.SIGTERM, "import"), (signal.SIGTERM, "hang"), (signal.SIGTERM, "wait"), (signal.SIGKILL, "hang")],
)
def test_an_exporter_that_ends_takes_its_run_along(tmp_path, fake_driver, number, mode):
    """A child would hold a card's memory for nobody, until somebody finds it."""
    driver = fake_driver("rtx-3060")
    probing = Probing(tmp_path, mode)
    with probing.exporter(driver.environment()) as process:
        pid = probing.wait_for_run()
        try:
            process.process.send_signal(number)
            assert process.process.wait(10) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
            wait_until(lambda: not is_there(pid), 30, "the run outlived the exporter")
        finally:
            end(pid)


def test_on_a_machine_without_a_card_the_processor_is_probed(tmp_path):
    """Who tries gpuwarden on a laptop would see no figure at all."""
    probing = Probing(tmp_path, MODELS="resnet18,gpt2-tiny", BUSY="1")
    with probing.exporter({"LD_LIBRARY_PATH": str(tmp_path)}) as process:
        wait_for(process, "model_probe_success", 1, model="resnet18", gpu="", uuid="")
        wait_for(process, "model_probe_success", 1, model="gpt2-tiny", gpu="", uuid="")
        assert value(process.url, "model_probe_duration_seconds", model="resnet18", percentile="90") == 0.004
        assert value(process.url, "model_probe_skipped_total", model="resnet18", reason="memory") == 0
        assert value(process.url, "model_request_duration_seconds_count", model="resnet18", operation="infer") == 1

    assert {spec["device"] for spec in probing.runs().values()} == {"cpu"}
    assert {spec["precision"] for spec in probing.runs().values()} == {"fp32"}


@pytest.mark.prometheus
def test_promtool_accepts_what_the_probe_publishes(tmp_path, fake_driver):
    """Prometheus' linter would tell people that the page is sloppy."""
    promtool = shutil.which("promtool")
    if promtool is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("promtool is not installed")
    with Probing(tmp_path).exporter(fake_driver("rtx-3060").environment()) as process:
        wait_for(process, "model_probe_success", 1)
        page = CLIENT.get(f"{process.url}/metrics").content
    checked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False)

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_a_card_that_is_not_there_is_missed_in_words(tmp_path, fake_driver):
    """A mistake in the list of cards would look like a probe that has nothing to tell."""
    driver = fake_driver("rtx-3060")
    probing = Probing(tmp_path, GPUS="7")
    with probing.exporter(driver.environment()) as process:
        wait_until(lambda: "there is no card to probe" in CLIENT.get(process.url).text, SECONDS, "nothing is said")
        assert not [name for name in series(process.url) if name.startswith("model_probe")]


def test_on_its_battery_a_laptop_is_left_alone(tmp_path, fake_driver):
    """Who works on the train would lose his battery to a probe."""
    driver, root = fake_driver("rtx-3060"), tmp_path / "root"
    supply = root / "sys/class/power_supply/BAT0"
    supply.mkdir(parents=True)
    (root / "proc").symlink_to("/proc")
    (supply / "type").write_text("Battery\n")
    (supply / "status").write_text("Discharging\n")
    probing = Probing(tmp_path)
    with probing.exporter({**driver.environment(), "GPUWARDEN_EXPORTER_HOST_ROOT": str(root)}) as process:
        wait_for(process, "model_probe_skipped_total", 1, gpu="0", reason="battery")
        assert probing.runs() == {}
        (supply / "status").write_text("Charging\n")
        wait_for(process, "model_probe_success", 1, gpu="0")


def test_a_python_is_found_from_where_the_exporter_was_started(tmp_path, fake_driver):
    """A path that works in the shell would be told to be no Python."""
    driver, probing = fake_driver("rtx-3060"), Probing(tmp_path)
    # As the exporter is started in its home.
    relative = os.path.relpath(probing.program, probing.home)
    with Probing(tmp_path, PYTHON=f"./{relative}").exporter(driver.environment()) as process:
        wait_for(process, "model_probe_success", 1, gpu="0")


def test_a_server_that_starts_while_torch_is_loaded_is_left_alone(tmp_path, fake_driver):
    """On a slow disk a minute goes by between the look at the card and the run: time for a server to be started."""
    driver = fake_driver("rtx-3060")
    probing = Probing(tmp_path, "import", QUIET="8s")
    with probing.exporter(driver.environment()) as process:
        pid = probing.wait_for_run()
        driver.gpu(0).set_processes([Process(pid=os.getpid(), memory=GIB)])
        wait_for(process, "gpu_process_memory_used_bytes", GIB, pid=str(os.getpid()))
        probing.mode("ok")
        wait_for(process, "model_probe_skipped_total", 1, gpu="0", reason="new_process")
        assert not is_there(pid)
        assert sum(series(process.url)["model_requests_total"].values()) == 0
        wait_for(process, "model_probe_success", 1, gpu="0")


def test_a_machine_short_of_main_memory_is_left_alone(tmp_path, fake_driver):
    """A run would push what people work with out of the memory, for a run on a card too."""
    driver, root = fake_driver("rtx-3060"), tmp_path / "root"
    (root / "proc").mkdir(parents=True)
    shutil.copy("/proc/stat", root / "proc/stat")
    (root / "proc/meminfo").write_text(f"MemTotal: {4 * 2**20} kB\nMemFree: {2**20} kB\nMemAvailable: {2**20} kB\n")
    probing = Probing(tmp_path)
    with probing.exporter({**driver.environment(), "GPUWARDEN_EXPORTER_HOST_ROOT": str(root)}) as process:
        wait_for(process, "model_probe_skipped_total", 1, gpu="0", reason="memory")
        process.wait_for("1.0 GiB free, 2.0 GiB needed")
    assert probing.runs() == {}
