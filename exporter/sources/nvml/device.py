"""One card: the NVML calls that we make on it, in NVML's own units.

Numbers of enumerations are those of nvml.h; they are part of the library's binary interface and do not change.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from exporter.sources.nvml.driver import Driver, Handle, text_of
from exporter.sources.nvml.errors import INSUFFICIENT_SIZE, NOT_FOUND, SUCCESS, NotAvailableError

CLOCKS = {"graphics": 0, "sm": 1, "memory": 2, "video": 3}
"""``nvmlClockType_t``."""
TEMPERATURE_LIMITS = {"shutdown": 0, "slowdown": 1, "memory_max_operating": 2, "max_operating": 3}
"""``nvmlTemperatureThresholds_t``."""

UNSIGNED = 1
_UNION = {0: "dVal", UNSIGNED: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal", 6: "usVal"}
"""``nvmlValueType_t`` and the member of ``nvmlValue_t`` that goes with it."""

_CORE_SENSOR = 0
# Drivers name various value types for it and always fill the unsigned member.
_MEMORY_TEMPERATURE = 82
_MEMORY_V2 = 0x02000028


class Memory(NamedTuple):
    """Bytes; with ``reserved`` None (version 1 of the call) ``used`` includes the driver's reserve."""

    total: int
    used: int
    free: int
    reserved: int | None


class Held(NamedTuple):
    """One row of a process list; ``memory`` in bytes, None where the driver does not say."""

    pid: int
    memory: int | None


class UtilizationSample(NamedTuple):
    """What a process did, in percent of the card's time; ``at`` is in microseconds since 1970."""

    pid: int
    at: int
    percent: int


