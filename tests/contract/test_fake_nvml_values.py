"""What the fake driver answers, seen through the real nvidia-ml-py in a process of its own."""

from contextlib import contextmanager

import pynvml
import pytest

from tests.fakes.nvml import table
from tests.fakes.nvml.caller import Caller, Refused
from tests.fakes.nvml.codes import Kind, Return, ValueType
from tests.fakes.nvml.gpu import Process
from tests.fakes.nvml.profiles import PROFILES
from tests.fakes.nvml.table import ABSENT

MIB = 2**20


@contextmanager
def calling(driver):
    """A program under the driver, initialised."""
    with Caller(driver.environment()) as call:
        call("n.nvmlInit()")
        yield call


def test_the_table_numbers_returns_and_fields_as_the_binding_does():
    """A fake with numbers of its own would let the exporter pass tests and fail on every real card."""
    for code in Return:
        name = "NVML_SUCCESS" if code is Return.SUCCESS else f"NVML_ERROR_{code.name}"
        assert getattr(pynvml, name) == code
    known = {value for name, value in vars(pynvml).items() if name.startswith("NVML_FI_DEV_")}
    assert {field.id for field in table.FIELDS} <= known
    assert ValueType.SIGNED_INT == pynvml.NVML_VALUE_TYPE_SIGNED_INT
    assert ValueType.UNSIGNED_LONG_LONG == pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_a_profile_answers_as_its_card_does(fake_driver, profile):
    """A card of the wrong shape hides what the exporter would do on the user's."""
    values = PROFILES[profile].values
    with calling(fake_driver(profile)) as call:
        assert call("n.nvmlDeviceGetName(h[0])") == values["name"]
        if "nvmlDeviceGetMemoryInfo" not in PROFILES[profile].unsupported:
            memory = call("n.nvmlDeviceGetMemoryInfo(h[0], n.nvmlMemory_v2)")
            assert memory["total"] == values["memory_total"]
            assert memory["reserved"] == values["memory_reserved"]
            assert memory["free"] == memory["total"] - memory["reserved"]
            assert call("n.nvmlDeviceGetMemoryInfo(h[0])")["used"] == memory["reserved"]
        assert call("n.nvmlDeviceGetEnforcedPowerLimit(h[0])") == values["power_limit"]
        assert call("[n.nvmlDeviceGetMaxClockInfo(h[0], c) for c in range(4)]") == values["max_clocks"]
        assert call("n.nvmlDeviceGetPciInfo(h[0])")["pciDeviceId"] == values["pci_device_id"]
        fans = values.get("fans")
        assert call.code("n.nvmlDeviceGetNumFans(h[0])") == (Return.SUCCESS if fans else Return.NOT_SUPPORTED)
        for threshold, degrees in enumerate(values["temperature_thresholds"]):
            expected = Return.NOT_SUPPORTED if degrees == ABSENT else Return.SUCCESS
            assert call.code(f"n.nvmlDeviceGetTemperatureThreshold(h[0], {threshold})") == expected


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_what_a_profile_does_not_support_says_so(fake_driver, profile):
    """Otherwise a panel for ECC or fans would be tested only with cards that have them."""
    with calling(fake_driver(profile)) as call:
        for name in PROFILES[profile].unsupported:
            assert call(f"raw('{name}')(h[0], None, None, None)") == Return.NOT_SUPPORTED
        ids = [field.id for field in table.FIELDS]
        answers = call(f"n.nvmlDeviceGetFieldValues(h[0], {ids})")
        refused = {answer["fieldId"] for answer in answers if answer["nvmlReturn"] == Return.NOT_SUPPORTED}
        assert refused == PROFILES[profile].unsupported_fields


