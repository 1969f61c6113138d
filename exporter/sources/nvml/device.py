"""One card: the NVML calls that we make on it, in NVML's own units.

Numbers of enumerations are those of nvml.h; they are part of the library's binary interface and do not change.
"""

from typing import Any, NamedTuple

from exporter.sources.nvml.driver import Driver, Handle, text_of
from exporter.sources.nvml.errors import INSUFFICIENT_SIZE, NOT_FOUND, SUCCESS, NotAvailableError, error_for

CLOCKS = {"graphics": 0, "sm": 1, "memory": 2, "video": 3}
"""``nvmlClockType_t``."""
TEMPERATURE_LIMITS = {"shutdown": 0, "slowdown": 1, "memory_max_operating": 2, "max_operating": 3}
"""``nvmlTemperatureThresholds_t``."""

_CORE_SENSOR = 0
_MEMORY_TEMPERATURE_FIELD = 82
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

    def memory_temperature(self) -> int:
        """Field 82; drivers name various value types for it and always fill the unsigned one."""
        value = self._ask("GetFieldValues", [_MEMORY_TEMPERATURE_FIELD])[0]
        if value.nvmlReturn:
            function = f"field {_MEMORY_TEMPERATURE_FIELD}"
            raise error_for(function, value.nvmlReturn)
        return value.value.uiVal

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
