"""What is published of each card."""

from gpuwarden.catalog.card_faults import FAULTS, LINKS
from gpuwarden.catalog.card_holders import HOLDERS, INSTANCES, PEAKS
from gpuwarden.catalog.card_row import of_card, total_of_card
from gpuwarden.catalog.row import Metric

_HOPPER = "Hopper and later"

_STATE = (
    of_card("up", "bool", "1 while the card answers; 0 when it is lost, hangs or has gone.", by="every call"),
    of_card(
        "info",
        "count",
        "Description of the card.",
        *("name", "pci_bus_id", "driver_version", "cuda_version", "vbios_version"),
        kind="info",
        by="DeviceGetName, DeviceGetPciInfo, SystemGetDriverVersion, ...",
    ),
    of_card(
        "compute_mode",
        "count",
        "NVML compute mode: 0 default, 1 exclusive thread, 2 prohibited, 3 exclusive.",
        by="DeviceGetComputeMode",
    ),
    of_card(
        "performance_state",
        "count",
        "Performance state: 0 is the fastest, 15 the slowest.",
        by="DeviceGetPerformanceState",
    ),
    of_card(
        "vgpu_licensed",
        "bool",
        "1 when the vGPU software is licensed.",
        by="DeviceGetGridLicensableFeatures",
        cards="virtual GPUs",
    ),
)


_ACTIVITY = (
    of_card(
        "utilization_ratio",
        "ratio",
        "Share of the driver's last sample period with at least one kernel running.",
        by="DeviceGetUtilizationRates",
        cards="all but in MIG mode",
    ),
    of_card(
        "memory_controller_utilization_ratio",
        "ratio",
        "Share of that period in which memory was read or written.",
        by="DeviceGetUtilizationRates",
        cards="all but in MIG mode",
    ),
    of_card(
        "encoder_utilization_ratio",
        "ratio",
        "Share of the sample period in which the video encoder worked.",
        by="DeviceGetEncoderUtilization",
        cards="with an encoder",
    ),
    of_card(
        "decoder_utilization_ratio",
        "ratio",
        "Share of the sample period in which the video decoder worked.",
        by="DeviceGetDecoderUtilization",
        cards="with a decoder",
    ),
    of_card(
        "activity_ratio",
        "ratio",
        "Share of the time between two readings in which this part of the chip worked: graphics (any), sm, tensor, "
        "fp64, fp32, fp16, or dram (of its bandwidth).",
        "part",
        by="GpmMetricsGet",
        cards=_HOPPER,
    ),
    of_card(
        "sm_occupancy_ratio",
        "ratio",
        "Warps resident on the multiprocessors over the most that fit.",
        by="GpmMetricsGet",
        cards=_HOPPER,
    ),
)


_MEMORY = (
    of_card("memory_total_bytes", "bytes", "Memory of the card.", by="DeviceGetMemoryInfo_v2"),
    of_card(
        "memory_used_bytes",
        "bytes",
        "Memory held by processes, without the driver's reserve.",
        by="DeviceGetMemoryInfo_v2",
    ),
    of_card("memory_free_bytes", "bytes", "Memory that can still be allocated.", by="DeviceGetMemoryInfo_v2"),
    of_card(
        "memory_reserved_bytes",
        "bytes",
        "Memory that the driver keeps for itself.",
        by="DeviceGetMemoryInfo_v2",
        cards="all, from driver 510",
    ),
    of_card("memory_used_ratio", "ratio", "Used memory over total minus reserved.", by="DeviceGetMemoryInfo_v2"),
    of_card(
        "memory_unaccounted_bytes",
        "bytes",
        "Used memory that no visible process holds.",
        by="DeviceGetMemoryInfo_v2 less the process lists",
    ),
)


_HEAT_AND_POWER = (
    of_card("temperature_celsius", "celsius", "Temperature of the GPU core.", by="DeviceGetTemperatureV"),
    of_card(
        "memory_temperature_celsius",
        "celsius",
        "Temperature of the memory.",
        by="field 82",
        cards="data-centre cards",
    ),
    of_card(
        "temperature_limit_celsius",
        "celsius",
        "Temperature at which the card acts.",
        "limit",
        by="DeviceGetTemperatureThreshold",
        cards="before Hopper",
    ),
    of_card(
        "temperature_margin_celsius",
        "celsius",
        "Degrees left to the card's own slowdown limit.",
        by="DeviceGetMarginTemperature, else the slowdown limit",
    ),
    of_card("power_watts", "watts", "Power drawn by the board.", by="DeviceGetPowerUsage"),
    of_card("power_limit_watts", "watts", "Power limit in force.", by="DeviceGetEnforcedPowerLimit"),
    total_of_card(
        "energy_joules_total",
        "joules",
        "Energy drawn by the board since the driver was loaded, or as far as it was watched.",
        by="DeviceGetTotalEnergyConsumption, else power over time",
    ),
    of_card(
        "energy_integrated",
        "bool",
        "1 when the energy is integrated here from power, since the card has no counter.",
    ),
    of_card("clock_hertz", "hertz", "Current clock.", "clock", by="DeviceGetClockInfo"),
    of_card("clock_max_hertz", "hertz", "Highest clock of the card.", "clock", by="DeviceGetMaxClockInfo"),
    of_card(
        "fan_speed_ratio",
        "ratio",
        "Fan speed asked for, over the fan's maximum.",
        "fan",
        by="DeviceGetFanSpeed_v2",
        cards="with fans of their own",
    ),
    of_card(
        "fan_stopped",
        "bool",
        "1 while a fan is asked to stand still although the core is at 70 degrees or more.",
        "fan",
        by="the speed asked for and the temperature",
        cards="with fans of their own",
    ),
    of_card(
        "throttled",
        "bool",
        "1 while the clock is held down for this reason.",
        "reason",
        by="DeviceGetCurrentClocksEventReasons",
    ),
    total_of_card(
        "throttle_seconds_total",
        "seconds",
        "Time in which the clock was held down.",
        "reason",
        by="fields 74-79 and 269-271, else the reasons over time",
    ),
)

GPU_ROWS: tuple[Metric, ...] = (
    *_STATE,
    *_ACTIVITY,
    *_MEMORY,
    *_HEAT_AND_POWER,
    *FAULTS,
    *LINKS,
    *HOLDERS,
    *PEAKS,
    *INSTANCES,
)