def test_values_change_while_the_program_runs(fake_driver):
    """A story of a card that fills up cannot be told with a page that is read once."""
    driver = fake_driver("rtx-3060")
    gpu = driver.gpu(0)
    with calling(driver) as call:
        for used in (5 * 2**30, 11 * 2**30):
            gpu.memory_used = used
            assert call("n.nvmlDeviceGetMemoryInfo(h[0], n.nvmlMemory_v2).used") == used
        gpu.utilization_gpu, gpu.temperature, gpu.power_usage = 97, 83, 168_500
        gpu.clocks = [1800, 1801, 7000, 1600]
        gpu.clocks[1] = 1790
        gpu.fan_speeds[1] = 77
        gpu.energy = 2**40
        gpu.clocks_event_reasons = 0x24
        gpu.encoder[0] = 12
        assert call("n.nvmlDeviceGetUtilizationRates(h[0]).gpu") == 97
        assert call("n.nvmlDeviceGetTemperature(h[0], 0)") == call("n.nvmlDeviceGetTemperatureV(h[0], 0)") == 83
        assert call("n.nvmlDeviceGetPowerUsage(h[0])") == 168_500
        assert call("[n.nvmlDeviceGetClockInfo(h[0], c) for c in range(4)]") == [1800, 1790, 7000, 1600]
        assert call("[n.nvmlDeviceGetFanSpeed_v2(h[0], f) for f in range(2)]") == [30, 77]
        assert call("n.nvmlDeviceGetTotalEnergyConsumption(h[0])") == 2**40
        assert call("n.nvmlDeviceGetCurrentClocksEventReasons(h[0])") == 0x24
        assert call("n.nvmlDeviceGetEncoderUtilization(h[0])") == [12, 167_000]
        assert call.code("n.nvmlDeviceGetFanSpeed_v2(h[0], 2)") == Return.INVALID_ARGUMENT
        assert call.code("n.nvmlDeviceGetClockInfo(h[0], 4)") == Return.INVALID_ARGUMENT


def test_a_misspelt_value_is_refused(fake_driver):
    """A test that sets a value which nobody reads would pass for the wrong reason."""
    gpu = fake_driver("rtx-3060").gpu(0)
    with pytest.raises(AttributeError, match="memory_usde"):
        gpu.memory_usde  # noqa: B018 -- reading it is the point
    with pytest.raises(AttributeError, match="memory_usde"):
        gpu.memory_usde = 1
    with pytest.raises(ValueError, match="not answered here"):
        gpu.fail("nvmlSystemGetDriverVersion", Return.UNKNOWN)
    with pytest.raises(KeyError):
        gpu.entered("nvmlDeviceGetNmae")


def test_field_values_have_types_and_answers_of_their_own(fake_driver):
    """Memory temperature and PCIe counters exist only as field values."""
    driver = fake_driver("h100-80gb")
    driver.gpu(0).memory_temperature = 96
    driver.gpu(0).pcie_bytes = [2**33, 2**34]
    driver.gpu(0).fail_field(83, Return.NO_PERMISSION)
    with calling(driver) as call:
        got = call("n.nvmlDeviceGetFieldValues(h[0], [82, 83, 194, 198, (204, 1), 9999])")
    assert [value["nvmlReturn"] for value in got] == [0, Return.NO_PERMISSION, 0, 0, 0, Return.NOT_SUPPORTED]
    assert [value["valueType"] for value in got[:4]] == [1, 3, 5, 3]
    assert got[0]["value"]["uiVal"] == 96
    assert got[2]["value"]["siVal"] == -2
    assert got[3]["value"]["ullVal"] == 2**34


def test_ecc_rows_and_margin_of_a_data_centre_card(fake_driver):
    """Health of the memory is read by calls of their own, each with its own order of results."""
    driver = fake_driver("a100-40gb", "h100-80gb")
    driver.gpu(0).ecc_errors = [1, 2, 3, 4]
    driver.gpu(0).remapped_rows = [5, 6, 1, 0]
    with calling(driver) as call:
        counts = "[n.nvmlDeviceGetTotalEccErrors(h[0], t, c) for t in range(2) for c in range(2)]"
        assert call(counts) == [1, 2, 3, 4]
        assert call("n.nvmlDeviceGetRemappedRows(h[0])") == [5, 6, 1, 0]
        assert call("n.nvmlDeviceGetEccMode(h[0])") == [1, 1]
        assert call("n.nvmlDeviceGetMarginTemperature(h[1])") == 54
        assert call.code("n.nvmlDeviceGetTotalEccErrors(h[0], 2, 0)") == Return.INVALID_ARGUMENT


