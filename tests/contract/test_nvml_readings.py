"""What a card's values become on their way from the driver's library into the snapshot."""

import os

import pytest

from tests.contract.nvml_child import Sampling
from tests.fakes.nvml.codes import Kind, Return
from tests.fakes.nvml.gpu import Process

GIB = 2**30
ALL = ("gtx-1660-super", "rtx-2060", "rtx-3060", "rtx-3090", "a100-40gb", "h100-80gb", "h100-sxm-80gb")


@pytest.fixture
def first_reading(fake_driver):
    """The first readings of a driver's cards, and what the process logged."""

    def read(driver):
        with Sampling(driver.environment()) as child:
            gpus = child.until_up(*[True] * driver.count)["gpus"]
            assert child.leave() == 0
            return gpus, "".join(child.whole_log())

    return read


def test_every_shipped_profile_is_read(fake_driver, first_reading):
    """The cards that people have must come with name, memory, temperature, power and clocks."""
    gpus, _ = first_reading(fake_driver(*ALL))
    assert [gpu["index"] for gpu in gpus] == [str(number) for number in range(len(ALL))]
    for gpu in gpus:
        assert gpu["info"].keys() == {"name", "pci_bus_id", "driver_version", "cuda_version", "vbios_version"}
        assert 0 < gpu["memory_total_bytes"] <= 80 * GIB
        assert 20 < gpu["temperature_celsius"] < 60
        assert gpu["power_watts"] < gpu["power_limit_watts"]
        assert gpu["temperature_margin_celsius"] > 20
        assert gpu["clock_hertz"].keys() == {"graphics", "sm", "memory", "video"}
        assert set(gpu["throttled"].values()) == {0.0}
        assert gpu["processes_visible"] in (1.0, None)
    assert gpus[5]["fan_speed_ratio"] == {}
    assert gpus[0]["memory_temperature_celsius"] is None


def test_sixteen_cards(fake_driver, first_reading):
    """A full server must be read like a single card, in the order of the indices."""
    gpus, _ = first_reading(fake_driver(*["rtx-3090"] * 16))
    assert [gpu["index"] for gpu in gpus] == [str(number) for number in range(16)]
    assert len({gpu["uuid"] for gpu in gpus}) == 16


def test_values_in_base_units(fake_driver, first_reading):
    """A wrong unit is a wrong alert."""
    driver = fake_driver("rtx-3090")
    gpu = driver.gpu(0)
    gpu.utilization_gpu = 57
    gpu.utilization_memory = 31
    gpu.memory_used = 20 * GIB
    gpu.memory_reserved = GIB
    gpu.memory_total = 25 * GIB
    gpu.clocks = [1800, 1801, 9501, 1600]
    gpu.power_usage = 349_500
    gpu.fan_speeds = [44, 51]
    gpu.clocks_event_reasons = 0x1 | 0x4 | 0x40
    reading = first_reading(driver)[0][0]
    assert reading["utilization_ratio"] == 0.57
    assert reading["memory_controller_utilization_ratio"] == 0.31
    assert reading["memory_used_ratio"] == pytest.approx(20 / 24)
    assert reading["memory_reserved_bytes"] == GIB
    assert reading["clock_hertz"] == {"graphics": 1.8e9, "sm": 1.801e9, "memory": 9.501e9, "video": 1.6e9}
    assert reading["power_watts"] == 349.5
    assert [reading["fan_speed_ratio"][fan] for fan in sorted(reading["fan_speed_ratio"])][:2] == [0.44, 0.51]
    assert {reason for reason, on in reading["throttled"].items() if on} == {"sw_power_cap", "hw_thermal"}


@pytest.mark.parametrize("code", [Return.NOT_SUPPORTED, Return.FUNCTION_NOT_FOUND])
def test_what_a_card_does_not_support_is_asked_once_and_missed_nowhere_else(fake_driver, code):
    """Asking the same unanswerable question every second cost other exporters whole processor cores."""
    driver = fake_driver("rtx-3060")
    gpu = driver.gpu(0)
    gpu.fail("nvmlDeviceGetPowerUsage", code)
    with Sampling(driver.environment()) as child:
        reading = child.until_up(True)["gpus"][0]
        assert reading["power_watts"] is None
        assert reading["utilization_ratio"] is not None
        gpu.wait_for_more("nvmlDeviceGetUtilizationRates", 10)
        assert gpu.entered("nvmlDeviceGetPowerUsage") == 1
        driver.load()
        gpu.heal()
        child.until(lambda found: found["gpus"][0]["power_watts"] is not None)


