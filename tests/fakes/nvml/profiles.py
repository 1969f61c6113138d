"""Cards to put into the fake driver: what each answers at rest, and what it does not support.

Shaped like the real ones: a GeForce has no ECC, no serial number, no memory temperature and no NVLink counters; the
data-centre cards have no fan; Hopper gives its limits as a margin to the limit and no longer as temperatures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.fakes.nvml.table import ABSENT, FIELDS

_MIB = 2**20
_THRESHOLDS = 8
_ECC_CALLS = ("nvmlDeviceGetEccMode", "nvmlDeviceGetTotalEccErrors", "nvmlDeviceGetRemappedRows")
_ECC_FIELDS = (1, 3, 4, 5, 6, 142, 143, 144, 145)
_RETIRED_FIELDS = (29, 30, 31)
_MARGIN_FIELDS = (193, 194, 195, 196)
_NVLINK_FIELDS = (38, 45, 52, 59, 138, 139, 202, 204)
_LISTS = ("Compute", "Graphics", "MPSCompute")
_FAN_CALLS = ("nvmlDeviceGetNumFans", "nvmlDeviceGetFanSpeed", "nvmlDeviceGetFanSpeed_v2")


@dataclass(frozen=True, slots=True)
class Profile:
    """A card: values of the table at rest, calls and field ids that answer NOT_SUPPORTED."""

    values: Mapping[str, object]
    unsupported: frozenset[str] = field(default_factory=frozenset)
    unsupported_fields: frozenset[int] = field(default_factory=frozenset)


def _thresholds(shutdown: int, slowdown: int, gpu: int, memory: int = ABSENT) -> list[int]:
    return [shutdown, slowdown, memory, gpu, *([ABSENT] * (_THRESHOLDS - 4))]


def _geforce_thresholds(shutdown: int, slowdown: int, gpu: int) -> list[int]:
    """With the temperature that the fans aim at: lowest, current, highest setting."""
    return [shutdown, slowdown, ABSENT, gpu, 65, 83, gpu, ABSENT]


def _power(watts: int, lowest: int, highest: int, drawn: int) -> dict[str, object]:
    return {
        "power_limit": watts * 1000,
        "power_limit_enforced": watts * 1000,
        "power_limit_default": watts * 1000,
        "power_limit_constraints": [lowest * 1000, highest * 1000],
        "power_usage": drawn * 1000,
        "power_average": drawn * 1000,
    }


def _memory(total_mib: int, reserved_mib: int) -> dict[str, object]:
    return {"memory_total": total_mib * _MIB, "memory_reserved": reserved_mib * _MIB, "memory_used": 0}


_AT_REST: dict[str, object] = {
    "performance_state": 8,
    "temperature": 38,
    "energy": 5_000_000,
    "clocks": [210, 210, 405, 555],
    "clocks_event_reasons": 0x1,
    "clocks_event_reasons_supported": 0x1FF,
    "encoder": [0, 167_000],
    "decoder": [0, 167_000],
    "pcie_link_width": 16,
    "pcie_link_width_max": 16,
    "event_types": 0x8 | 0x4 | 0x10,
}


def _geforce(fans: int, **values: object) -> Profile:
    return Profile(
        {
            **_AT_REST,
            "brand": 5,
            "fans": fans,
            "fan_speeds": [30] * fans,
            "vbios_version": "94.06.25.00.F1",
            "pcie_link_generation": 1,
            **values,
        },
        frozenset({*_ECC_CALLS, "nvmlDeviceGetMigMode", "nvmlDeviceGetSerial", "nvmlDeviceGetMarginTemperature"}),
        frozenset({82, *_ECC_FIELDS, *_RETIRED_FIELDS, *_MARGIN_FIELDS, *_NVLINK_FIELDS}),
    )


def _turing(**values: object) -> Profile:
    """Before Ampere, power is not averaged and PCIe bytes are not counted."""
    card = _geforce(1, architecture=6, pcie_link_generation_max=3, **values)
    return Profile(card.values, card.unsupported, card.unsupported_fields | {185, 186, 197, 198})


def _wsl() -> Profile:
    """Under the Windows driver: no process lists, no fans, no events, no counters, no limits but the power's."""
    card = _geforce(
        0,
        name="NVIDIA GeForce RTX 3060",
        architecture=7,
        pci_device_id=0x250310DE,
        pcie_link_generation_max=4,
        max_clocks=[2130, 2130, 7501, 1950],
        temperature_thresholds=[ABSENT] * _THRESHOLDS,
        **_memory(12_288, 236),
        **_power(170, 100, 212, 15),
    )
    lists = (f"nvmlDeviceGet{kind}RunningProcesses_v{version}" for kind in _LISTS for version in (2, 3))
    missing = {
        *(*_FAN_CALLS, *lists, "nvmlDeviceRegisterEvents", "nvmlDeviceGetSupportedEventTypes"),
        *("nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetProcessUtilization", "nvmlDeviceGetSamples"),
        *("nvmlDeviceGetComputeMode", "nvmlDeviceGetPcieThroughput"),
    }
    return Profile(card.values, card.unsupported | missing, frozenset(field.id for field in FIELDS))


