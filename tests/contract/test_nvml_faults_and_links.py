"""What comes by field id, and the links: ECC, remapping, retired pages, PCIe, NVLink, throttled time, licences."""

import pytest

from tests.contract.nvml_child import Sampling
from tests.fakes.nvml.codes import Return


@pytest.fixture
def reading(fake_driver):
    """The first good reading of each card of these profiles, after ``prepare`` has set their values."""

    def read(*profiles, prepare=None):
        driver = fake_driver(*profiles)
        for gpu in driver.gpus if prepare else ():
            prepare(gpu)
        with Sampling(driver.environment()) as child:
            return child.until_up(*[True] * len(profiles))["gpus"]

    return read


def test_errors_of_a_data_centre_cards_memory(reading):
    """A card whose memory is dying would go on in use until it takes a week's training with it."""

    def prepare(gpu):
        gpu.ecc_errors = [7, 70, 2, 20]
        gpu.remapped_rows = [5, 6, 1, 1]

    (gpu,) = reading("a100-40gb", prepare=prepare)
    assert gpu["ecc_enabled"] == 1
    assert gpu["ecc_errors_total"] == {"corrected": 7, "uncorrected": 2}
    assert gpu["ecc_lifetime_errors_total"] == {"corrected": 70, "uncorrected": 20}
    assert gpu["remapped_rows"] == {"correctable": 5, "uncorrectable": 6}
    assert (gpu["row_remap_pending"], gpu["row_remap_failed"]) == (1, 1)
    assert gpu["retired_pages"] == {}


def test_a_geforce_has_none_of_them(reading):
    """Zeros for what a card cannot count would say that all is well."""
    (gpu,) = reading("rtx-3090")
    for name in ("ecc_enabled", "row_remap_pending", "row_remap_failed", "retired_pages_pending", "vgpu_licensed"):
        assert gpu[name] is None, name
    for name in ("ecc_errors_total", "remapped_rows", "retired_pages", "nvlink_errors_total", "activity_ratio"):
        assert gpu[name] == {}, name
    assert gpu["nvlink_received_bytes_total"] is None


def test_traffic_and_state_of_the_links(reading):
    """A card in the wrong slot is slow, and nothing else tells."""

    def prepare(gpu):
        gpu.pcie_bytes = [1000, 2000]
        gpu.pcie_replays = 3
        gpu.pcie_link_width, gpu.pcie_link_width_max = 4, 16
        gpu.pcie_link_generation = 3
        gpu.nvlink_kibibytes = [5, 6]
        gpu.nvlink_bytes = [1, 1]
        gpu.nvlink_errors = [1, 2, 3, 4]

    (gpu,) = reading("h100-80gb", prepare=prepare)
    assert (gpu["pcie_transmitted_bytes_total"], gpu["pcie_received_bytes_total"]) == (1000, 2000)
    assert (gpu["pcie_replays_total"], gpu["pcie_link_width_ratio"], gpu["pcie_link_generation"]) == (3, 0.25, 3)
    assert (gpu["nvlink_transmitted_bytes_total"], gpu["nvlink_received_bytes_total"]) == (5 * 1024, 6 * 1024)
    assert gpu["nvlink_errors_total"] == {"crc_flit": 1, "crc_data": 2, "replay": 3, "recovery": 4}


def test_nvlink_bytes_come_from_the_newer_fields_where_the_older_are_gone(fake_driver):
    """Traffic between the cards of a new box would be missing."""
    driver = fake_driver("h100-80gb")
    driver.gpu(0).nvlink_bytes = [11, 22]
    for field in (138, 139):
        driver.gpu(0).fail_field(field, Return.NOT_SUPPORTED)
    with Sampling(driver.environment()) as child:
        found = child.until(lambda found: found["gpus"] and found["gpus"][0]["nvlink_received_bytes_total"])
        assert found["gpus"][0]["nvlink_transmitted_bytes_total"] == 11
        assert found["gpus"][0]["nvlink_received_bytes_total"] == 22


def test_throttled_time_in_seconds(reading):
    """Throttling that comes and goes between two scrapes would never be seen."""

    def prepare(gpu):
        gpu.violation_times = [10_000_000_000, 0, 2_000_000_000, 0, 0, 0]
        gpu.slowdown_times = [3_500_000_000, 0, 0]

    (gpu,) = reading("rtx-3060", prepare=prepare)
    seconds = gpu["throttle_seconds_total"]
    assert (seconds["sw_power_cap"], seconds["sync_boost"], seconds["sw_thermal"]) == (10.0, 2.0, 3.5)
    assert "hw_slowdown" in seconds


