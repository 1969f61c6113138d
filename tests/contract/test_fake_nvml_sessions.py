"""Init and shutdown, a driver that goes, comes back or changes its version, cards that go, and events."""

from contextlib import contextmanager

import pytest

from tests.fakes.nvml.caller import Caller
from tests.fakes.nvml.codes import Return

COUNT = "n.nvmlDeviceGetCount()"
NAME = "n.nvmlDeviceGetName(h[0])"
NEW_HANDLE = "n.nvmlDeviceGetName(n.nvmlDeviceGetHandleByIndex(0))"
WAIT = "n.nvmlEventSetWait_v2(events, {})"


@contextmanager
def calling(driver):
    """A program under the driver, initialised."""
    with Caller(driver.environment()) as call:
        call("n.nvmlInit()")
        yield call


def test_calls_outside_init_and_shutdown_are_refused(fake_driver):
    """A session that is used too early or too long fails on real drivers as well."""
    driver = fake_driver("rtx-3060")
    with Caller(driver.environment()) as call:
        call("n._LoadNvmlLibrary()")
        assert call.code(COUNT) == Return.UNINITIALIZED
        assert call.code("n.nvmlShutdown()") == Return.UNINITIALIZED
        assert call("n.nvmlSystemGetNVMLVersion()")
        call("[n.nvmlInit(), n.nvmlInit(), n.nvmlShutdown()]")
        assert call(COUNT) == 1
        call("n.nvmlShutdown()")
        assert call.code(COUNT) == Return.UNINITIALIZED
        call("n.nvmlInit()")
        assert call(COUNT) == 1


def test_a_driver_that_is_absent_at_start_can_come_later(fake_driver):
    """After a kernel update the exporter often starts before the driver does."""
    driver = fake_driver("rtx-3060")
    driver.unload()
    with Caller(driver.environment()) as call:
        assert call.code("n.nvmlInit()") == Return.DRIVER_NOT_LOADED
        driver.load()
        call("n.nvmlInit()")
        assert call(COUNT) == 1


@pytest.mark.parametrize("code", [Return.DRIVER_NOT_LOADED, Return.UNINITIALIZED, Return.UNKNOWN])
def test_a_reload_makes_sessions_and_handles_stale(fake_driver, code):
    """An exporter that keeps its session or its handles over a driver reload stays blind until somebody restarts it."""
    driver = fake_driver("rtx-3060")
    driver.gpu(0).energy = 1234
    with calling(driver) as call:
        call("(n.nvmlInit(), h[0])")
        driver.unload(code)
        assert call.code(NAME) == call.code(COUNT) == code
        assert call.code("n.nvmlInit()") == Return.DRIVER_NOT_LOADED
        driver.load()
        assert call.code(NAME) == call.code(NEW_HANDLE) == Return.UNINITIALIZED
        call("[n.nvmlShutdown(), n.nvmlInit()]")
        assert call.code(NEW_HANDLE) == Return.UNINITIALIZED
        call("[n.nvmlShutdown(), n.nvmlShutdown(), n.nvmlInit()]")
        assert call.code(NAME) == Return.INVALID_ARGUMENT
        assert call.code(NEW_HANDLE) == Return.SUCCESS
        call("h.clear()")
        assert call("n.nvmlDeviceGetTotalEnergyConsumption(h[0])") == 0


def test_after_an_upgrade_only_a_new_process_gets_a_session(fake_driver):
    """This state needs a restart of the exporter, and it must know that."""
    driver = fake_driver("rtx-3060")
    with calling(driver) as call:
        driver.upgrade("590.44.01")
        assert call.code(COUNT) == Return.UNINITIALIZED
        call("n.nvmlShutdown()")
        assert call.code("n.nvmlInit()") == call.code("n.nvmlInit()") == Return.LIB_RM_VERSION_MISMATCH
        driver.unload()
        driver.load()
        assert call.code("n.nvmlInit()") == Return.LIB_RM_VERSION_MISMATCH
    with calling(driver) as call:
        assert call("n.nvmlSystemGetDriverVersion()") == driver.version == "590.44.01"


