"""Random schedules of faults on random cards, alone and in pairs, against the real exporter over HTTP.

Each schedule is played on a driver with four cards while a scraper reads the page as fast as it can. A page is judged
only when the scraper itself kept pace just before: on a busy machine a card that seems late may be the test that is.
"""

import contextlib
import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.running import CLIENT, exporter
from tests.fakes.nvml.codes import Return
from tests.polling import wait_until

CARDS = 4
INTERVAL = 0.2
SHOWN = 2 * INTERVAL + 0.25
"""Seconds for which the page shows a reading."""
PACE = 0.15
EXAMPLES = int(os.environ.get("GPUWARDEN_FAULT_SCHEDULES", "6"))
ALWAYS_THERE = ("gpu_up", "gpu_info", "gpu_xid_errors_total", "gpu_xid_last_timestamp_seconds")

LOSSES = (Return.GPU_IS_LOST, Return.RESET_REQUIRED, Return.UNKNOWN)
HANGS = (
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetMemoryInfo_v2",
    "nvmlDeviceGetFieldValues",
    "nvmlDeviceGetComputeRunningProcesses_v3",
)
"""Calls of every reading: one that is made more rarely would leave the card up until then, and rightly."""
FIELDS = ("nvmlDeviceGetPowerUsage", "nvmlDeviceGetTemperatureV", "nvmlDeviceGetClockInfo", "nvmlDeviceGetNumFans")


def lose(code):
    return lambda gpu: gpu.fail_all(code)


def hang(call):
    return lambda gpu: gpu.hang(call)


def pull_out(gpu):
    gpu.present = False


def fail(call):
    return lambda gpu: gpu.fail(call, Return.UNKNOWN)


def report(gpu):
    gpu.xid(79)


DEADLY = [*map(lose, LOSSES), *map(hang, HANGS), pull_out]
HARMLESS = [*map(fail, FIELDS), report]
STEPS = st.lists(
    st.tuples(
        st.lists(
            st.tuples(st.integers(0, CARDS - 1), st.sampled_from([*DEADLY, *HARMLESS])),
            min_size=1,
            max_size=2,
            unique_by=lambda fault: fault[0],
        ),
        st.floats(0.05, 0.6),
    ),
    min_size=1,
    max_size=3,
)


class Watched:
    """The exporter under a driver, and every page that was scraped of it."""

    def __init__(self, driver, process):
        self.driver = driver
        self.url = f"{process.url}/metrics"
        self.broken_at: dict[int, float] = {}
        self._last = time.monotonic()
        self._on_pace_since = self._last

    def page(self):
        asked = time.monotonic()
        text = CLIENT.get(self.url).text
        now = time.monotonic()
        if now - self._last > PACE:
            self._on_pace_since = now
        self._last = now
        return asked, now, text

    def watch(self, seconds):
        """Scrape for this long and judge each page."""
        end = time.monotonic() + seconds
        while (moment := self.page())[0] < end:
            self.judge(*moment)
            time.sleep(0.02)

    def judge(self, asked, now, text):
        on_pace = now - self._on_pace_since > SHOWN
        for index in range(CARDS):
            uuid = self.driver.gpu(index).uuid
            lines = [line for line in text.splitlines() if f'uuid="{uuid}"' in line and line.startswith("gpu_")]
            values = [line for line in lines if not line.startswith(ALWAYS_THERE)]
            up = [line.rpartition(" ")[2] for line in lines if line.startswith("gpu_up{")]
            assert len(up) == 1, f"GPU {index} has no gpu_up"
            if index not in self.broken_at:
                assert not on_pace or up == ["1.0"], f"a healthy card, GPU {index}, is missing: {lines}"
            elif asked - self.broken_at[index] > SHOWN + PACE:
                assert up == ["0.0"], f"GPU {index} cannot be read and is up"
            assert up == ["1.0"] or values == [], f"GPU {index} is lost and shows {values[:3]}"

    def strike(self, faults):
        for index, fault in faults:
            if fault in DEADLY:
                self.broken_at.setdefault(index, time.monotonic())
            fault(self.driver.gpu(index))

    @contextlib.contextmanager
    def healed_at_the_end(self):
        try:
            yield
        finally:
            self.driver.heal()
            self.driver.release()
            for gpu in self.driver.gpus:
                gpu.present = True

    def cards_up(self, text):
        return sum(line.startswith("gpu_up{") and line.endswith(" 1.0") for line in text.splitlines())


@pytest.fixture
def watched(fake_driver, tmp_path):
    with contextlib.ExitStack() as stack:
        driver = fake_driver(*["rtx-3090"] * CARDS)
        yield Watched(driver, stack.enter_context(exporter(tmp_path, driver.environment())))


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_faults_cost_only_their_cards_and_everything_heals(watched, steps):
    """One bad card would take the others off the page, show values of an hour ago, or never come back."""
    watched.broken_at.clear()
    wait_until(lambda: watched.cards_up(watched.page()[2]) == CARDS, 30, "not all cards are up at the start")
    with watched.healed_at_the_end():
        for faults, seconds in steps:
            watched.strike(faults)
            watched.watch(seconds + SHOWN)
    wait_until(lambda: watched.cards_up(watched.page()[2]) == CARDS, 30, "not everything healed")


@settings(max_examples=max(2, EXAMPLES // 3), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    codes=st.lists(st.sampled_from([Return.DRIVER_NOT_LOADED, Return.UNINITIALIZED, Return.GPU_NOT_FOUND]), max_size=2),
    other=STEPS,
)
def test_a_driver_that_goes_beside_other_faults_comes_back_with_every_card(watched, codes, other):
    """After a reload of the driver on a box with a bad card, the good ones would stay away."""
    watched.broken_at.clear()
    wait_until(lambda: watched.cards_up(watched.page()[2]) == CARDS, 30, "not all cards are up at the start")
    with watched.healed_at_the_end():
        for code in codes:
            watched.strike(other[0][0])
            watched.driver.unload(code)
            watched.broken_at = dict.fromkeys(range(CARDS), time.monotonic())
            watched.watch(SHOWN + 0.3)
            watched.driver.load()
    wait_until(lambda: watched.cards_up(watched.page()[2]) == CARDS, 40, "not everything healed")
