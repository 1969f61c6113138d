"""The one table of the fake driver: what the state page holds, which NVML calls exist, which word each call reads.

``layout.py`` makes both sides of the page from these rows: the ctypes structures that a test writes and the C header
that the library is compiled with. A value, a call or a field id is added here; a call whose shape is listed in
:data:`Shape` needs no C at all.
"""

from dataclasses import dataclass
from typing import Literal

from tests.fakes.nvml.codes import ValueType

MAX_GPUS = 16
MAX_PROCESSES = 32
MAX_NAME = 10_240
MAX_EVENTS = 64
MAX_FANS = 4
MAX_SAMPLES = 64
MAX_MIG = 8
GPM_METRICS = 16
SYSTEM_ROW = MAX_GPUS
ABSENT = 0xFFFFFFFF
"""In an indexed value (one clock, one threshold): this entry answers NOT_SUPPORTED."""


Shape = Literal["text", "uint", "ulonglong", "pair", "indexed", "own"]
"""How a device call answers: (char *, length), one unsigned int, one unsigned long long, two unsigned ints, one
unsigned int chosen by an argument; ``own`` is written out in C."""


@dataclass(frozen=True, slots=True)
class Value:
    """One member of a structure in the page: a scalar type of <stdint.h>, ``char`` or another structure's name."""

    name: str
    type: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Call:
    """One exported function of a device handle, and the member of ``struct gpu`` that it reads."""

    name: str
    shape: Shape = "own"
    member: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """One id of nvmlDeviceGetFieldValues, answered from a member of ``struct gpu`` (``element`` of it)."""

    id: int
    type: ValueType
    member: str
    element: int = 0


SYSTEM_CALLS = (
    "nvmlInit_v2",
    "nvmlInitWithFlags",
    "nvmlShutdown",
    "nvmlSystemGetDriverVersion",
    "nvmlSystemGetNVMLVersion",
    "nvmlSystemGetCudaDriverVersion",
    "nvmlSystemGetCudaDriverVersion_v2",
    "nvmlSystemGetProcessName",
    "nvmlDeviceGetCount_v2",
    "nvmlEventSetCreate",
    "nvmlEventSetWait_v2",
    "nvmlEventSetFree",
    "nvmlGpmSampleAlloc",
    "nvmlGpmSampleFree",
    "nvmlGpmMetricsGet",
)