@pytest.mark.parametrize("code", [Return.NO_PERMISSION, Return.UNKNOWN, Return.NO_DATA, Return.INVALID_ARGUMENT])
def test_what_fails_now_is_absent_now_and_logged_once(fake_driver, code):
    """A value that fails for a moment must come back, and must not fill the log meanwhile."""
    driver = fake_driver("rtx-3060")
    gpu = driver.gpu(0)
    gpu.fail("nvmlDeviceGetPowerUsage", code)
    with Sampling(driver.environment()) as child:
        assert child.until_up(True)["gpus"][0]["power_watts"] is None
        gpu.wait_for_more("nvmlDeviceGetPowerUsage", 5)
        gpu.heal()
        child.until(lambda found: found["gpus"][0]["power_watts"] is not None)
        assert child.leave() == 0
        assert sum("no reading of power" in line for line in child.whole_log()) == 1


def test_a_limit_that_cannot_be_read_at_first_is_there_soon(fake_driver):
    """A card that is still busy when the exporter starts must not be without its temperature margin for a minute."""
    driver = fake_driver("rtx-3060")
    driver.gpu(0).fail("nvmlDeviceGetTemperatureThreshold", Return.UNKNOWN)
    with Sampling(driver.environment()) as child:
        assert child.until_up(True)["gpus"][0]["temperature_limit_celsius"] == {}
        driver.gpu(0).heal()
        child.until(lambda found: found["gpus"][0]["temperature_limit_celsius"])


@pytest.mark.parametrize("code", [Return.FUNCTION_NOT_FOUND, Return.ARGUMENT_VERSION_MISMATCH, Return.UNKNOWN])
def test_memory_of_an_old_driver(fake_driver, code):
    """Old drivers and WSL have only the first version of the call; the memory alert must work there too."""
    driver = fake_driver("rtx-3060")
    gpu = driver.gpu(0)
    gpu.memory_used = 9 * GIB
    gpu.fail("nvmlDeviceGetMemoryInfo_v2", code)
    with Sampling(driver.environment()) as child:
        reading = child.until_up(True)["gpus"][0]
        assert reading["memory_reserved_bytes"] is None
        assert reading["memory_used_bytes"] >= 9 * GIB
        assert reading["memory_used_ratio"] == reading["memory_used_bytes"] / reading["memory_total_bytes"]
        gpu.wait_for_more("nvmlDeviceGetMemoryInfo", 5)
        assert gpu.entered("nvmlDeviceGetMemoryInfo_v2") == 1


def test_memory_keeps_its_version_through_a_bad_moment(fake_driver):
    """A single unknown error must not make used memory jump by the driver's reserve for ever."""
    driver = fake_driver("rtx-3060")
    gpu = driver.gpu(0)
    with Sampling(driver.environment()) as child:
        child.until(lambda found: found["gpus"] and found["gpus"][0]["memory_reserved_bytes"])
        gpu.fail("nvmlDeviceGetMemoryInfo_v2", Return.UNKNOWN)
        child.until(lambda found: found["gpus"][0]["memory_used_ratio"] is None)
        gpu.heal()
        child.until(lambda found: found["gpus"][0]["memory_reserved_bytes"])
        assert gpu.entered("nvmlDeviceGetMemoryInfo") == 0


def test_a_card_that_shares_the_hosts_memory_has_no_memory_series(fake_driver, first_reading):
    """On such cards the old call answers with the host's memory, which would be an alert about nothing."""
    driver = fake_driver("rtx-3060")
    driver.gpu(0).fail("nvmlDeviceGetMemoryInfo_v2", Return.NOT_SUPPORTED)
    reading = first_reading(driver)[0][0]
    assert reading["memory_total_bytes"] is None
    assert reading["memory_used_ratio"] is None
    assert driver.calls("nvmlDeviceGetMemoryInfo") == 0


def test_a_card_that_answers_nothing_is_not_up(fake_driver):
    """A container that has lost its device hears "unknown error" to everything: that card is not well."""
    driver = fake_driver("rtx-3060")
    with Sampling(driver.environment()) as child:
        child.until_up(True)
        driver.gpu(0).fail_all(Return.UNKNOWN)
        child.until_up(False)
        driver.gpu(0).heal()
        child.until_up(True)


def test_sentinels_are_no_readings(fake_driver, first_reading):
    """A utilization of 4294967295 % would be believed by every rule and panel."""
    driver = fake_driver("rtx-3060")
    gpu = driver.gpu(0)
    gpu.utilization_gpu = 2**32 - 1
    gpu.utilization_memory = 101
    gpu.power_usage = 2**32 - 1
    gpu.energy = 9223372036854775794
    gpu.performance_state = 32
    reading = first_reading(driver)[0][0]
    for name in ("utilization_ratio", "memory_controller_utilization_ratio", "power_watts", "energy_joules_total"):
        assert reading[name] is None
    assert reading["performance_state"] is None
    assert reading["up"]