class Device:
    """A card that has a handle; every method may block and raises ``NvmlError``."""

    def __init__(self, driver: Driver, handle: Handle) -> None:
        self._driver = driver
        self._handle = handle

    def uuid(self) -> str:
        """The card's lasting identity, ``GPU-...``."""
        return str(self._ask("GetUUID"))

    def name(self) -> str:
        """Product name."""
        return str(self._ask("GetName"))

    def bus_id(self) -> str:
        """PCI bus id with the 8-digit domain, or with 4 digits where the driver is too old for that."""
        info = self._ask("GetPciInfo")
        return str(text_of(info.busId) or text_of(info.busIdLegacy))

    def vbios_version(self) -> str:
        """Version of the card's firmware."""
        return str(self._ask("GetVbiosVersion"))

    def utilization_percent(self) -> tuple[int, int]:
        """Share of the last sample period with a kernel running, and with memory being read or written."""
        rates = self._ask("GetUtilizationRates")
        return rates.gpu, rates.memory

    def encoder_percent(self) -> int:
        """Use of the video encoder."""
        return self._ask("GetEncoderUtilization")[0]

    def decoder_percent(self) -> int:
        """Use of the video decoder."""
        return self._ask("GetDecoderUtilization")[0]

    def memory(self) -> Memory:
        """Version 2 of the call, from driver 510 on."""
        info = self._ask("GetMemoryInfo", _MEMORY_V2)
        return Memory(info.total, info.used, info.free, info.reserved)

    def memory_v1(self) -> Memory:
        """Version 1, which counts the reserve as used."""
        info = self._ask("GetMemoryInfo")
        return Memory(info.total, info.used, info.free, None)

    def temperature(self) -> int:
        """Core temperature in degrees Celsius."""
        return self._ask("GetTemperatureV", _CORE_SENSOR)

    def temperature_v1(self) -> int:
        """The same from the deprecated call that old drivers have."""
        return self._ask("GetTemperature", _CORE_SENSOR)

    def temperature_margin(self) -> int:
        """Degrees left to the nearest slowdown limit."""
        return self._ask("GetMarginTemperature")

    def temperature_limit(self, limit: str) -> int:
        """One of ``TEMPERATURE_LIMITS`` in degrees Celsius."""
        return self._ask("GetTemperatureThreshold", TEMPERATURE_LIMITS[limit])

    def field_values(self, ids: Sequence[tuple[int, int]]) -> list[tuple[int, float]]:
        """Return code and value of each (``NVML_FI_*``, scope), in one call."""
        return [
            (
                value.nvmlReturn,
                _number(value.value, UNSIGNED if value.fieldId == _MEMORY_TEMPERATURE else value.valueType),
            )
            for value in self._ask("GetFieldValues", ids)
        ]

    def samples(self, kind: int, since: int) -> list[tuple[int, float]]:
        """The driver's own readings of a ``nvmlSamplingType_t`` after ``since``: (microseconds since 1970, value)."""
        value_type, rows = self._ask("GetSamples", kind, since)
        return [(row.timeStamp, _number(row.sampleValue, value_type)) for row in rows if row.timeStamp > since]

    def vgpu_licensed(self) -> bool | None:
        """Whether the vGPU software has its licence; None for a card that needs none."""
        answer = self._ask("GetGridLicensableFeatures")
        if not answer.isGridLicenseSupported:
            return None
        features = answer.gridLicensableFeatures[: answer.licensableFeaturesCount]
        return any(feature.featureState for feature in features)

    def pcie_link_generation(self) -> int:
        """PCIe generation in use."""
        return self._ask("GetCurrPcieLinkGeneration")

    def pcie_link_width(self) -> tuple[int, int]:
        """Lanes in use, and the most that card and slot can use."""
        return self._ask("GetCurrPcieLinkWidth"), self._ask("GetMaxPcieLinkWidth")

    def mig_mode(self) -> int:
        """1 while the card is divided."""
        return self._ask("GetMigMode")[0]

    def mig_most(self) -> int:
        """The most MIG devices that the card may be divided into."""
        return self._ask("GetMaxMigDeviceCount")

    def mig_device(self, number: int) -> "Device":
        """One MIG device; NOT_FOUND for a hole in the numbers."""
        return Device(self._driver, Handle(self._ask("GetMigDeviceHandleByIndex", number)))

    def mig_instances(self) -> tuple[int, int]:
        """GPU instance and compute instance of a MIG device."""
        return self._ask("GetGpuInstanceId"), self._ask("GetComputeInstanceId")

    def registers(self, types: int, events: Any) -> None:
        """Have events of these ``nvmlEventType*`` bits put into an event set of the driver."""
        self._ask("RegisterEvents", types, events)

    def supports_activity(self) -> bool:
        """Whether the chip counts what its parts do (GPM)."""
        return bool(self._driver.call("nvmlGpmQueryDeviceSupport", self._handle).isSupportedDevice)

    def sample_activity(self, sample: Any, gpu_instance: int | None = None) -> None:
        """Fill a sample of the driver with the counters of now, of the whole card or of one GPU instance."""
        if gpu_instance is None:
            self._driver.call("nvmlGpmSampleGet", self._handle, sample)
        else:
            self._driver.call("nvmlGpmMigSampleGet", self._handle, gpu_instance, sample)

    def power_milliwatts(self) -> int:
        """Board power; a one-second average on most cards from Ampere on."""
        return self._ask("GetPowerUsage")

    def power_limit_milliwatts(self) -> int:
        """The limit in force, the lowest of all that apply."""
        return self._ask("GetEnforcedPowerLimit")

    def energy_millijoules(self) -> int:
        """Since the driver was loaded; Volta and later."""
        return self._ask("GetTotalEnergyConsumption")

    def clock_megahertz(self, clock: str) -> int:
        """Current clock of one of ``CLOCKS``."""
        return self._ask("GetClockInfo", CLOCKS[clock])

    def clock_max_megahertz(self, clock: str) -> int:
        """Highest clock of one of ``CLOCKS``."""
        return self._ask("GetMaxClockInfo", CLOCKS[clock])

    def fan_count(self) -> int:
        """Fans that the card itself drives; 0 on passively cooled cards."""
        return self._ask("GetNumFans")

    def fan_percent(self, fan: int) -> int:
        """Intended speed of one fan; by NVML's account it may exceed 100."""
        return self._ask("GetFanSpeed_v2", fan)

    def fan_percent_v1(self) -> int:
        """Intended speed of the card's fans together, for old drivers."""
        return self._ask("GetFanSpeed")

    def clock_event_reasons(self) -> int:
        """Bits that say why the clocks are what they are."""
        return self._ask("GetCurrentClocksEventReasons")

    def throttle_reasons(self) -> int:
        """The same under its name before driver 535."""
        return self._ask("GetCurrentClocksThrottleReasons")

    def compute_mode(self) -> int:
        """``nvmlComputeMode_t``: 0 default, 1 exclusive thread, 2 prohibited, 3 exclusive process."""
        return self._ask("GetComputeMode")

    def performance_state(self) -> int:
        """``nvmlPstates_t``: 0 to 15, 32 for unknown."""
        return self._ask("GetPerformanceState")

    def running(self, kind: str, version: str) -> list[Held]:
        """Processes of a ``kind`` ("Compute", "Graphics", "MPSCompute") by that ``version`` ("_v3", "_v2")."""
        rows = self._ask(f"Get{kind}RunningProcesses{version}")
        return [Held(row.pid, row.usedGpuMemory) for row in rows]

    def process_utilization(self, since: int) -> list[UtilizationSample]:
        """Samples of processes that did something after ``since`` (microseconds since 1970)."""
        return self._samples("GetProcessUtilization", since)

    def processes_utilization(self, since: int) -> list[UtilizationSample]:
        """The same by the call that came with driver 550."""
        return self._samples("GetProcessesUtilizationInfo", since)

    def _samples(self, name: str, since: int) -> list[UtilizationSample]:
        try:
            rows = self._ask(name, since)
        except NotAvailableError as error:
            # The three ways in which a list that is empty, or has grown meanwhile, comes out of the binding.
            if error.code in {SUCCESS, NOT_FOUND, INSUFFICIENT_SIZE}:
                return []
            raise
        return [UtilizationSample(row.pid, row.timeStamp, row.smUtil) for row in rows]

    def _ask(self, name: str, *arguments: Any) -> Any:
        return self._driver.call(f"nvmlDevice{name}", self._handle, *arguments)


def _number(value: Any, value_type: int) -> float:
    """The member of an ``nvmlValue_t`` that its type names; an unknown type is read as the widest number."""
    return getattr(value, _UNION.get(value_type, "ullVal"))