DEVICE_CALLS = (
    Call("nvmlDeviceGetHandleByIndex_v2"),
    Call("nvmlDeviceGetHandleByUUID"),
    Call("nvmlDeviceGetHandleByPciBusId_v2"),
    Call("nvmlDeviceGetIndex"),
    Call("nvmlDeviceGetName"),
    Call("nvmlDeviceGetUUID"),
    Call("nvmlDeviceGetSerial", "text", "serial"),
    Call("nvmlDeviceGetVbiosVersion", "text", "vbios_version"),
    Call("nvmlDeviceGetPciInfo_v3"),
    Call("nvmlDeviceGetBrand", "uint", "brand"),
    Call("nvmlDeviceGetArchitecture", "uint", "architecture"),
    Call("nvmlDeviceGetComputeMode", "uint", "compute_mode"),
    Call("nvmlDeviceGetPersistenceMode", "uint", "persistence_mode"),
    Call("nvmlDeviceGetPerformanceState", "uint", "performance_state"),
    Call("nvmlDeviceGetUtilizationRates"),
    Call("nvmlDeviceGetMemoryInfo"),
    Call("nvmlDeviceGetMemoryInfo_v2"),
    Call("nvmlDeviceGetTemperature"),
    Call("nvmlDeviceGetTemperatureV"),
    Call("nvmlDeviceGetTemperatureThreshold", "indexed", "temperature_thresholds"),
    Call("nvmlDeviceGetMarginTemperature"),
    Call("nvmlDeviceGetPowerUsage", "uint", "power_usage"),
    Call("nvmlDeviceGetEnforcedPowerLimit", "uint", "power_limit_enforced"),
    Call("nvmlDeviceGetPowerManagementLimit", "uint", "power_limit"),
    Call("nvmlDeviceGetPowerManagementDefaultLimit", "uint", "power_limit_default"),
    Call("nvmlDeviceGetPowerManagementLimitConstraints", "pair", "power_limit_constraints"),
    Call("nvmlDeviceGetTotalEnergyConsumption", "ulonglong", "energy"),
    Call("nvmlDeviceGetClockInfo", "indexed", "clocks"),
    Call("nvmlDeviceGetMaxClockInfo", "indexed", "max_clocks"),
    Call("nvmlDeviceGetNumFans", "uint", "fans"),
    Call("nvmlDeviceGetFanSpeed", "uint", "fan_speeds[0]"),
    Call("nvmlDeviceGetFanSpeed_v2"),
    Call("nvmlDeviceGetCurrentClocksEventReasons", "ulonglong", "clocks_event_reasons"),
    Call("nvmlDeviceGetCurrentClocksThrottleReasons", "ulonglong", "clocks_event_reasons"),
    Call("nvmlDeviceGetSupportedClocksEventReasons", "ulonglong", "clocks_event_reasons_supported"),
    Call("nvmlDeviceGetSupportedClocksThrottleReasons", "ulonglong", "clocks_event_reasons_supported"),
    Call("nvmlDeviceGetEncoderUtilization", "pair", "encoder"),
    Call("nvmlDeviceGetDecoderUtilization", "pair", "decoder"),
    Call("nvmlDeviceGetComputeRunningProcesses_v2"),
    Call("nvmlDeviceGetComputeRunningProcesses_v3"),
    Call("nvmlDeviceGetGraphicsRunningProcesses_v2"),
    Call("nvmlDeviceGetGraphicsRunningProcesses_v3"),
    Call("nvmlDeviceGetMPSComputeRunningProcesses_v2"),
    Call("nvmlDeviceGetMPSComputeRunningProcesses_v3"),
    Call("nvmlDeviceGetProcessUtilization"),
    Call("nvmlDeviceGetProcessesUtilizationInfo"),
    Call("nvmlDeviceGetFieldValues"),
    Call("nvmlDeviceGetPcieThroughput", "indexed", "pcie_throughput"),
    Call("nvmlDeviceGetPcieReplayCounter", "uint", "pcie_replays"),
    Call("nvmlDeviceGetCurrPcieLinkWidth", "uint", "pcie_link_width"),
    Call("nvmlDeviceGetCurrPcieLinkGeneration", "uint", "pcie_link_generation"),
    Call("nvmlDeviceGetMaxPcieLinkWidth", "uint", "pcie_link_width_max"),
    Call("nvmlDeviceGetMaxPcieLinkGeneration", "uint", "pcie_link_generation_max"),
    Call("nvmlDeviceGetEccMode", "pair", "ecc_mode"),
    Call("nvmlDeviceGetMigMode", "pair", "mig_mode"),
    Call("nvmlDeviceGetTotalEccErrors"),
    Call("nvmlDeviceGetRemappedRows"),
    Call("nvmlDeviceGetSupportedEventTypes", "ulonglong", "event_types"),
    Call("nvmlDeviceRegisterEvents"),
    Call("nvmlDeviceGetSamples"),
    Call("nvmlDeviceGetGridLicensableFeatures_v4"),
    Call("nvmlDeviceGetMaxMigDeviceCount", "uint", "mig_most"),
    Call("nvmlDeviceGetMigDeviceHandleByIndex"),
    Call("nvmlDeviceGetGpuInstanceId"),
    Call("nvmlDeviceGetComputeInstanceId"),
    Call("nvmlGpmQueryDeviceSupport"),
    Call("nvmlGpmSampleGet"),
    Call("nvmlGpmMigSampleGet"),
)

DEVICE_CALL_NAMES = tuple(call.name for call in DEVICE_CALLS)
CALLS = (*SYSTEM_CALLS, *DEVICE_CALL_NAMES)

_UINT, _ULL, _INT = ValueType.UNSIGNED_INT, ValueType.UNSIGNED_LONG_LONG, ValueType.SIGNED_INT

