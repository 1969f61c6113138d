"""Cards that get lost, drivers that go and calls that hang: what stays, what goes, and that it comes back by itself."""

import pytest

from tests.contract.nvml_child import Sampling, health
from tests.fakes.nvml.codes import Return
from tests.fakes.nvml.table import DEVICE_CALL_NAMES

HANGS_FOR_EVER = 5.0
"""Seconds; what waits for a call that hangs waits until it is released."""

UTILIZATION = "nvmlDeviceGetUtilizationRates"
BY_UUID = "nvmlDeviceGetHandleByUUID"
QUESTIONS = tuple(call for call in DEVICE_CALL_NAMES if "GetHandle" not in call)


@pytest.fixture
def sampled(fake_driver):
    """``sampled("rtx-3060", ...)`` is a driver with these cards and a process that samples it, cards up."""
    running = []

    def start(*profiles, **settings):
        driver = fake_driver(*profiles)
        child = Sampling(driver.environment(), **settings)
        running.append(child)
        if profiles:
            child.until_up(*[True] * len(profiles))
        return driver, child

    yield start
    for child in running:
        child.__exit__()


def test_a_lost_card_costs_only_itself_and_comes_back(sampled):
    """One card that falls off the bus must not hide the others, and must be seen again without a restart."""
    driver, child = sampled("rtx-3060", "rtx-3090", "gtx-1660-super")
    driver.gpu(1).fail_all(Return.GPU_IS_LOST)
    snapshot = child.until_up(True, False, True)
    lost = snapshot["gpus"][1]
    assert lost["uuid"] == driver.gpu(1).uuid
    assert lost["info"]["name"] == "NVIDIA GeForce RTX 3090"
    assert lost["utilization_ratio"] is None
    assert snapshot["now"] - lost["read_at"] < 5
    assert "lost" in health(snapshot, "nvml/1")["detail"]
    assert health(snapshot, "nvml")["up"]
    restarts = driver.calls("nvmlInitWithFlags")
    driver.gpu(1).heal()
    child.until_up(True, True, True)
    assert driver.calls("nvmlInitWithFlags") == restarts


def test_a_lost_card_is_not_hammered(sampled):
    """A card that is in trouble is asked with pauses, not every second with thirty calls."""
    driver, child = sampled("rtx-3060", "rtx-3090", retry_limit=3600)
    driver.gpu(1).fail_all(Return.GPU_IS_LOST)
    child.until_up(True, False)
    made = sum(count for _, count in driver.gpu(1).made())
    driver.gpu(0).wait_for_more(UTILIZATION, 5)
    assert sum(count for _, count in driver.gpu(1).made()) <= made + 2


def test_a_card_that_answers_nothing_but_is_found_again_does_not_fill_the_log(sampled):
    """Twenty lines for each new handle of one bad card were thousands an hour, and hid everything else."""
    driver, child = sampled("rtx-3060")
    card = driver.gpu(0)
    card.fail_all(Return.UNKNOWN)
    child.until_up(False)
    for call in QUESTIONS:
        card.fail(call, Return.UNKNOWN)
    card.fail_all(Return.SUCCESS)
    card.wait_for_more(BY_UUID, 5)
    child.until(lambda found: "question: nvmlDevice" in health(found, "nvml/0")["detail"])
    assert child.leave() == 0
    said = [line for line in child.whole_log() if line.startswith("WARNING")]
    assert not any("no reading of" in line for line in said)
    assert sum("the card answers no question" in line for line in said) in (1, 2)


def test_one_card_that_is_not_found_does_not_restart_the_driver_for_all(sampled):
    """A single card's "GPU not found" must not interrupt the readings of the others again and again."""
    driver, child = sampled("rtx-3060", "rtx-3090")
    starts = driver.calls("nvmlInitWithFlags")
    driver.gpu(1).fail_all(Return.GPU_NOT_FOUND)
    child.until_up(True, False)
    driver.gpu(0).wait_for_more(UTILIZATION, 20)
    assert driver.calls("nvmlInitWithFlags") == starts
    driver.gpu(1).heal()
    child.until_up(True, True)


@pytest.mark.parametrize("code", [Return.DRIVER_NOT_LOADED, Return.UNINITIALIZED, Return.GPU_NOT_FOUND])
def test_a_driver_that_goes_and_comes_back_is_found_again(sampled, code):
    """A driver reload must heal without a restart of the exporter, with new handles and the same cards."""
    driver, child = sampled("rtx-3060", "rtx-3090")
    driver.unload(code)
    snapshot = child.until(lambda found: not any(gpu["up"] for gpu in found["gpus"]) and not found["sources"][0]["up"])
    assert [gpu["uuid"] for gpu in snapshot["gpus"]] == [driver.gpu(0).uuid, driver.gpu(1).uuid]
    driver.load()
    snapshot = child.until_up(True, True)
    child.until(lambda found: all(row["up"] for row in found["sources"]))
    assert not snapshot["needs_restart"]


