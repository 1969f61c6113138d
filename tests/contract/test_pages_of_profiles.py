"""Every page of every card that the fake driver knows, as other people's readers see it."""

import os
import shutil
import subprocess

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.e2e.running import CLIENT, exporter, of_gpu, series
from tests.fakes.nvml.codes import Return
from tests.fakes.nvml.gpu import Process
from tests.fakes.nvml.profiles import PROFILES
from tests.polling import wait_until

OPENMETRICS = {"accept": "application/openmetrics-text; version=1.0.0"}
DIVIDED = "divided"
MEMORY = 2**28


def prepare(driver):
    """A card at work: processes, errors, and, where it is asked for, parts."""
    gpu = driver.gpu(0)
    gpu.set_processes([Process(pid=os.getpid(), memory=MEMORY, utilization=(50, 10, 0, 0))])
    gpu.memory_used = MEMORY
    gpu.clocks_event_reasons = 0x44
    gpu.gpm = [0, *[1_250] * 13]


@pytest.fixture(params=[*sorted(PROFILES), DIVIDED])
def page_of(request, fake_driver, tmp_path):
    """Reads the page of a real exporter on one profile in a form."""
    divided = request.param == DIVIDED
    driver = fake_driver("h100-80gb" if divided else request.param)
    prepare(driver)
    if divided:
        driver.gpu(0).add_mig(0, "1g.10gb", 9_984, gpu_instance=7)
        driver.gpu(0).mig_mode = [1, 1]
        driver.gpu(0).fail("nvmlDeviceGetUtilizationRates", Return.NOT_SUPPORTED)
    with exporter(tmp_path, driver.environment()) as process:
        wait_until(lambda: of_gpu(series(process.url), "gpu_up", 0) == 1, 20, "the card is not up")
        for _ in range(3):
            driver.gpu(0).xid(31)
        wait_until(lambda: "host_cpu_utilization_ratio" in series(process.url), 20, "the host was not read twice")
        yield lambda **headers: CLIENT.get(f"{process.url}/metrics", headers=headers).text


def test_both_formats_say_the_same_and_parse(page_of):
    """One card's odd reading would cost the user every reading of the box."""
    openmetrics = {family.name: family for family in parse_openmetrics(page_of(**OPENMETRICS))}
    text = {family.name: family for family in parse_text(page_of())}

    assert {name.removesuffix("_info") for name in text} == {name.removesuffix("_info") for name in openmetrics}
    assert "gpu_up" in text


@pytest.mark.prometheus
def test_promtool_finds_nothing_wrong(page_of):
    """Prometheus would refuse the page, or a user's linter would name each of our series."""
    promtool = shutil.which("promtool")
    if promtool is None:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up("promtool is not installed")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=page_of(), capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