FIELDS = (
    Field(1, _UINT, "ecc_mode", 0),
    Field(3, _ULL, "ecc_errors", 0),
    Field(4, _ULL, "ecc_errors", 2),
    Field(5, _ULL, "ecc_errors", 1),
    Field(6, _ULL, "ecc_errors", 3),
    *(Field(29 + cause, _UINT, "retired_pages", cause) for cause in range(3)),
    *(Field(38 + 7 * kind, _ULL, "nvlink_errors", kind) for kind in range(4)),
    *(Field(74 + policy, _ULL, "violation_times", policy) for policy in range(6)),
    Field(82, _UINT, "memory_temperature"),
    Field(83, _ULL, "energy"),
    Field(94, _UINT, "pcie_replays"),
    Field(138, _ULL, "nvlink_kibibytes", 0),
    Field(139, _ULL, "nvlink_kibibytes", 1),
    *(Field(142 + row, _UINT, "remapped_rows", row) for row in range(4)),
    Field(185, _UINT, "power_average"),
    Field(186, _UINT, "power_usage"),
    Field(187, _UINT, "power_limit_constraints", 0),
    Field(188, _UINT, "power_limit_constraints", 1),
    Field(189, _UINT, "power_limit_default"),
    Field(190, _UINT, "power_limit_enforced"),
    Field(192, _UINT, "power_limit"),
    *(Field(193 + limit, _INT, "temperature_margin_limits", limit) for limit in range(4)),
    Field(197, _ULL, "pcie_bytes", 0),
    Field(198, _ULL, "pcie_bytes", 1),
    Field(202, _ULL, "nvlink_bytes", 0),
    Field(204, _ULL, "nvlink_bytes", 1),
    *(Field(269 + reason, _ULL, "slowdown_times", reason) for reason in range(3)),
)

GPU_VALUES = (
    Value("name", "char", 96),
    Value("uuid", "char", 96),
    Value("serial", "char", 32),
    Value("vbios_version", "char", 32),
    Value("bus_id", "char", 32),  # 00000000:01:00.0
    Value("pci_device_id", "uint32_t"),  # device << 16 | vendor
    Value("pci_subsystem_id", "uint32_t"),
    Value("brand", "uint32_t"),
    Value("architecture", "uint32_t"),
    Value("compute_mode", "uint32_t"),
    Value("persistence_mode", "uint32_t"),
    Value("performance_state", "uint32_t"),
    Value("utilization_gpu", "uint32_t"),  # percent
    Value("utilization_memory", "uint32_t"),
    Value("memory_total", "uint64_t"),  # bytes
    Value("memory_reserved", "uint64_t"),
    Value("memory_used", "uint64_t"),  # without the reserve, as version 2 of the call reports it
    Value("temperature", "int32_t"),  # degrees Celsius
    Value("temperature_margin", "int32_t"),
    Value("temperature_thresholds", "uint32_t", 8),  # NVML_TEMPERATURE_THRESHOLD_*
    Value("temperature_margin_limits", "int32_t", 4),  # shutdown, slowdown, memory, GPU: relative to the margin's zero
    Value("memory_temperature", "uint32_t"),
    Value("power_usage", "uint32_t"),  # milliwatts, as every power below
    Value("power_average", "uint32_t"),
    Value("power_limit", "uint32_t"),
    Value("power_limit_enforced", "uint32_t"),
    Value("power_limit_default", "uint32_t"),
    Value("power_limit_constraints", "uint32_t", 2),
    Value("energy", "uint64_t"),  # millijoules
    Value("clocks", "uint32_t", 4),  # MHz: graphics, SM, memory, video
    Value("max_clocks", "uint32_t", 4),
    Value("fans", "uint32_t"),
    Value("fan_speeds", "uint32_t", MAX_FANS),  # percent
    Value("clocks_event_reasons", "uint64_t"),
    Value("clocks_event_reasons_supported", "uint64_t"),
    Value("violation_times", "uint64_t", 6),  # nanoseconds: power, thermal, sync boost, board, low use, reliability
    Value("slowdown_times", "uint64_t", 3),  # nanoseconds: software thermal, hardware thermal, power brake
    Value("encoder", "uint32_t", 2),  # percent, sampling period in microseconds
    Value("decoder", "uint32_t", 2),
    Value("pcie_throughput", "uint32_t", 2),  # KB/s: sent, received
    Value("pcie_bytes", "uint64_t", 2),
    Value("pcie_replays", "uint32_t"),
    Value("pcie_link_width", "uint32_t"),
    Value("pcie_link_width_max", "uint32_t"),
    Value("pcie_link_generation", "uint32_t"),
    Value("pcie_link_generation_max", "uint32_t"),
    Value("nvlink_bytes", "uint64_t", 2),  # sent, received
    Value("nvlink_kibibytes", "uint64_t", 2),  # the same, as the older fields count it
    Value("nvlink_errors", "uint64_t", 4),  # flow control CRC, data CRC, replay, recovery
    Value("ecc_mode", "uint32_t", 2),  # current, pending
    Value("mig_mode", "uint32_t", 2),
    Value("ecc_errors", "uint64_t", 4),  # corrected volatile, corrected aggregate, uncorrected volatile and aggregate
    Value("remapped_rows", "uint32_t", 4),  # correctable, uncorrectable, pending, failure
    Value("retired_pages", "uint32_t", 3),  # after single-bit errors, after double-bit errors, pending
    Value("event_types", "uint64_t"),
    Value("licence", "uint32_t"),  # 0: no vGPU software, 1: without a licence, 2: licensed
    Value("mig_most", "uint32_t"),
    Value("gpm_supported", "uint32_t"),
    Value("gpm", "uint32_t", GPM_METRICS),  # hundredths of a percent, by NVML_GPM_METRIC_*
)

