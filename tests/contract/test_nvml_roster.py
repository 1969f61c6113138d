"""Cards that should be here: remembered over restarts, missed when they are gone, forgotten on request."""

import json

import pytest

from exporter.known_cards import FILE, KnownCards
from tests.contract.nvml_child import Sampling, health
from tests.fakes.nvml.codes import Return


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def test_a_card_that_died_while_nobody_watched_is_missed(fake_driver, state):
    """Three of four cards would look like a box with three cards."""
    driver = fake_driver("rtx-3060", "rtx-3090")
    with Sampling(driver.environment(), state=str(state)) as child:
        child.until_up(True, True)
        assert child.leave() == 0
    driver.gpu(1).present = False
    with Sampling(driver.environment(), state=str(state)) as child:
        found = child.until_up(True, False)
    lost = found["gpus"][1]
    assert (lost["uuid"], lost["info"]["name"]) == (driver.gpu(1).uuid, "NVIDIA GeForce RTX 3090")
    assert lost["temperature_celsius"] is None
    assert found["expected"] == 2


def test_known_cards_are_missed_when_the_driver_itself_is_gone(fake_driver, state):
    """After a failed driver update the page would show no card and no trouble."""
    driver = fake_driver("rtx-3060")
    with Sampling(driver.environment(), state=str(state)) as child:
        child.until_up(True)
        child.leave()
    driver.unload()
    with Sampling(driver.environment(), state=str(state)) as child:
        child.until_up(False)
        child.until(lambda found: found["expected"] == 1)


def test_a_card_that_was_put_back_is_the_same_card(fake_driver, state):
    """Each reseating of a card would leave a dead twin on the page."""
    driver = fake_driver("rtx-3060", "rtx-3090")
    with Sampling(driver.environment(), state=str(state)) as child:
        child.until_up(True, True)
        driver.gpu(1).present = False
        child.until_up(True, False)
        driver.gpu(1).present = True
        child.until_up(True, True)


def test_a_forgotten_card_leaves_the_page_of_a_running_exporter(fake_driver, state):
    """A card that was sold would page somebody every night."""
    driver = fake_driver("rtx-3060", "rtx-3090")
    with Sampling(driver.environment(), state=str(state)) as child:
        child.until_up(True, True)
        child.until(lambda _: driver.gpu(1).uuid in KnownCards(state).cards())
        driver.gpu(1).present = False
        child.until_up(True, False)
        assert KnownCards(state).forget(driver.gpu(1).uuid) is not None
        child.until_up(True)
        # The count is the session's to tell, with its next reading.
        found = child.until(lambda found: found["expected"] != 2)
        assert found["expected"] == 1


def test_forgetting_a_card_that_is_there_changes_nothing(fake_driver, state):
    """A slip of the hand would take a working card out of the watch."""
    driver = fake_driver("rtx-3060")
    with Sampling(driver.environment(), state=str(state)) as child:
        child.until_up(True)
        child.until(lambda _: (state / FILE).exists())
        KnownCards(state).forget(driver.gpu(0).uuid)
        child.until(lambda _: driver.gpu(0).uuid in json.loads((state / FILE).read_text())["cards"])
        assert child.until_up(True)["expected"] == 1


def test_a_number_of_cards_can_be_demanded(fake_driver):
    """On the first start with a dead card nobody would know that it should be there."""
    driver = fake_driver("rtx-3060")
    with Sampling(driver.environment(), expected=4) as child:
        assert child.until_up(True)["expected"] == 4


@pytest.mark.parametrize(("expected", "well"), [(0, True), (None, False)])
def test_a_machine_without_cards_is_well_where_that_is_said(fake_driver, expected, well):
    """A file server among the watched machines would have an alert for ever, or a GPU box without its cards none."""
    driver = fake_driver()
    with Sampling(driver.environment(), expected=expected) as child:
        found = child.until(lambda found: health(found, "nvml")["detail"] == "the driver shows no GPU")
    assert (health(found, "nvml")["up"], found["expected"]) == (well, expected)


def test_integrated_energy_goes_on_after_a_restart(fake_driver, state):
    """The electricity of a card without a counter would begin at nothing each time the box is restarted."""
    driver = fake_driver("gtx-1660-super")
    driver.gpu(0).fail("nvmlDeviceGetTotalEnergyConsumption", Return.NOT_SUPPORTED)
    driver.gpu(0).power_usage = 100_000
    with Sampling(driver.environment(), state=str(state)) as child:
        found = child.until(lambda found: found["gpus"] and (found["gpus"][0]["energy_joules_total"] or 0) > 1)
        assert found["gpus"][0]["energy_integrated"] == 1
        child.leave()
    before = found["gpus"][0]["energy_joules_total"]
    with Sampling(driver.environment(), state=str(state)) as child:
        assert child.until_up(True)["gpus"][0]["energy_joules_total"] >= before


def test_integrated_energy_never_falls_through_a_kill(fake_driver, state):
    """increase() takes a fall for a restart from 0 and counts everything a second time."""
    driver = fake_driver("gtx-1660-super")
    driver.gpu(0).fail("nvmlDeviceGetTotalEnergyConsumption", Return.NOT_SUPPORTED)
    driver.gpu(0).power_usage = 100_000
    shown = 0.0
    for _ in range(3):
        with Sampling(driver.environment(), state=str(state)) as child:
            found = child.until_up(True)["gpus"][0]["energy_joules_total"]
            assert found >= shown
            limit = found + 0.5
            snapshot = child.until(lambda found, limit=limit: found["gpus"][0]["energy_joules_total"] > limit)
            shown = snapshot["gpus"][0]["energy_joules_total"]


def test_a_state_folder_that_cannot_be_written_costs_only_the_memory(fake_driver, state):
    """An exporter with a read-only disk would not watch at all."""
    state.write_text("in the way")
    driver = fake_driver("rtx-3060")
    with Sampling(driver.environment(), state=str(state)) as child:
        child.until_up(True)
        driver.gpu(0).wait_for_more("nvmlDeviceGetUtilizationRates", 10)
        assert child.leave() == 0
        assert sum("not kept over a restart" in line for line in child.whole_log()) == 1