def _gb10() -> Profile:
    """A chip that shares the host's memory: no memory of its own to speak of, no limits, no fans, no PCIe link."""
    card = _geforce(
        0,
        name="NVIDIA GB10",
        architecture=10,
        pci_device_id=0x2E1210DE,
        pcie_link_generation_max=1,
        max_clocks=[3003, 3003, 8533, 2900],
        temperature_thresholds=[ABSENT] * _THRESHOLDS,
        temperature_margin=50,
        **_memory(1, 0),
        **_power(140, 100, 140, 5),
    )
    missing = {
        *(*_FAN_CALLS, "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetMemoryInfo_v2"),
        *("nvmlDeviceGetCurrPcieLinkWidth", "nvmlDeviceGetMaxPcieLinkWidth"),
    }
    unsupported = (card.unsupported | missing) - {"nvmlDeviceGetMarginTemperature"}
    return Profile(card.values, unsupported, card.unsupported_fields | {94, 185, 186, 197, 198})


PROFILES: dict[str, Profile] = {
    "gtx-1660-super": _turing(
        name="NVIDIA GeForce GTX 1660 SUPER",
        pci_device_id=0x21C410DE,
        max_clocks=[2130, 2130, 7001, 1950],
        temperature_thresholds=_geforce_thresholds(96, 93, 91),
        **_memory(6144, 233),
        **_power(125, 70, 140, 12),
    ),
    "rtx-2060": _turing(
        name="NVIDIA GeForce RTX 2060",
        pci_device_id=0x1F0810DE,
        max_clocks=[2100, 2100, 7001, 1950],
        temperature_thresholds=_geforce_thresholds(97, 94, 88),
        **_memory(6144, 234),
        **_power(160, 125, 190, 14),
    ),
    "rtx-3060": _geforce(
        2,
        name="NVIDIA GeForce RTX 3060",
        architecture=7,
        pci_device_id=0x250310DE,
        pcie_link_generation_max=4,
        max_clocks=[2130, 2130, 7501, 1950],
        temperature_thresholds=_geforce_thresholds(98, 95, 93),
        **_memory(12_288, 236),
        **_power(170, 100, 212, 15),
    ),
    "rtx-3090": _geforce(
        2,
        name="NVIDIA GeForce RTX 3090",
        architecture=7,
        pci_device_id=0x220410DE,
        pcie_link_generation_max=4,
        max_clocks=[2100, 2100, 9751, 1950],
        temperature_thresholds=_geforce_thresholds(98, 95, 93),
        **_memory(24_576, 315),
        **_power(350, 100, 400, 28),
    ),
    "a100-40gb": Profile(
        {
            **_AT_REST,
            **_memory(40_960, 557),
            **_power(250, 150, 250, 35),
            "name": "NVIDIA A100-PCIE-40GB",
            "brand": 14,
            "architecture": 7,
            "persistence_mode": 1,
            "performance_state": 0,
            "pci_device_id": 0x20F110DE,
            "vbios_version": "92.00.25.00.08",
            "temperature": 33,
            "memory_temperature": 36,
            "temperature_thresholds": _thresholds(92, 89, 85, memory=95),
            "max_clocks": [1410, 1410, 1215, 1290],
            "pcie_link_generation": 4,
            "pcie_link_generation_max": 4,
            "ecc_mode": [1, 1],
            "event_types": 0x1F,
        },
        frozenset({*_FAN_CALLS, "nvmlDeviceGetMarginTemperature"}),
        frozenset({185, *_RETIRED_FIELDS, *_MARGIN_FIELDS}),
    ),
    "h100-80gb": Profile(
        {
            **_AT_REST,
            **_memory(81_559, 551),
            **_power(350, 200, 350, 45),
            "name": "NVIDIA H100 PCIe",
            "brand": 14,
            "architecture": 9,
            "persistence_mode": 1,
            "performance_state": 0,
            "pci_device_id": 0x233110DE,
            "vbios_version": "96.00.30.00.01",
            "temperature": 33,
            "temperature_margin": 54,
            "temperature_margin_limits": [-8, -2, 0, 0],
            "memory_temperature": 41,
            "temperature_thresholds": [ABSENT] * _THRESHOLDS,
            "max_clocks": [1755, 1755, 1593, 1575],
            "pcie_link_generation": 5,
            "pcie_link_generation_max": 5,
            "ecc_mode": [1, 1],
            "event_types": 0x1F,
            "gpm_supported": 1,
        },
        frozenset({*_FAN_CALLS, "nvmlDeviceGetPcieThroughput"}),
        frozenset(_RETIRED_FIELDS),
    ),
    # As read from a card under driver 580.159.04: limits as temperatures too; a virtual machine without NVLink.
    "h100-sxm-80gb": Profile(
        {
            **_AT_REST,
            **_memory(81_559, 480),
            **_power(700, 200, 700, 73),
            "name": "NVIDIA H100 80GB HBM3",
            "brand": 14,
            "architecture": 9,
            "persistence_mode": 1,
            "performance_state": 0,
            "pci_device_id": 0x233010DE,
            "vbios_version": "96.00.DA.00.0C",
            "temperature": 33,
            "temperature_margin": 54,
            "temperature_margin_limits": [-8, -2, 0, 0],
            "memory_temperature": 37,
            "temperature_thresholds": _thresholds(95, 89, 87, memory=95),
            "clocks": [345, 345, 2619, 765],
            "max_clocks": [1980, 1980, 2619, 1545],
            "pcie_link_generation": 5,
            "pcie_link_generation_max": 5,
            "ecc_mode": [1, 1],
            "event_types": 0x1F,
            "gpm_supported": 1,
        },
        frozenset({*_FAN_CALLS, "nvmlDeviceGetPcieThroughput"}),
        frozenset({*_RETIRED_FIELDS, *_NVLINK_FIELDS}),
    ),
    "rtx-3060-wsl": _wsl(),
    "gb10": _gb10(),
}