STRUCTURES: dict[str, tuple[Value, ...]] = {
    "call_state": (
        Value("entered", "uint64_t"),
        Value("left", "uint64_t"),
        Value("hang", "uint32_t"),
        Value("forced", "uint32_t"),
        Value("answer", "uint32_t"),
    ),
    "process": (
        Value("memory", "uint64_t"),
        Value("sampled_at", "uint64_t"),  # microseconds since 1970; 0 is "just now" at every call
        Value("pid", "uint32_t"),
        Value("kinds", "uint32_t"),
        Value("sampled", "uint32_t"),
        Value("utilization", "uint32_t", 4),  # percent: SM, memory, encoder, decoder
        Value("named", "uint32_t"),
        Value("name_length", "uint32_t"),
        Value("name", "uint8_t", MAX_NAME),
    ),
    "sample": (Value("at", "uint64_t"), Value("value", "uint32_t")),  # microseconds since 1970
    "mig": (
        Value("memory_total", "uint64_t"),
        Value("memory_reserved", "uint64_t"),
        Value("memory_used", "uint64_t"),
        Value("present", "uint32_t"),
        Value("gpu_instance", "uint32_t"),
        Value("compute_instance", "uint32_t"),
        Value("gpm", "uint32_t", GPM_METRICS),
        Value("uuid", "char", 96),
        Value("profile", "char", 32),
    ),
    "event": (Value("type", "uint64_t"), Value("data", "uint64_t")),
    "gpu": (
        *GPU_VALUES,
        Value("present", "uint32_t"),
        Value("answer", "uint32_t"),  # what every call on this GPU answers; 0 is "as usual"
        Value("field_answers", "uint32_t", len(FIELDS)),
        Value("sequence", "uint32_t"),  # odd while a test replaces the processes
        Value("process_count", "uint32_t"),
        Value("processes", "process", MAX_PROCESSES),
        Value("event_count", "uint64_t"),
        Value("events", "event", MAX_EVENTS),
        Value("power_sample_count", "uint64_t"),
        Value("power_samples", "sample", MAX_SAMPLES),
        Value("utilization_sample_count", "uint64_t"),
        Value("utilization_samples", "sample", MAX_SAMPLES),
        Value("mig_devices", "mig", MAX_MIG),
    ),
    "page": (
        Value("layout", "uint64_t"),
        Value("unloaded", "uint32_t"),  # what every call answers while the driver is away; 0 is "loaded"
        Value("generation", "uint32_t"),  # of the loaded driver
        Value("upgrades", "uint32_t"),
        Value("cuda_version", "int32_t"),  # 1000 * major + 10 * minor
        Value("driver_version", "char", 80),
        Value("nvml_version", "char", 80),
        Value("calls", "call_state", (MAX_GPUS + 1) * len(CALLS)),
        Value("gpus", "gpu", MAX_GPUS),
    ),
}