def test_an_upgraded_driver_asks_for_a_new_process(sampled):
    """After a driver upgrade the old library stays loaded for good: without a new process nothing is read again."""
    driver, child = sampled("rtx-3060")
    driver.upgrade()
    snapshot = child.until(lambda found: found["needs_restart"] and health(found, "nvml")["detail"])
    assert "version" in health(snapshot, "nvml")["detail"]
    assert snapshot["gpus"][0]["up"] is False


def test_a_hanging_call_blocks_only_its_card_and_nothing_is_piled_on_it(sampled):
    """A card that hangs in the driver must not stop the page or its neighbours, nor be asked again meanwhile."""
    driver, child = sampled("rtx-3060", "rtx-3090")
    child.until(lambda found: all(gpu["xid_errors_total"] for gpu in found["gpus"]))
    driver.gpu(0).hang(UTILIZATION)
    driver.gpu(0).wait_for_hang(UTILIZATION)
    entered = sum(count for _, count in driver.gpu(0).made())
    driver.gpu(1).wait_for_more(UTILIZATION, 10)
    snapshot = child.ask()
    assert snapshot["took"] < HANGS_FOR_EVER
    assert sum(count for _, count in driver.gpu(0).made()) == entered
    hung, well = snapshot["gpus"]
    assert well["read_at"] > hung["read_at"]
    child.until(lambda found: "under way" in health(found, "nvml/0")["detail"])
    driver.release()
    child.until(lambda found: found["gpus"][0]["up"] and found["gpus"][0]["read_at"] > snapshot["now"])


def test_a_reading_that_took_too_long_is_not_shown(sampled):
    """A call that hung for some intervals must not bring its old values onto the page as fresh ones."""
    driver, child = sampled("rtx-3060")
    driver.gpu(0).hang("nvmlDeviceGetDecoderUtilization")
    driver.gpu(0).wait_for_hang("nvmlDeviceGetDecoderUtilization")
    snapshot = child.until(lambda found: found["now"] - found["gpus"][0]["read_at"] > 0.6)
    driver.release()
    child.until(lambda found: found["gpus"][0]["up"] and found["gpus"][0]["read_at"] > snapshot["now"])
    assert child.leave() == 0
    assert any("too old to be shown" in line for line in child.whole_log())


def test_a_card_that_hangs_from_the_start_is_shown_as_not_up(fake_driver):
    """A card that hangs at boot must be seen as down, not be missing."""
    driver = fake_driver("rtx-3060", "rtx-3090")
    driver.gpu(1).hang(UTILIZATION)
    with Sampling(driver.environment()) as child:
        snapshot = child.until_up(True, False)
        assert snapshot["gpus"][1]["uuid"] == driver.gpu(1).uuid
        driver.release()
        child.until_up(True, True)


def test_a_driver_reload_waits_for_a_hanging_call(sampled):
    """Shutting the library down under a call that hangs in it can crash the exporter."""
    driver, child = sampled("rtx-3060", "rtx-3090")
    driver.gpu(0).hang(UTILIZATION)
    driver.gpu(0).wait_for_hang(UTILIZATION)
    driver.load()
    child.until(lambda found: "not returned" in health(found, "nvml")["detail"])
    assert driver.calls("nvmlShutdown") == 0
    driver.release()
    child.until_up(True, True)
    assert driver.calls("nvmlShutdown") == 1


def test_a_call_that_never_returns_from_a_driver_that_has_gone_asks_for_a_new_process(sampled):
    """Only a new process gets rid of a call that is stuck in a driver of yesterday."""
    driver, child = sampled("rtx-3060", "rtx-3090", stuck=0.5)
    driver.gpu(0).hang(UTILIZATION)
    driver.gpu(0).wait_for_hang(UTILIZATION)
    assert not child.ask()["needs_restart"]
    driver.load()
    child.until(lambda found: found["needs_restart"])


def test_a_start_that_hangs_blocks_only_the_session(fake_driver):
    """A hanging nvmlInit must leave the exporter answering, and be over when the driver wakes up."""
    driver = fake_driver("rtx-3060")
    driver.system.hang("nvmlInitWithFlags")
    with Sampling(driver.environment()) as child:
        driver.system.wait_for_hang("nvmlInitWithFlags")
        snapshot = child.until(lambda found: "under way" in health(found, "nvml")["detail"])
        assert snapshot["gpus"] == []
        driver.release()
        child.until_up(True)


def test_the_process_ends_although_a_call_hangs(sampled):
    """Ctrl-C must work while a card hangs."""
    driver, child = sampled("rtx-3060")
    driver.gpu(0).hang(UTILIZATION)
    driver.gpu(0).wait_for_hang(UTILIZATION)
    assert child.leave() == 3