def test_a_structure_of_an_unknown_version_is_refused(fake_driver):
    """The exporter's fall-back from version 2 of the memory call needs a driver that refuses it."""
    with calling(fake_driver("rtx-3060")) as call:
        answer = call.code("n.nvmlDeviceGetMemoryInfo(h[0], 0x3000028)")
        assert answer == Return.ARGUMENT_VERSION_MISMATCH


def test_sixteen_cards_are_found_by_index_uuid_and_both_forms_of_the_bus_id(fake_driver):
    """A server with many cards is where identity goes wrong."""
    driver = fake_driver(*["rtx-3090"] * 16)
    with pytest.raises(ValueError, match="16 cards"):
        driver.add_gpu("rtx-2060")
    with calling(driver) as call:
        assert call("n.nvmlDeviceGetCount()") == 16
        uuids = call("[n.nvmlDeviceGetUUID(h[i]) for i in range(16)]")
        assert len(set(uuids)) == 16
        for index in (0, 9, 15):
            by_uuid = f"n.nvmlDeviceGetHandleByUUID({uuids[index]!r})"
            assert call(f"n.nvmlDeviceGetIndex({by_uuid})") == index
            for form in (f"00000000:{index + 1:02X}:00.0", f"0000:{index + 1:02x}:00.0"):
                assert call(f"n.nvmlDeviceGetIndex(n.nvmlDeviceGetHandleByPciBusId({form!r}))") == index
        assert call.code("n.nvmlDeviceGetHandleByIndex(16)") == Return.INVALID_ARGUMENT
        assert call.code("n.nvmlDeviceGetHandleByUUID('GPU-none')") == Return.NOT_FOUND
        assert call.code("n.nvmlDeviceGetHandleByPciBusId('junk')") == Return.NOT_FOUND


def test_processes_by_kind_with_and_without_memory(fake_driver):
    """Who holds the memory is the line in the mail that people act on."""
    driver = fake_driver("rtx-3060")
    both = Process(11, 300 * MIB, Kind.COMPUTE | Kind.GRAPHICS)
    driver.gpu(0).set_processes([both, Process(12, None), Process(2**32 - 1, 2**63, Kind.GRAPHICS)])
    listed = "[(p.pid, p.usedGpuMemory) for p in n.nvmlDeviceGet{}RunningProcesses_{}(h[0])]"
    with calling(driver) as call:
        for version in ("v3", "v2"):
            assert call(listed.format("Compute", version)) == [[11, 300 * MIB], [12, None]]
            assert call(listed.format("Graphics", version)) == [[11, 300 * MIB], [2**32 - 1, 2**63]]
        assert call(listed.format("MPSCompute", "v3")) == []
        driver.gpu(0).set_processes(Process(pid, pid) for pid in range(1, 33))
        assert call(listed.format("Compute", "v3")) == [[pid, pid] for pid in range(1, 33)]
        driver.gpu(0).set_processes([])
        assert call(listed.format("Compute", "v3")) == []
        driver.gpu(0).fail("nvmlDeviceGetComputeRunningProcesses_v3", Return.INSUFFICIENT_SIZE)
        assert call.code("n.nvmlDeviceGetComputeRunningProcesses(h[0])") == Return.INSUFFICIENT_SIZE
    with pytest.raises(ValueError, match="33 processes"):
        driver.gpu(0).set_processes([Process(1)] * 33)


def test_a_list_of_processes_is_replaced_in_one_step(fake_driver):
    """A half-written list would make tests fail once a month for no reason of the exporter's."""
    driver = fake_driver("rtx-3060")
    lists = [[Process(1, 1), Process(2, 2), Process(3, 3)], [Process(4, 4)]]
    seen = "tuple(p.pid for p in n.nvmlDeviceGetComputeRunningProcesses(h[0]))"
    driver.gpu(0).set_processes(lists[0])
    with calling(driver) as call:
        call("bool(stop := [])")
        call(f"bool(reading := pool.submit(lambda: {{{seen} for _ in iter(lambda: len(stop), 1)}}))")
        for turn in range(2000):
            driver.gpu(0).set_processes(lists[turn % 2])
        call("stop.append(1)")
        assert {tuple(pids) for pids in call("list(reading.result(5))")} <= {(1, 2, 3), (4,)}


