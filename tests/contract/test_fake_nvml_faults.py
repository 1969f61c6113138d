"""Calls that fail, hang, or go nowhere, and how a test learns which calls were made."""

import ctypes
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.fakes.nvml import build, table
from tests.fakes.nvml.caller import Caller
from tests.fakes.nvml.codes import Return

POWER = "nvmlDeviceGetPowerUsage"


@contextmanager
def calling(driver):
    """A program under the driver, initialised."""
    with Caller(driver.environment()) as call:
        call("n.nvmlInit()")
        yield call


def bare(name, gpu):
    """Source that makes the call by its symbol, without results: an ordered answer comes before they are touched."""
    first = {
        "nvmlDeviceGetHandleByIndex_v2": "0",
        "nvmlDeviceGetHandleByUUID": f"{gpu.uuid.encode()}",
        "nvmlDeviceGetHandleByPciBusId_v2": "b'0:1:0'",
    }
    return f"raw('{name}')({first.get(name, 'h[0]')}, None, None, None, None)"


def test_every_call_of_the_table_exists_and_fails_to_order_on_one_card_only(fake_driver):
    """Any error of any call on any card is what the exporter must survive."""
    driver = fake_driver("rtx-3060", "h100-80gb")
    with calling(driver) as call:
        call("h[0], h[1]")
        for name in table.DEVICE_CALL_NAMES:
            for code in (Return.GPU_IS_LOST, Return.FUNCTION_NOT_FOUND, Return.UNKNOWN):
                driver.gpu(0).fail(name, code)
                assert call(bare(name, driver.gpu(0))) == code
            driver.gpu(0).fail(name, Return.SUCCESS)
            assert call(bare(name, driver.gpu(0))) == 0
            driver.gpu(0).heal()
        for name in table.SYSTEM_CALLS:
            driver.fail_system(name, Return.NO_PERMISSION)
            assert call(f"raw('{name}')(None, None, None)") == Return.NO_PERMISSION
        driver.heal()
        assert call("n.nvmlDeviceGetCount()") == 2


def test_an_error_on_one_card_leaves_the_other_alone(fake_driver):
    """One dead card must cost its own series only, and the fake must be able to show that."""
    driver = fake_driver("rtx-3060", "rtx-3060")
    with calling(driver) as call:
        driver.gpu(0).fail(POWER, Return.UNKNOWN)
        assert call.code("n.nvmlDeviceGetPowerUsage(h[0])") == Return.UNKNOWN
        assert call.code("n.nvmlDeviceGetPowerUsage(h[1])") == Return.SUCCESS
        assert call.code("n.nvmlDeviceGetName(h[0])") == Return.SUCCESS


def test_a_lost_card_answers_so_to_everything_and_heals_to_its_profile(fake_driver):
    """GPU_IS_LOST is the failure that people meet; after it, what was unsupported is still unsupported."""
    driver = fake_driver("rtx-3060")
    with calling(driver) as call:
        call("h[0]")
        driver.gpu(0).fail_all(Return.GPU_IS_LOST)
        for name in table.DEVICE_CALL_NAMES:
            assert call(bare(name, driver.gpu(0))) == Return.GPU_IS_LOST
        assert call("n.nvmlDeviceGetCount()") == 1
        driver.gpu(0).heal()
        assert call.code("n.nvmlDeviceGetPowerUsage(h[0])") == Return.SUCCESS
        assert call.code("n.nvmlDeviceGetEccMode(h[0])") == Return.NOT_SUPPORTED


def test_a_missing_function_is_the_same_exception_as_a_symbol_that_is_not_there(fake_driver):
    """An old driver lacks symbols; the exporter falls back on that exception."""
    driver = fake_driver("rtx-3060")
    driver.gpu(0).fail("nvmlDeviceGetComputeRunningProcesses_v3", Return.FUNCTION_NOT_FOUND)
    with calling(driver) as call:
        for source in (
            "n.nvmlDeviceGetComputeRunningProcesses_v3(h[0])",
            "n.nvmlDeviceGetTopologyCommonAncestor(h[0],h[0])",
        ):
            assert call.code(source) == Return.FUNCTION_NOT_FOUND
        assert call("n.nvmlDeviceGetComputeRunningProcesses_v2(h[0])") == []
        with pytest.raises(RuntimeError, match="NVMLLibraryMismatchError"):
            call("n.nvmlDeviceGetComputeRunningProcesses(h[0])")