def test_processes_with_their_memory_name_and_user(fake_driver, first_reading):
    """The mail names who holds the memory."""
    driver = fake_driver("rtx-3060")
    driver.gpu(0).set_processes([Process(os.getpid(), 3 * GIB), Process(os.getppid(), None), Process(0, GIB)])
    reading = first_reading(driver)[0][0]
    own, parent = reading["processes"]
    assert (own["pid"], own["memory_bytes"]) == (os.getpid(), 3 * GIB)
    assert own["name"].startswith(("python", "pytest"))
    assert own["user"]
    assert (parent["pid"], parent["memory_bytes"]) == (os.getppid(), None)
    assert reading["processes_visible"] == 1.0


HOSTILE = {
    "long": (b"x" * 900, "x" * 127 + "…"),
    "longer than the driver tells": (b"x" * 10_000, "x" * 127 + "…"),
    "nul": (b"before\x00after", "before"),
    "newline": (b"evil\nHost: forged", "evil"),
    "quotes": (b'/opt/a"b\\c', 'a"b\\c'),
    "not utf-8": (b"/bin/na\xffme\xc3", "na\ufffdme\ufffd"),
    "controls": (b"a\x1b[31m\x07b\xe2\x80\xaec", "a[31mbc"),
    "empty": (b"", ""),
    "arguments": (b"/usr/bin/serve --token=secret", "serve"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_names_of_processes_that_only_the_driver_sees(fake_driver, first_reading, case):
    """A process name is chosen by a stranger and must not break a page, forge a mail or leak an argument."""
    given, shown = HOSTILE[case]
    driver = fake_driver("rtx-3060")
    driver.gpu(0).set_processes([Process(2**22 - 1, GIB, name=given)])
    reading = first_reading(driver)[0][0]
    assert [process["name"] for process in reading["processes"]] == [shown]
    assert reading["processes_visible"] == 0.0


def test_old_process_lists(fake_driver):
    """Drivers without the third version of the process list still have the second."""
    driver = fake_driver("rtx-3060")
    gpu = driver.gpu(0)
    gpu.set_processes([Process(os.getpid(), GIB)])
    for kind in ("Compute", "Graphics", "MPSCompute"):
        gpu.fail(f"nvmlDeviceGet{kind}RunningProcesses_v3", Return.FUNCTION_NOT_FOUND)
    with Sampling(driver.environment()) as child:
        assert child.until_up(True)["gpus"][0]["processes"][0]["memory_bytes"] == GIB
        gpu.wait_for_more("nvmlDeviceGetComputeRunningProcesses_v2", 5)
        assert gpu.entered("nvmlDeviceGetComputeRunningProcesses_v3") == 1


def test_a_card_without_process_lists_says_nothing_about_processes(fake_driver, first_reading):
    """Where the driver keeps no list, "no processes" would be a lie."""
    driver = fake_driver("rtx-3060")
    for kind in ("Compute", "Graphics", "MPSCompute"):
        for version in ("_v2", "_v3"):
            driver.gpu(0).fail(f"nvmlDeviceGet{kind}RunningProcesses{version}", Return.NOT_SUPPORTED)
    reading = first_reading(driver)[0][0]
    assert reading["processes"] == []
    assert reading["processes_visible"] is None


def test_many_processes_are_cut(fake_driver):
    """Hundreds of processes on a card must not become hundreds of series."""
    driver = fake_driver("rtx-3060")
    driver.gpu(0).set_processes([Process(2**21 + number, number * 2**20) for number in range(1, 21)])
    with Sampling(driver.environment(), process_limit=5) as child:
        processes = child.until_up(True)["gpus"][0]["processes"]
    assert [process["memory_bytes"] / 2**20 for process in processes] == [20, 19, 18, 17, 16, sum(range(1, 16))]
    assert (processes[-1]["name"], processes[-1]["pid"]) == ("(others)", 0)


def test_who_computes_is_told_from_who_only_draws_and_is_not_cut(fake_driver):
    """A desktop's windows would keep the probe from running, or a server beyond the limit would be disturbed by it."""
    driver = fake_driver("rtx-3060")
    both = Kind.COMPUTE | Kind.GRAPHICS
    driver.gpu(0).set_processes(
        [Process(2**21, 9, Kind.GRAPHICS), Process(2**21 + 1, 8, both), Process(2**21 + 2, 7, Kind.COMPUTE)]
    )
    with Sampling(driver.environment(), process_limit=1) as child:
        assert sorted(child.until_up(True)["gpus"][0]["computing"]) == [2**21 + 1, 2**21 + 2]
