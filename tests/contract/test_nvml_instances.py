"""Divided cards, what the parts of a chip do, and the driver's own samples, from the library into the snapshot."""

import time

from tests.contract.nvml_child import Sampling
from tests.fakes.nvml.codes import Return

MIB = 2**20


def divided(driver):
    """The first card as two MIG devices with a hole between them."""
    gpu = driver.gpu(0)
    gpu.add_mig(0, "3g.20gb", 20_000, gpu_instance=2)
    gpu.add_mig(2, "1g.5gb", 5_000, gpu_instance=9)
    gpu.mig_mode = [1, 1]
    for call in ("nvmlDeviceGetUtilizationRates", "nvmlDeviceGetSamples", "nvmlDeviceGetEncoderUtilization"):
        gpu.fail(call, Return.NOT_SUPPORTED)
    return gpu


def test_each_mig_device_has_its_memory_under_its_own_name(fake_driver):
    """On a divided card the memory of each tenant would be unknown, and the whole card's says nothing."""
    driver = fake_driver("a100-40gb", "rtx-3090")
    gpu = divided(driver)
    gpu.mig(2).memory_used = 4_000 * MIB
    with Sampling(driver.environment()) as child:
        first, second = child.until_up(True, True)["gpus"]

    assert first["mig_enabled"] == 1
    assert [(info["mig"], info["profile"]) for info in first["mig_info"]] == [("2/0", "3g.20gb"), ("9/0", "1g.5gb")]
    assert first["mig_memory_total_bytes"] == {"2/0": 20_000 * MIB, "9/0": 5_000 * MIB}
    assert first["mig_memory_used_ratio"] == {"2/0": 0, "9/0": 0.8}
    assert first["utilization_ratio"] is None
    assert (second["mig_enabled"], second["mig_info"]) == (None, [])


def test_mig_devices_come_and_go_while_it_runs(fake_driver):
    """An exporter that looks once at its start shows tenants that have left."""
    driver = fake_driver("a100-40gb")
    gpu = divided(driver)
    with Sampling(driver.environment()) as child:
        child.until(lambda found: found["gpus"] and len(found["gpus"][0]["mig_info"]) == 2)
        gpu.mig(2).present = 0
        found = child.until(lambda found: len(found["gpus"][0]["mig_info"]) == 1)["gpus"][0]
        assert found["up"]
        assert found["mig_memory_total_bytes"] == {"2/0": 20_000 * MIB}


def test_a_card_that_is_put_together_again_is_asked_anew(fake_driver):
    """After the division was undone, what a divided card cannot tell would be missing until the driver's reload."""
    driver = fake_driver("a100-40gb")
    gpu = divided(driver)
    with Sampling(driver.environment()) as child:
        child.until_up(True)
        gpu.mig_mode = [0, 0]
        gpu.heal()
        found = child.until(lambda found: found["gpus"][0]["utilization_ratio"] is not None)["gpus"][0]
        assert (found["mig_enabled"], found["mig_info"]) == (0, [])


def test_activity_of_a_chip_that_counts_it(fake_driver):
    """Utilization says 100 % for one busy multiprocessor of a hundred."""
    driver = fake_driver("h100-80gb", "rtx-3090")
    driver.gpu(0).gpm = [0, 9_950, 8_000, 4_000, 0, 2_500, 0, 0, 0, 0, 7_000, 0, 1_000, 0]
    with Sampling(driver.environment()) as child:
        found = child.until(lambda found: len(found["gpus"]) == 2 and found["gpus"][0]["activity_ratio"])
        first, second = found["gpus"]
        assert first["activity_ratio"]["graphics"] == 0.995
        assert first["activity_ratio"]["tensor"] == 0.25
        assert first["activity_ratio"]["dram"] == 0.7
        assert first["sm_occupancy_ratio"] == 0.4
        assert second["activity_ratio"] == {}
        driver.gpu(1).wait_for_more("nvmlDeviceGetUtilizationRates", 5)
        assert driver.gpu(1).entered("nvmlGpmQueryDeviceSupport") == 1
        assert driver.calls("nvmlGpmSampleAlloc") == 2


def test_activity_of_mig_devices(fake_driver):
    """On a divided card there is no other measure of work at all."""
    driver = fake_driver("h100-80gb")
    gpu = divided(driver)
    gpu.fail("nvmlGpmSampleGet", Return.NOT_SUPPORTED)
    gpu.mig(2).gpm[1] = 5_000
    with Sampling(driver.environment()) as child:
        found = child.until(lambda found: found["gpus"] and found["gpus"][0]["mig_activity_ratio"])["gpus"][0]
    assert found["mig_activity_ratio"]["9/0 graphics"] == 0.5
    assert found["mig_activity_ratio"]["2/0 graphics"] == 0.0


def test_samples_are_given_back_when_a_card_is_lost(fake_driver):
    """A card that is lost and found again each minute would grow the exporter for ever."""
    driver = fake_driver("h100-80gb")
    with Sampling(driver.environment()) as child:
        for _ in range(3):
            child.until(lambda found: found["gpus"] and found["gpus"][0]["activity_ratio"])
            driver.gpu(0).fail_all(Return.GPU_IS_LOST)
            child.until_up(False)
            driver.gpu(0).heal()
        child.until_up(True)
        assert driver.calls("nvmlGpmSampleAlloc") - driver.calls("nvmlGpmSampleFree") <= 2


def test_a_spike_between_two_readings_is_in_the_peak(fake_driver):
    """A power spike that trips the supply is shorter than any scrape interval."""
    driver = fake_driver("rtx-3090")
    gpu = driver.gpu(0)
    gpu.add_sample("power", 999_000, time.time() - 3600)
    with Sampling(driver.environment()) as child:
        before = child.until_up(True)["gpus"][0]
        assert before["power_peak_watts"] == before["power_watts"]
        gpu.add_sample("power", 480_000)
        gpu.add_sample("utilization", 97)
        found = child.until(lambda found: found["gpus"][0]["power_peak_watts"] == 480.0)["gpus"][0]
        assert found["power_watts"] < 100
        child.until(lambda found: found["gpus"][0]["utilization_peak_ratio"] == 0.97)
