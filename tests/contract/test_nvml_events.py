"""XID errors from the driver to the snapshot."""

import time

import pytest

from tests.contract.nvml_child import Sampling, health
from tests.e2e.running import exporter, series
from tests.fakes.nvml.codes import Return
from tests.polling import wait_until


def counts(gpu):
    return {key: value for key, value in gpu["xid_errors_total"].items() if value}


@pytest.fixture
def watching(fake_driver):
    """A driver and a process that has registered its cards for events."""
    children = []

    def start(*profiles):
        driver = fake_driver(*profiles)
        child = Sampling(driver.environment())
        children.append(child)
        child.until(lambda found: [bool(gpu["xid_errors_total"]) for gpu in found["gpus"]] == [True] * len(profiles))
        return driver, child

    yield start
    for child in children:
        child.__exit__()


def test_each_error_counts_once_on_its_card_with_its_class_and_time(watching):
    """A user could not tell a broken card from a program with a bug."""
    driver, child = watching("rtx-3060", "rtx-3090")
    before = time.time()
    for xid in (31, 31, 79, 9999):
        driver.gpu(1).xid(xid)
    gpus = child.until(lambda found: len(counts(found["gpus"][1])) == 3)["gpus"]

    assert counts(gpus[1]) == {"31 application": 2, "79 hardware": 1, "9999 unknown": 1}
    assert counts(gpus[0]) == {}
    last = gpus[1]["xid_last_timestamp_seconds"]
    assert last.keys() == {"31 application", "79 hardware", "9999 unknown"}
    assert all(before - 1 <= when <= time.time() for when in last.values())


def test_errors_that_end_the_work_on_a_card_count_from_zero(watching):
    """increase() misses the first event of a series, and a card falls off the bus only once."""
    _, child = watching("rtx-3060")
    assert child.ask()["gpus"][0]["xid_errors_total"]["79 hardware"] == 0


def test_the_error_that_took_the_card_away_stays_on_the_page(watching):
    """The user would see that the card is lost and not why."""
    driver, child = watching("rtx-3060", "rtx-3090")
    driver.gpu(0).xid(79)
    driver.gpu(0).fail_all(Return.GPU_IS_LOST)
    gpu = child.until(lambda found: not found["gpus"][0]["up"] and counts(found["gpus"][0]))["gpus"][0]
    assert counts(gpu) == {"79 hardware": 1}
    assert gpu["temperature_celsius"] is None

    driver.gpu(1).xid(13)
    child.until(lambda found: counts(found["gpus"][1]) == {"13 application": 1})


def test_a_card_that_comes_back_is_listened_to_again(watching):
    """After one reset of a card its errors would never be seen again."""
    driver, child = watching("rtx-3060", "rtx-3090")
    driver.gpu(0).fail_all(Return.GPU_IS_LOST)
    child.until_up(False, True)
    wait_until(lambda: driver.calls("nvmlEventSetFree") > 0, 5, "the event set was not freed")
    driver.gpu(0).heal()
    child.until_up(True, True)

    def another():
        driver.gpu(0).xid(43)
        return counts(child.ask()["gpus"][0]).get("43 application")

    wait_until(another, 5, "no error was counted")


def test_counts_go_on_through_a_driver_reload(watching):
    """A counter that falls to nothing hides the errors that the reload was made for."""
    driver, child = watching("rtx-3060")
    driver.gpu(0).xid(31)
    child.until(lambda found: counts(found["gpus"][0]) == {"31 application": 1})
    driver.unload()
    child.until_up(False)
    driver.load()
    child.until_up(True)

    def more():
        driver.gpu(0).xid(31)
        return counts(child.ask()["gpus"][0])["31 application"] > 1

    wait_until(more, 5, "no error was counted")


def test_cards_that_do_not_report_have_no_series_and_cost_nothing(fake_driver):
    """Under WSL a count of 0 would mean that all is well."""
    driver = fake_driver("rtx-3060-wsl")
    with Sampling(driver.environment()) as child:
        child.until_up(True)
        found = child.until(lambda found: health(found, "nvml/events")["up"])
        assert found["gpus"][0]["xid_errors_total"] == {}
        driver.gpu(0).wait_for_more("nvmlDeviceGetUtilizationRates", 5)
        assert driver.gpu(0).entered("nvmlDeviceRegisterEvents") == 1


def test_a_wait_that_hangs_costs_only_the_events(watching):
    """A driver that hangs in one call would blind the whole exporter."""
    driver, child = watching("rtx-3060")
    driver.system.hang("nvmlEventSetWait_v2")
    driver.system.wait_for_hang("nvmlEventSetWait_v2")
    read = child.ask()["gpus"][0]["read_at"]
    child.until(lambda found: found["gpus"][0]["up"] and found["gpus"][0]["read_at"] > read)
    driver.system.release()


def test_events_are_a_source_from_the_first_driver_on(fake_driver):
    """A machine without a card would be reported as one whose errors go unseen, or one whose driver hangs would not."""
    driver = fake_driver("rtx-3060")
    driver.unload()
    with Sampling(driver.environment(), expected=0) as child:
        child.until(lambda found: health(found, "nvml")["up"])
        assert [row["source"] for row in child.ask()["sources"]] == ["nvml"]
        driver.load()
        child.until(lambda found: any(row["source"] == "nvml/events" and row["up"] for row in found["sources"]))
        driver.unload()
        child.until(lambda found: not health(found, "nvml/events")["up"])


def test_events_that_hang_are_a_source_that_is_down(fake_driver, tmp_path):
    """The readings go on and look well while no XID is seen, and no rule could tell of it."""
    driver = fake_driver("rtx-3060")
    with exporter(tmp_path, driver.environment()) as process:

        def is_up(source):
            return series(process.url)["gpuwarden_exporter_source_up"].get((("source", source),))

        wait_until(lambda: is_up("nvml/events") == is_up("nvml/0") == 1, 10, "the events are not fetched")
        driver.system.hang("nvmlEventSetWait_v2")
        driver.system.wait_for_hang("nvmlEventSetWait_v2")
        wait_until(lambda: is_up("nvml/events") == 0, 10, "the hang is not shown")
        wait_until(lambda: is_up("nvml/0") == 1, 10, "the card is down with the events")
        driver.system.release()
        wait_until(lambda: is_up("nvml/events") == 1, 10, "the events do not go on")
