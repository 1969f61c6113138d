"""The shipped rules on the pages of cards that are well: at rest, at work, and filled by a server on purpose.

A page is read again and again for eight hours, so that every window has been watched, and ``for`` counts for nothing.
"""

import asyncio
import os
import time
from dataclasses import replace

import httpx
import pytest

from alerts.history import History
from alerts.notify.due import wanted_metrics
from alerts.readings import readings
from alerts.rules import SHIPPED, load_rules
from alerts.scrape import fetch
from tests.e2e.running import exporter, of_gpu, series
from tests.fakes.nvml.codes import Return
from tests.fakes.nvml.gpu import Process
from tests.fakes.nvml.profiles import PROFILES
from tests.polling import wait_until

RULES = [rule for rule in load_rules(SHIPPED, []) if not rule.metric.startswith("host_")]
"""The host is this machine, whose disks may well be full."""

DIVIDED = "divided"
STEP, HOURS = 240.0, 8
KILLED_PROGRAM = 45


def at_rest(gpu):
    """Fans stand still, the link is narrowed, a desktop holds some memory."""
    gpu.utilization_gpu, gpu.utilization_memory = 0, 0
    gpu.memory_used = 300 * 2**20
    gpu.fan_speeds = [0, 0, 0, 0]
    gpu.pcie_link_width = 4


def at_work(gpu):
    """A training job: all of the time, at the power limit, warm, and one that was killed before it."""
    gpu.utilization_gpu, gpu.utilization_memory = 100, 60
    gpu.memory_used = int(0.7 * (gpu.memory_total - gpu.memory_reserved))
    gpu.set_processes([Process(pid=os.getpid(), memory=gpu.memory_used, utilization=(99, 60, 0, 0))])
    gpu.temperature, gpu.temperature_margin, gpu.memory_temperature = 76, 14, 86
    gpu.power_usage = gpu.power_average = gpu.power_limit_enforced
    gpu.clocks_event_reasons = 0x4
    gpu.fan_speeds = [68, 68, 68, 68]
    gpu.pcie_link_width = 16
    gpu.performance_state = 2
    gpu.xid(KILLED_PROGRAM)


def filled(gpu):
    """An inference server that reserves the card and waits."""
    at_work(gpu)
    gpu.utilization_gpu = 1
    gpu.memory_used = int(0.92 * (gpu.memory_total - gpu.memory_reserved))


def all_is_read(url):
    """Whether each source has succeeded, the host's too."""
    found = series(url)
    return of_gpu(found, "gpu_power_watts", 0) and all(found["gpuwarden_exporter_source_up"].values())


def page_of(url):
    """One real visit to the exporter."""

    async def visit():
        async with httpx.AsyncClient(trust_env=False) as client:
            return await fetch(client, f"{url}/metrics", time.time(), 5, wanted_metrics(RULES))

    scrape = asyncio.run(visit())
    assert scrape.error is None
    return scrape


def holding(scrape):
    """The rules that hold at some time while nothing changes on the page."""
    history, found = History(), set()
    for step in range(int(HOURS * 3600 / STEP)):
        now = scrape.at + step * STEP
        scrapes = [replace(scrape, at=now)]
        history.take(RULES, scrapes, now, max_gap=2 * STEP)
        for rule in RULES:
            for value in readings(rule, scrapes, history, now).values():
                if value is not None and rule.holds(value, firing=False):
                    found.add(rule.alert)
    return found


@pytest.fixture(params=[*sorted(PROFILES), DIVIDED])
def card(request, fake_driver):
    """A driver with one card."""
    divided = request.param == DIVIDED
    driver = fake_driver("h100-80gb" if divided else request.param)
    if divided:
        driver.gpu(0).add_mig(0, "1g.10gb", 9_984, gpu_instance=7)
        driver.gpu(0).mig_mode = [1, 1]
        driver.gpu(0).fail("nvmlDeviceGetUtilizationRates", Return.NOT_SUPPORTED)
    return driver


def test_a_card_that_is_well_causes_no_mail(card, tmp_path):
    """Somebody is woken because a card works, or because it does not; the next mail goes unread."""
    gpu = card.gpu(0)
    at_rest(gpu)
    with exporter(tmp_path, card.environment(), "--interval", "1s") as process:
        wait_until(lambda: all_is_read(process.url), 20, "the card or the host is not read")
        assert holding(page_of(process.url)) == set()

        at_work(gpu)
        watts = gpu.power_limit_enforced / 1000
        wait_until(lambda: of_gpu(series(process.url), "gpu_power_watts", 0) == watts, 20, "the work is not seen")
        assert holding(page_of(process.url)) == set()

        filled(gpu)
        full = of_gpu(series(process.url), "gpu_memory_used_ratio", 0) is not None
        if full:
            wait_until(lambda: of_gpu(series(process.url), "gpu_memory_used_ratio", 0) > 0.9, 20, "it is not full")
        assert holding(page_of(process.url)) == ({"GpuMemoryAlmostFull", "GpuMemoryHigh"} if full else set())