def test_a_card_that_goes_shifts_the_indices_of_the_others(fake_driver):
    """Whoever identifies a card by its index blames the wrong one from that moment on."""
    driver = fake_driver("rtx-2060", "rtx-3090")
    with calling(driver) as call:
        call("(h[0], h[1])")
        assert call("n.nvmlDeviceGetUUID(h[1])") == driver.gpu(1).uuid
        driver.gpu(0).present = False
        assert call(COUNT) == driver.count == 1
        assert call.code(NAME) == Return.GPU_IS_LOST
        assert call("n.nvmlDeviceGetIndex(h[1])") == 0
        assert call(NEW_HANDLE) == "NVIDIA GeForce RTX 3090"
        assert call.code("n.nvmlDeviceGetHandleByIndex(1)") == Return.INVALID_ARGUMENT
        driver.gpu(0).present = True
        assert call("n.nvmlDeviceGetIndex(h[1])") == 1
        driver.count = 0
        assert call(COUNT) == 0
        driver.count = 1
        driver.add_gpu("rtx-3060")
        assert call("[n.nvmlDeviceGetName(n.nvmlDeviceGetHandleByIndex(i))[-4:] for i in range(2)]") == ["2060", "3060"]


@contextmanager
def listening(driver, cards):
    """A program with one event set that has registered the first cards."""
    with calling(driver) as call:
        call("bool(events := n.nvmlEventSetCreate())")
        for card in range(cards):
            call(f"n.nvmlDeviceRegisterEvents(h[{card}], n.nvmlEventTypeXidCriticalError, events)")
        yield call


def test_every_xid_after_registration_is_delivered_once_with_its_card(fake_driver):
    """An XID is often the only thing that a dying card says."""
    driver = fake_driver("rtx-3060", "rtx-3060")
    driver.gpu(0).xid(13)
    with listening(driver, 2) as call:
        told = "(lambda e: (n.nvmlDeviceGetUUID(e.device), e.eventType, e.eventData))({})"
        assert call.code(WAIT.format(0)) == Return.TIMEOUT
        driver.gpu(0).xid(79)
        driver.gpu(0).xid(31)
        driver.gpu(1).xid(1, event_type=0x10)
        driver.gpu(1).xid(48)
        got = [call(told.format(WAIT.format(0))) for _ in range(3)]
        assert got == [[driver.gpu(0).uuid, 8, 79], [driver.gpu(0).uuid, 8, 31], [driver.gpu(1).uuid, 8, 48]]
        assert call.code(WAIT.format(5)) == Return.TIMEOUT


def test_a_waiter_is_woken_by_an_event_an_error_and_a_lost_card(fake_driver):
    """The exporter's event thread spends its life inside this call."""
    driver = fake_driver("rtx-3060")
    wait = f"bool(held := pool.submit(lambda: {WAIT.format(20_000)}))"
    endings = [
        (lambda: driver.gpu(0).xid(79), Return.SUCCESS),
        (lambda: driver.fail_system("nvmlEventSetWait_v2", Return.UNKNOWN), Return.UNKNOWN),
        (lambda: driver.gpu(0).fail_all(Return.GPU_IS_LOST), Return.GPU_IS_LOST),
        (driver.unload, Return.DRIVER_NOT_LOADED),
    ]
    with listening(driver, 1) as call:
        for happen, code in endings:
            call(wait)
            driver.system.wait_for_hang("nvmlEventSetWait_v2")
            assert call("held.done()") is False
            happen()
            assert call.code("held.result(5)") == code
            driver.heal()


def test_event_sets_end_with_free_and_with_their_session(fake_driver):
    """Event sets that outlive a reload crash real processes."""
    driver = fake_driver("rtx-3060")
    with listening(driver, 1) as call:
        call("n.nvmlEventSetFree(events)")
        assert call.code(WAIT.format(0)) == call.code("n.nvmlEventSetFree(events)") == Return.INVALID_ARGUMENT
        call("bool(events := n.nvmlEventSetCreate())")
        driver.unload()
        driver.load()
        assert call.code(WAIT.format(0)) == Return.UNINITIALIZED
        call("[n.nvmlShutdown(), n.nvmlInit()]")
        assert call.code(WAIT.format(0)) == Return.INVALID_ARGUMENT


def test_a_card_may_refuse_to_register(fake_driver):
    """Some cards support no events, and the exporter must live without."""
    driver = fake_driver("rtx-3060", "rtx-3060")
    driver.gpu(0).event_types = 0
    with calling(driver) as call:
        call("bool(events := n.nvmlEventSetCreate())")
        codes = [call.code(f"n.nvmlDeviceRegisterEvents(h[{card}], 8, events)") for card in range(2)]
        assert codes == [Return.NOT_SUPPORTED, Return.SUCCESS]
        assert call("n.nvmlDeviceGetSupportedEventTypes(h[0])") == 0
