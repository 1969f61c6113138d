import os
import shutil
import subprocess
import threading
import time

import pytest

from tests.e2e.running import CLIENT, exporter, of_gpu, run, series
from tests.fakes.nvml.codes import Return
from tests.fakes.nvml.gpu import Process
from tests.polling import wait_until

GIB = 2**30
UTILIZATION = "nvmlDeviceGetUtilizationRates"
MEMORY = "nvmlDeviceGetMemoryInfo_v2"


class Scraper:
    """Scrapes without a pause in a thread and remembers the slowest answer and every refusal."""

    def __init__(self, url):
        self.url, self.slowest, self.failures, self.count = url, 0.0, [], 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        wait_until(lambda: "host_memory_used_ratio" in series(self.url), 10, "the host was not read")
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(10)

    def _run(self):
        while not self._stop.wait(0.02):
            begun = time.monotonic()
            answer = CLIENT.get(f"{self.url}/metrics")
            self.slowest = max(self.slowest, time.monotonic() - begun)
            self.count += 1
            if answer.status_code != 200 or "host_memory_used_ratio" not in answer.text:
                self.failures.append(answer.status_code)


def wait_for_gpu(url, gpu, up, seconds=10.0):
    wait_until(lambda: of_gpu(series(url), "gpu_up", gpu) == up, seconds, f"gpu {gpu} was not up={up} in time")


def test_without_a_driver_the_host_is_served_and_one_line_says_what_is_missing(tmp_path):
    """A person without a card would get a traceback, or silence."""
    with exporter(tmp_path, {"LD_LIBRARY_PATH": str(tmp_path)}) as process:
        process.wait_for("no NVIDIA driver found")
        wait_until(lambda: "host_memory_used_ratio" in series(process.url), 10, "the host is not served")
        found = series(process.url)

    assert 0 < found["host_memory_used_ratio"][()] < 1
    assert not [name for name in found if name.startswith("gpu_")]
    assert len([line for line in process.lines if "no NVIDIA driver found" in line]) == 1
    assert process.process.returncode == 0


def test_readings_of_the_driver_are_on_the_page(tmp_path, fake_driver):
    """The page would show other values than the card."""
    driver = fake_driver("rtx-3060", "a100-40gb")
    gpu = driver.gpu(0)
    gpu.memory_used, gpu.utilization_gpu, gpu.temperature = 6 * GIB, 97, 80
    with exporter(tmp_path, driver.environment()) as process:
        wait_for_gpu(process.url, 0, 1)
        wait_for_gpu(process.url, 1, 1)
        found = series(process.url)

    assert of_gpu(found, "gpu_utilization_ratio", 0) == 0.97
    assert of_gpu(found, "gpu_memory_used_bytes", 0) == 6 * GIB
    assert of_gpu(found, "gpu_temperature_celsius", 0) == 80
    assert of_gpu(found, "gpu_up", 1) == 1
    assert of_gpu(found, "gpu_fan_speed_ratio", 1) is None
    for name in ("gpu_info", "gpu_temperature_margin_celsius", "gpu_power_watts", "gpu_clock_hertz", "gpu_throttled"):
        assert of_gpu(found, name, 0) is not None, name


def test_a_lost_card_costs_only_its_own_series_and_comes_back(tmp_path, fake_driver):
    """One broken card would blind the others, as with other exporters."""
    driver = fake_driver("rtx-3060", "rtx-3090")
    with exporter(tmp_path, driver.environment()) as process, Scraper(process.url) as scraper:
        wait_for_gpu(process.url, 1, 1)
        driver.gpu(0).fail_all(Return.GPU_IS_LOST)
        wait_for_gpu(process.url, 0, 0)
        found = series(process.url)
        driver.heal()
        driver.gpu(0).heal()
        wait_for_gpu(process.url, 0, 1, 30)

    assert of_gpu(found, "gpu_temperature_celsius", 0) is None
    assert of_gpu(found, "gpu_temperature_celsius", 1) is not None
    assert scraper.failures == []
    assert scraper.slowest < 1


def test_a_driver_that_goes_comes_back_by_itself(tmp_path, fake_driver):
    """A driver reload would need a restart by hand."""
    driver = fake_driver("rtx-3060", "rtx-3090")
    with exporter(tmp_path, driver.environment()) as process, Scraper(process.url) as scraper:
        wait_for_gpu(process.url, 1, 1)
        driver.unload()
        wait_for_gpu(process.url, 0, 0)
        wait_for_gpu(process.url, 1, 0)
        driver.load()
        wait_for_gpu(process.url, 0, 1, 30)
        wait_for_gpu(process.url, 1, 1, 30)

    assert scraper.failures == []