def test_a_hanging_call_holds_only_its_caller_until_released(fake_driver):
    """A call that never returns is the worst that a driver does; the exporter must be tested against it."""
    driver = fake_driver("rtx-3060", "rtx-3060")
    gpu = driver.gpu(0)
    with calling(driver) as call:
        call("h[0]")
        gpu.hang(POWER)
        call("bool(held := pool.submit(n.nvmlDeviceGetPowerUsage, h[0]))")
        gpu.wait_for_hang(POWER)
        assert call.code("n.nvmlDeviceGetPowerUsage(h[1])") == Return.SUCCESS
        assert call.code("n.nvmlDeviceGetTemperature(h[0], 0)") == Return.SUCCESS
        assert call("held.done()") is False
        gpu.power_usage = 77_000
        gpu.release()
        assert call("held.result(5)") == 77_000
        gpu.hang(POWER)
        call("bool(held := pool.submit(n.nvmlDeviceGetPowerUsage, h[0]))")
        gpu.wait_for_hang(POWER)
        driver.unload()
        gpu.release(POWER)
        assert call.code("held.result(5)") == Return.DRIVER_NOT_LOADED


def test_init_can_hang(fake_driver):
    """A driver that hangs at start must not keep the exporter from serving host series."""
    driver = fake_driver("rtx-3060")
    driver.system.hang("nvmlInitWithFlags")
    with Caller(driver.environment()) as call:
        call("bool(held := pool.submit(n.nvmlInit))")
        driver.system.wait_for_hang("nvmlInitWithFlags")
        assert call.code("n.nvmlDeviceGetCount()") == Return.UNINITIALIZED
        driver.release()
        call("held.result(5)")
        assert call("n.nvmlDeviceGetCount()") == 1


def test_calls_are_counted_per_card_at_entry_and_at_return(fake_driver):
    """Tests wait for call N+1 instead of sleeping, and assert that a refused call is not repeated."""
    driver = fake_driver("rtx-3060", "rtx-3060")
    gpu = driver.gpu(1)
    with calling(driver) as call:
        call("[n.nvmlDeviceGetPowerUsage(h[1]) for _ in range(3)]")
        assert (gpu.entered(POWER), gpu.left(POWER), driver.gpu(0).entered(POWER)) == (3, 3, 0)
        driver.wait_for_calls(1, POWER, 3)
        driver.wait_for_calls(None, "nvmlInitWithFlags", 1)
        with pytest.raises(AssertionError, match="entered 3, left 3"):
            gpu.wait_for_more(POWER, deadline=0.02)
        call("bool(stop := [])")
        repeat = "sum(n.nvmlDeviceGetPowerUsage(h[1]) > 0 for _ in iter(lambda: len(stop), 1))"
        call(f"bool(held := pool.submit(lambda: {repeat}))")
        gpu.wait_for_more(POWER, 2)
        call("stop.append(1)")
        total = 3 + call("held.result(5)")
        assert gpu.left(POWER) == driver.calls(POWER) == total
        assert dict(gpu.made()) == {"nvmlDeviceGetHandleByIndex_v2": 1, POWER: total}


def test_a_null_handle_ends_the_process_as_the_real_library_does(fake_driver):
    """A lenient fake would hide a crash of the whole exporter."""
    with calling(fake_driver("rtx-3060")) as call, pytest.raises(ChildProcessError, match=f"status -{signal.SIGABRT}"):
        call("n.nvmlDeviceGetPowerUsage(None)")


def test_a_page_of_another_table_is_refused(fake_driver):
    """A library left over from an older table would read wrong words and every failure would be a riddle."""
    driver = fake_driver("rtx-3060")
    driver._page.layout += 1
    with pytest.raises(ChildProcessError, match=f"status -{signal.SIGABRT}"), Caller(driver.environment()) as call:
        call("n.nvmlInit()")


def test_workers_that_build_at_the_same_moment_get_one_library(fake_driver, tmp_path, monkeypatch):
    """Parallel test runs start with an empty cache on every fresh clone."""
    fake_driver()
    monkeypatch.setattr(build, "_CACHE", tmp_path / "cache")
    with ThreadPoolExecutor(3) as pool:
        folders = {future.result() for future in [pool.submit(build.build_library) for _ in range(3)]}
    (folder,) = folders
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == [folder.name]
    assert (folder / build.LIBRARY).is_file()


def test_a_program_runs_under_the_fake_from_the_command_line(fake_driver):
    """People without a card try the exporter this way."""
    fake_driver()
    program = "import pynvml as n; n.nvmlInit(); print(n.nvmlDeviceGetName(n.nvmlDeviceGetHandleByIndex(0)))"
    command = [sys.executable, "-m", "tests.fakes.nvml", "--profile", "rtx-3090", "--", sys.executable, "-c", program]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ, cwd=build._HERE.parents[2]
    )
    assert ran.stdout == "NVIDIA GeForce RTX 3090\n"


def test_the_page_stays_small(fake_driver):
    """Each test has a page of its own on the machine's temporary disk."""
    fake_driver()
    assert ctypes.sizeof(fake_driver("rtx-3060")._page) < 8 * 2**20
