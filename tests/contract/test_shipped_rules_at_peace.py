"""The shipped rules on the pages of cards that are well: at rest, at work, and filled by a server on purpose.

The exporter is visited twice in each state; between the visits the driver counts on as in a minute of it, and what
swings on such a card swings. Those two pages stand for two hours: each counter grows on from minute to minute as it did
between the visits, everything else is by turns as at the first and at the second. Every window has been watched, and
``for`` counts for nothing.

What hardly ever happens cannot be driven in a minute: of the errors in ``RARE`` as many come in an hour as between the
visits. What the exporter itself adds up over time (under WSL the throttled time) stands still.
"""

import asyncio
import math
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
from alerts.series import Sample
from gpuwarden.catalog import CATALOG
from tests.e2e.running import exporter, of_gpu, series
from tests.fakes.nvml.codes import Return
from tests.fakes.nvml.gpu import Process
from tests.fakes.nvml.profiles import PROFILES
from tests.polling import wait_until

RULES = [rule for rule in load_rules(SHIPPED, []) if not rule.metric.startswith("host_")]
"""The host is this machine, whose disks may well be full."""

DIVIDED = "divided"
STEP, HOURS = 60.0, 2
RARE = frozenset({"gpu_ecc_errors_total", "gpu_pcie_replays_total"})
AT_THERMAL_TARGET = 0.25
"""The share of the time in which a GeForce under load holds its clock down to stay at its target temperature."""

NANOSECONDS = 1_000_000_000
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


def between_jobs(gpu):
    """The model stays loaded; the card cools, and its link is narrowed as at rest."""
    gpu.utilization_gpu, gpu.utilization_memory = 0, 0
    gpu.temperature, gpu.temperature_margin, gpu.memory_temperature = 55, 35, 60
    gpu.power_usage = gpu.power_average = gpu.power_limit_enforced // 4
    gpu.clocks_event_reasons = 0x1
    gpu.pcie_link_width = 4


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


def a_minute_goes_by(gpu, at_target=0.0):
    """The driver counts on as in a minute of work at the power limit, and what swings is at the other end.

    ``at_target`` is the share of the minute in which the card was at its thermal target.
    """
    gpu.energy += int(gpu.power_usage * STEP)
    gpu.violation_times[0] += int(STEP * NANOSECONDS)
    gpu.slowdown_times[0] += int(at_target * STEP * NANOSECONDS)
    gpu.pcie_bytes = [sent + 10**9 for sent in gpu.pcie_bytes]
    gpu.pcie_replays += 1
    gpu.ecc_errors[0] += 1
    gpu.ecc_errors[1] += 1
    gpu.memory_used += (gpu.memory_total - gpu.memory_reserved) // 50
    gpu.temperature += 3
    gpu.temperature_margin -= 3
    gpu.memory_temperature += 3
    gpu.power_usage = gpu.power_average = gpu.power_usage - 2000


def visited(url, gpu):
    """The page once it tells the power that the card takes now, and with it what was set before."""
    watts = gpu.power_usage / 1000
    wait_until(lambda: of_gpu(series(url), "gpu_power_watts", 0) == watts, 20, "the card's state is not seen")
    return page_of(url)


def rewritten(first, second):
    """Both pages from minute to minute, for ``HOURS``."""
    before = {name: {sample.labels: sample.value for sample in found} for name, found in first.samples.items()}
    for minute in range(int(HOURS * 3600 / STEP)):
        samples = {
            name: tuple(
                Sample(one.labels, grown(name, before.get(name, {}).get(one.labels, one.value), one.value, minute))
                for one in found
            )
            for name, found in second.samples.items()
        }
        yield replace(second, at=second.at + minute * STEP, samples=samples)


def grown(name, before, after, minute):
    """The value of a series at a minute."""
    row = CATALOG.get(name)
    if row is None or row.kind != "counter":
        return (after, before)[minute % 2]
    return after + (after - before) * minute / (3600 / STEP if name in RARE else 1)


def holding(pages, rules=RULES):
    """The rules that hold at some time."""
    history, found = History(watched_since=-math.inf), set()
    for scrape in rewritten(*pages):
        history.take(rules, [scrape], scrape.at, max_gap=2 * STEP)
        for rule in rules:
            for value in readings(rule, [scrape], history, scrape.at).values():
                if value is not None and rule.holds(value, firing=False):
                    found.add(rule.alert)
    return found


def two_pages(url, gpu, at_target=0.0):
    """What two visits see, a minute of the card's life apart."""
    first = visited(url, gpu)
    a_minute_goes_by(gpu, at_target)
    return first, visited(url, gpu)


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
        first = visited(process.url, gpu)
        gpu.memory_used += 200 * 2**20
        gpu.power_usage = gpu.power_average = gpu.power_usage + 1000
        assert holding((first, visited(process.url, gpu))) == set()

        at_work(gpu)
        assert holding(two_pages(process.url, gpu, AT_THERMAL_TARGET)) == set()

        between_jobs(gpu)
        assert holding((visited(process.url, gpu),) * 2) == set()

        filled(gpu)
        full = of_gpu(series(process.url), "gpu_memory_used_ratio", 0) is not None
        found = holding(two_pages(process.url, gpu, AT_THERMAL_TARGET))
        assert found == ({"GpuMemoryAlmostFull", "GpuMemoryHigh"} if full else set())


def test_a_laptop_at_its_thermal_target_is_told_as_news_only(fake_driver, tmp_path):
    """Somebody is woken because a laptop is a laptop, or a clogged filter is never told of."""
    driver = fake_driver("rtx-3060")
    at_work(driver.gpu(0))
    with exporter(tmp_path, driver.environment(), "--interval", "1s") as process:
        assert holding(two_pages(process.url, driver.gpu(0), at_target=0.9)) == {"GpuThermalThrottlingMild"}


TOO_EAGER = """
rules:
  - {override: GpuThermalThrottlingMild, above: 0.2}
  - {override: GpuPowerCapped, enabled: true}
  - {override: GpuEccCorrectedMany, above: 0.5}
  - {override: GpuMemoryFullSoon, above: 0.71, clear: 0.7}
  - {override: GpuMemoryPeak, above: 0.7}
"""


def test_rules_that_are_too_eager_are_noticed_here(fake_driver, tmp_path):
    """A number that is changed for the worse passes all tests, and every card that works causes mails."""
    driver = fake_driver("a100-40gb")
    at_work(driver.gpu(0))
    own = tmp_path / "own.yml"
    own.write_text(TOO_EAGER)
    rules = [rule for rule in load_rules(SHIPPED, [own]) if not rule.metric.startswith("host_")]
    with exporter(tmp_path, driver.environment(), "--interval", "1s") as process:
        pages = two_pages(process.url, driver.gpu(0), AT_THERMAL_TARGET)
    assert holding(pages) == set()
    assert holding(pages, rules) == {
        *("GpuThermalThrottlingMild", "GpuPowerCapped", "GpuEccCorrectedMany", "GpuMemoryFullSoon", "GpuMemoryPeak"),
    }