def test_the_driver_is_shut_down_at_the_end(sampled):
    """A clean end leaves no session in the driver."""
    driver, child = sampled("rtx-3060")
    assert child.leave() == 0
    assert driver.calls("nvmlShutdown") == 1


def test_no_driver_is_said_once_in_one_line(sampled, tmp_path):
    """Without a driver the log must not grow, and must say what is missing."""
    with Sampling({"LD_LIBRARY_PATH": str(tmp_path)}, retry_limit=0.01) as child:
        child.until(lambda found: health(found, "nvml")["detail"])
        first = health(child.ask(), "nvml")["read_at"]
        snapshot = child.until(lambda found: health(found, "nvml")["read_at"] > first + 0.5)
    said = "no NVIDIA driver found: libnvidia-ml.so.1 is not there (without a card, try: gpuwarden up --demo)"
    assert health(snapshot, "nvml")["detail"] == said
    assert [line for line in child.log if "NVIDIA" in line] == [f"WARNING nvml: {said}\n"]


def test_a_driver_that_is_loaded_later_is_found(fake_driver):
    """An exporter that started before the driver must not stay blind."""
    driver = fake_driver("rtx-3060")
    driver.unload()
    with Sampling(driver.environment()) as child:
        child.until(lambda found: "driver not loaded" in health(found, "nvml")["detail"])
        driver.load()
        child.until_up(True)


def test_a_card_that_cannot_be_opened_costs_no_other(fake_driver):
    """One bad card at start-up must not hide the rest, and appears when it can be opened."""
    driver = fake_driver("rtx-3060", "rtx-3090")
    driver.gpu(0).fail("nvmlDeviceGetHandleByIndex_v2", Return.GPU_IS_LOST)
    with Sampling(driver.environment()) as child:
        snapshot = child.until_up(True)
        assert snapshot["gpus"][0]["index"] == "1"
        driver.gpu(0).heal()
        assert child.until_up(True, True)["gpus"][0]["uuid"] == driver.gpu(0).uuid
        assert sum("GPU 0 cannot be opened" in line for line in tuple(child.log)) == 1


def test_a_card_that_cannot_be_opened_is_named_while_the_others_are_read(fake_driver):
    """A card that is missing from the start has no series that could alert: the status must say that it is missing."""
    driver = fake_driver("rtx-3060", "rtx-3090")
    driver.gpu(1).fail("nvmlDeviceGetHandleByIndex_v2", Return.UNKNOWN)
    with Sampling(driver.environment()) as child:
        child.until_up(True)
        row = health(child.until(lambda found: health(found, "nvml")["detail"]), "nvml")
        assert row["up"]
        assert row["detail"].startswith("GPU 1 of 2 cannot be opened: ")
        assert row["detail"].endswith(": unknown error")
        driver.gpu(1).heal()
        child.until_up(True, True)
        child.until(lambda found: health(found, "nvml")["detail"] == "")


def test_cards_that_are_added_and_removed_are_noticed(sampled):
    """A card that is put in shows up; one that is taken out stays, not up, for the alert about it."""
    driver, child = sampled("rtx-3060", "rtx-3090")
    driver.add_gpu("a100-40gb")
    child.until_up(True, True, True)
    driver.gpu(2).present = False
    snapshot = child.until_up(True, True, False)
    assert snapshot["gpus"][2]["info"]["name"] == "NVIDIA A100-PCIE-40GB"
    driver.gpu(2).present = True
    child.until_up(True, True, True)


def test_indices_that_shift_do_not_mix_cards_up(sampled):
    """When the first card is taken out the driver counts anew; each card's values must stay under its own UUID."""
    driver, child = sampled("rtx-3060", "rtx-3090")
    driver.gpu(0).present = False
    snapshot = child.until(
        lambda found: (
            {(gpu["uuid"], gpu["index"], gpu["up"]) for gpu in found["gpus"]}
            == {(driver.gpu(0).uuid, "0", False), (driver.gpu(1).uuid, "0", True)}
        )
    )
    assert {gpu["uuid"]: gpu["info"]["name"] for gpu in snapshot["gpus"]} == {
        driver.gpu(0).uuid: "NVIDIA GeForce RTX 3060",
        driver.gpu(1).uuid: "NVIDIA GeForce RTX 3090",
    }
    driver.add_gpu("a100-40gb")
    snapshot = child.until(lambda found: len(found["gpus"]) == 3 and found["gpus"][-1]["up"])
    assert len({row["source"] for row in snapshot["sources"]}) == 5
    driver.gpu(0).present = True
    child.until_up(True, True, True)


def test_no_card_at_all_is_a_failure(fake_driver):
    """A broken device mount must not look like an idle machine."""
    driver = fake_driver()
    with Sampling(driver.environment()) as child:
        child.until(lambda found: health(found, "nvml")["detail"] == "the driver shows no GPU")
