"""The fake driver's MIG devices, activity samples, sample buffers and licences, through the real binding."""

import time

from tests.contract.test_fake_nvml_values import calling
from tests.fakes.nvml.codes import Return

MIB = 2**20


def test_a_divided_card_shows_its_parts_with_holes(fake_driver):
    """Code for MIG would be tried on a card that has every number, as no divided card does."""
    driver = fake_driver("a100-40gb")
    gpu = driver.gpu(0)
    gpu.add_mig(0, "3g.20gb", 20_000, gpu_instance=2)
    gpu.add_mig(2, "1g.5gb", 4_864, gpu_instance=9, compute_instance=1)
    with calling(driver) as call:
        assert call.code("n.nvmlDeviceGetMigDeviceHandleByIndex(h[0], 0)") == Return.NOT_FOUND

        gpu.mig_mode = [1, 1]
        gpu.mig(2).memory_used = 512 * MIB
        part = "n.nvmlDeviceGetMigDeviceHandleByIndex(h[0], {})"

        assert call("n.nvmlDeviceGetMaxMigDeviceCount(h[0])") == 3
        assert call.code(part.format(1)) == Return.NOT_FOUND
        assert call(f"n.nvmlDeviceGetName({part.format(2)})") == "NVIDIA A100-PCIE-40GB MIG 1g.5gb"
        assert call(f"n.nvmlDeviceGetUUID({part.format(2)})").startswith("MIG-")
        assert call(f"n.nvmlDeviceGetGpuInstanceId({part.format(2)})") == 9
        assert call(f"n.nvmlDeviceGetComputeInstanceId({part.format(2)})") == 1
        memory = call(f"n.nvmlDeviceGetMemoryInfo({part.format(2)}, n.nvmlMemory_v2)")
        assert (memory["total"], memory["used"]) == (4_864 * MIB, 512 * MIB)
        assert call.code(f"n.nvmlDeviceGetPowerUsage({part.format(0)})") == Return.NOT_SUPPORTED


def test_activity_is_the_difference_of_two_samples_of_the_same_part(fake_driver):
    """Samples of different cards would be compared in silence."""
    driver = fake_driver("h100-80gb", "rtx-3090")
    driver.gpu(0).gpm = [0, 5025]
    with calling(driver) as call:
        call("globals().update(a=n.nvmlGpmSampleAlloc(), b=n.nvmlGpmSampleAlloc(), get=n.c_nvmlGpmMetricsGet_t())")
        call("[n.nvmlGpmSampleGet(h[0], a), n.nvmlGpmSampleGet(h[0], b)] and None")
        call("[setattr(get, 'version', 1), setattr(get, 'numMetrics', 1), setattr(get, 'sample1', a)]")
        call("[setattr(get, 'sample2', b), setattr(get.metrics[0], 'metricId', 1)]")

        assert call("n.nvmlGpmMetricsGet(get).metrics[0].value") == 50.25
        assert call.code("n.nvmlGpmMigSampleGet(h[0], 4, b)") == Return.INVALID_ARGUMENT
        assert call("n.nvmlGpmQueryDeviceSupport(h[1]).isSupportedDevice") == 0
        assert call.code("n.nvmlGpmSampleGet(h[1], b)") == Return.NOT_SUPPORTED


def test_the_sample_buffer_gives_what_is_new(fake_driver):
    """A peak between two readings could not be tried."""
    driver = fake_driver("rtx-3090")
    gpu = driver.gpu(0)
    with calling(driver) as call:
        assert call.code("n.nvmlDeviceGetSamples(h[0], 0, 0)") == Return.NOT_FOUND
        now = time.time()
        gpu.add_sample("power", 120_000, now - 2)
        gpu.add_sample("power", 340_000, now - 1)

        kind, samples = call(f"n.nvmlDeviceGetSamples(h[0], 0, {int((now - 1.5) * 1e6)})")
        assert (kind, len(samples)) == (1, 1)


def test_a_licence_is_told_apart_from_no_need_of_one(fake_driver):
    """Each card of a box without vGPU software would count as unlicensed."""
    driver = fake_driver("rtx-3090")
    with calling(driver) as call:
        for licence, answers in ((0, (0, 0)), (1, (1, 0)), (2, (1, 1))):
            driver.gpu(0).licence = licence
            found = "n.nvmlDeviceGetGridLicensableFeatures(h[0])"
            assert call(f"{found}.isGridLicenseSupported") == answers[0]
            assert call(f"{found}.gridLicensableFeatures[0].featureState") == answers[1]