def test_process_samples_are_those_since_the_last_look(fake_driver):
    """Samples of programs that ended would be published for ever."""
    driver = fake_driver("rtx-3060")
    gpu = driver.gpu(0)
    samples = "[(s.pid, s.timeStamp, s.smUtil, s.decUtil) for s in n.nvmlDeviceGetProcessUtilization(h[0], {})]"
    garbage = Process(0, utilization=(250, 0, 0, 0), sampled_at=70)
    with calling(driver) as call:
        gpu.set_processes([Process(5, utilization=(80, 30, 0, 9), sampled_at=50), garbage, Process(6)])
        assert call(samples.format(0)) == [[5, 50, 80, 9], [0, 70, 250, 0]]
        assert call(samples.format(50)) == [[0, 70, 250, 0]]
        assert call.code(samples.format(70)) == Return.NOT_FOUND
        gpu.set_processes([Process(5, utilization=(80,))])
        assert call(samples.format(70))[0][0] == 5
        gpu.fail("nvmlDeviceGetProcessUtilization", Return.SUCCESS)
        with pytest.raises(Refused) as refused:
            call(samples.format(0))
        assert refused.value.code == 0


def test_process_names_are_given_byte_for_byte_and_cropped(fake_driver):
    """Names come from anybody's programs: the exporter must meet the worst of them here first."""
    driver = fake_driver("rtx-3060")
    names = {1: b"python3", 2: b'a"b\n\\{}', 3: b"\xff\xfe\x80", 4: b"x" * 10_000, 5: b"before\0after", 6: b""}
    driver.gpu(0).set_processes([*(Process(pid, name=name) for pid, name in names.items()), Process(7)])
    with calling(driver) as call:
        assert call("n.nvmlSystemGetProcessName(1)") == "python3"
        assert call("n.nvmlSystemGetProcessName(2)") == 'a"b\n\\{}'
        with pytest.raises(RuntimeError, match="UnicodeDecodeError"):
            call("n.nvmlSystemGetProcessName(3)")
        assert call("n.nvmlSystemGetProcessName(4)") == "x" * 1023
        assert call("n.nvmlSystemGetProcessName(5)") == "before"
        assert call("n.nvmlSystemGetProcessName(6)") == ""
        assert call.code("n.nvmlSystemGetProcessName(7)") == Return.NOT_FOUND
        assert call.code("n.nvmlSystemGetProcessName(99)") == Return.NOT_FOUND
        call("bool(room := ctypes.create_string_buffer(16_384))")
        whole = "(raw('nvmlSystemGetProcessName')(4, room, 16_384), len(room.value))"
        assert call(whole) == [0, 10_000]


def test_a_text_never_exceeds_the_callers_buffer(fake_driver):
    """A fake that overruns buffers would crash the program it tests."""
    with calling(fake_driver("rtx-3060")) as call:
        short = "raw('nvmlDeviceGetName')(h[0], ctypes.create_string_buffer(4), 4)"
        assert call(short) == Return.INSUFFICIENT_SIZE


def test_versions_of_driver_library_and_cuda(fake_driver):
    """gpu_info names them, and a bug report begins with them."""
    driver = fake_driver("rtx-3060")
    with calling(driver) as call:
        assert call("n.nvmlSystemGetDriverVersion()") == driver.version
        assert call("n.nvmlSystemGetNVMLVersion()") == f"13.{driver.version}"
        assert call("n.nvmlSystemGetCudaDriverVersion_v2()") == call("n.nvmlSystemGetCudaDriverVersion()") == 13_000
        assert call("n.nvmlErrorString(15)") == "Gpu is lost"