@pytest.mark.parametrize(("licence", "shown"), [(0, None), (1, 0.0), (2, 1.0)])
def test_vgpu_licence(reading, licence, shown):
    """An unlicensed virtual card runs slowly, and the user looks for the cause elsewhere."""

    def prepare(gpu):
        gpu.licence = licence

    assert reading("rtx-3090", prepare=prepare)[0]["vgpu_licensed"] == shown


@pytest.mark.parametrize(("used", "most"), [(0, 16), (16, 0), (0, 0)])
def test_a_link_without_lanes_is_no_reading(reading, used, most):
    """A card in a virtual machine that cannot see its link would be reported as badly seated."""

    def prepare(gpu):
        gpu.pcie_link_width, gpu.pcie_link_width_max, gpu.utilization_gpu = used, most, 100

    gpu = reading("rtx-3090", prepare=prepare)[0]
    assert (gpu["pcie_link_width_ratio"], gpu["pcie_link_width_working_ratio"]) == (None, None)


def test_the_width_of_a_working_card_is_published(fake_driver):
    """A card that works through a quarter of its lanes would never be told of."""
    driver = fake_driver("rtx-3090")
    gpu = driver.gpu(0)
    gpu.pcie_link_width, gpu.pcie_link_width_max, gpu.utilization_gpu = 4, 16, 100
    with Sampling(driver.environment()) as child:
        found = child.until(lambda found: found["gpus"] and found["gpus"][0]["pcie_link_width_working_ratio"])
        assert found["gpus"][0]["pcie_link_width_working_ratio"] == 0.25


@pytest.mark.parametrize("code", [Return.NOT_SUPPORTED, Return.INVALID_ARGUMENT])
def test_an_id_that_the_card_does_not_know_is_asked_once_and_costs_no_other(fake_driver, code):
    """An older driver would refuse the whole call for the ids that came after it, or be asked for them every second."""
    driver = fake_driver("a100-40gb")
    gpu = driver.gpu(0)
    gpu.ecc_errors = [7, 0, 0, 0]
    gpu.fail_field(94, code)
    with Sampling(driver.environment()) as child:
        found = child.until_up(True)["gpus"][0]
        assert found["pcie_replays_total"] is None
        assert found["ecc_errors_total"]["corrected"] == 7
        gpu.heal()
        gpu.wait_for_more("nvmlDeviceGetFieldValues", 3)
        assert child.ask()["gpus"][0]["pcie_replays_total"] is None
        driver.load()
        child.until(lambda found: found["gpus"][0]["pcie_replays_total"] is not None)


def test_an_id_that_fails_for_now_comes_back(fake_driver):
    """One bad moment would cost a reading until the driver is reloaded."""
    driver = fake_driver("a100-40gb")
    gpu = driver.gpu(0)
    gpu.fail_field(94, Return.UNKNOWN)
    with Sampling(driver.environment()) as child:
        assert child.until_up(True)["gpus"][0]["pcie_replays_total"] is None
        gpu.heal()
        child.until(lambda found: found["gpus"][0]["pcie_replays_total"] == 0)
        assert child.leave() == 0
        assert sum("no reading of PCIe replays" in line for line in child.whole_log()) == 1


def test_a_card_that_is_lost_in_a_field_is_lost(fake_driver):
    """A driver that tells of the loss in one field's answer only would leave the card up with old values."""
    driver = fake_driver("a100-40gb")
    driver.gpu(0).fail_field(94, Return.GPU_IS_LOST)
    with Sampling(driver.environment()) as child:
        child.until_up(False)


@pytest.mark.parametrize("profile", ["rtx-3060-wsl", "gb10"])
def test_a_card_that_supports_little_is_up_with_what_it_has(reading, profile):
    """Laptops under WSL and chips that share the host's memory would be shown as broken."""
    (gpu,) = reading(profile)
    assert gpu["up"]
    assert gpu["temperature_celsius"] is not None
    assert gpu["utilization_ratio"] is not None
    assert (gpu["memory_total_bytes"] is None) == (profile == "gb10")
    assert gpu["processes_visible"] is None or profile == "gb10"