def test_a_call_that_hangs_costs_one_card_and_never_a_scrape(tmp_path, fake_driver):
    """A hanging driver call would hang the page, and with it every other reading of the box."""
    driver = fake_driver("rtx-3060", "rtx-3090")
    with exporter(tmp_path, driver.environment()) as process, Scraper(process.url) as scraper:
        wait_for_gpu(process.url, 0, 1)
        driver.gpu(0).hang(UTILIZATION)
        driver.gpu(0).wait_for_hang(UTILIZATION)
        wait_for_gpu(process.url, 0, 0)
        entered = driver.gpu(0).entered(UTILIZATION)
        driver.gpu(1).wait_for_more(UTILIZATION, 3)
        assert driver.gpu(0).entered(UTILIZATION) == entered
        wait_for_gpu(process.url, 1, 1)
        driver.gpu(0).release()
        wait_for_gpu(process.url, 0, 1)

    assert scraper.failures == []
    assert scraper.count > 10


def test_a_hanging_call_does_not_keep_the_exporter_from_ending(tmp_path, fake_driver):
    """Ctrl-C would do nothing, exactly when the driver is in trouble."""
    driver = fake_driver("rtx-3060")
    with exporter(tmp_path, driver.environment()) as process:
        wait_for_gpu(process.url, 0, 1)
        driver.gpu(0).hang(MEMORY)
        driver.gpu(0).wait_for_hang(MEMORY)
        process.process.terminate()
        assert process.process.wait(10) == 0


def test_a_driver_that_was_replaced_asks_for_a_fresh_process(tmp_path, fake_driver):
    """After a driver upgrade the exporter would show nothing until somebody restarts it."""
    driver = fake_driver("rtx-3060")
    with exporter(tmp_path, driver.environment()) as process:
        wait_for_gpu(process.url, 0, 1)
        driver.upgrade()
        assert process.process.wait(30) == 75


@pytest.mark.parametrize(
    "name",
    [b"train\ngpt.py", b'a "quoted" one', b"\xff\xfe\x80broken", b"x" * 10_000, "训练 🚀".encode(), b'a\\b{c="d"}'],
    ids=["newline", "quotes", "utf8", "long", "chinese", "braces"],
)
def test_a_hostile_process_name_leaves_the_page_valid(tmp_path, fake_driver, name):
    """Any user of the box could blind its monitoring by the name of a program."""
    driver = fake_driver("rtx-3060")
    sleeper = shutil.which("sleep")
    with subprocess.Popen([name.replace(b"\x00", b""), "60"], executable=sleeper) as child:
        driver.gpu(0).set_processes([Process(pid=child.pid, memory=GIB, name=name), Process(pid=4_100_000, name=name)])
        with exporter(tmp_path, driver.environment()) as process:
            wait_until(lambda: "gpu_process_memory_used_bytes" in series(process.url), 10, "no process on the page")
            held = series(process.url)["gpu_process_memory_used_bytes"]
            openmetrics = CLIENT.get(f"{process.url}/metrics", headers={"accept": "application/openmetrics-text"}).text
        child.kill()

    shown = {dict(labels)["pid"]: dict(labels)["process"] for labels in held}
    assert shown[str(child.pid)]
    assert all(len(text) <= 128 and text.isprintable() for text in shown.values())
    assert openmetrics.endswith("# EOF\n")


def test_a_taken_port_is_said_in_one_line(tmp_path):
    """A second start would end in a traceback."""
    with exporter(tmp_path) as first:
        address = first.url.removeprefix("http://")
        second = run("exporter", "--listen", address, home=tmp_path)

    assert second.returncode == 1
    assert second.stderr.startswith(f"{address} is taken: does the exporter run already?")
    assert len(second.stderr.splitlines()) == 1


@pytest.mark.prometheus
@pytest.mark.parametrize("cards", [("rtx-3060", "h100-80gb"), ()], ids=["driver", "demo"])
def test_promtool_accepts_the_page(tmp_path, fake_driver, cards):
    """Prometheus would refuse the page, or its linter would tell people that it is sloppy."""
    promtool = shutil.which("promtool")
    if promtool is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("promtool is not installed")
    driver = fake_driver(*cards)
    if cards:
        driver.gpu(0).set_processes([Process(pid=os.getpid(), memory=GIB)])
    with exporter(tmp_path, driver.environment(), *(() if cards else ("--demo",))) as process:
        wait_for_gpu(process.url, 0, 1)
        page = CLIENT.get(f"{process.url}/metrics").content
    checked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False)

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
