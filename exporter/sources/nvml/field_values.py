"""What one call of ``nvmlDeviceGetFieldValues`` brings: many readings, each with a return code of its own.

A row is asked for by the first of its ids that the card answers. An id that the card or driver does not know
(not supported, and here invalid argument too, which older drivers answer to ids that came after them) gives place to
the next; when none is left, the row is not asked for again until the driver has been restarted.
"""

from collections.abc import Callable
from typing import NamedTuple

from exporter.sources.nvml.device import Device
from exporter.sources.nvml.errors import INVALID_ARGUMENT, SUCCESS, NotAvailableError, error_for
from exporter.sources.nvml.ranges import celsius, count, flag, kibibytes, nanoseconds, total
from exporter.sources.nvml.support import Support, Value

_ALL_LINKS = 0xFFFFFFFF

Checked = Callable[[float], float | None]


class Id(NamedTuple):
    """An ``NVML_FI_*`` number with its scope, and how its value becomes a reading."""

    number: int
    checked: Checked
    scope: int = 0


class Row(NamedTuple):
    """One attribute of ``Gpu`` and the ids that supply it, best first."""

    name: str
    attribute: str
    ids: tuple[Id, ...]
    label: str = ""


def _row(name: str, attribute: str, number: int, checked: Checked, label: str = "") -> Row:
    return Row(name, attribute, (Id(number, checked),), label)


_THROTTLE_COUNTERS = {
    "sw_power_cap": 74,
    "sync_boost": 76,
    "board_limit": 77,
    "reliability": 79,
    "sw_thermal": 269,
    "hw_thermal": 270,
    "hw_power_brake": 271,
}
_NVLINK_ERRORS = {"crc_flit": 38, "crc_data": 45, "replay": 52, "recovery": 59}

ROWS: tuple[Row, ...] = (
    _row("ECC mode", "ecc_enabled", 1, flag),
    _row("corrected errors", "ecc_errors_total", 3, total, "corrected"),
    _row("uncorrected errors", "ecc_errors_total", 4, total, "uncorrected"),
    _row("corrected lifetime errors", "ecc_lifetime_errors_total", 5, total, "corrected"),
    _row("uncorrected lifetime errors", "ecc_lifetime_errors_total", 6, total, "uncorrected"),
    _row("pages retired after single-bit errors", "retired_pages", 29, count, "single_bit"),
    _row("pages retired after double-bit errors", "retired_pages", 30, count, "double_bit"),
    _row("pending page retirement", "retired_pages_pending", 31, flag),
    _row("memory temperature", "memory_temperature_celsius", 82, celsius),
    _row("PCIe replays", "pcie_replays_total", 94, count),
    _row("rows remapped after corrected errors", "remapped_rows", 142, count, "correctable"),
    _row("rows remapped after uncorrected errors", "remapped_rows", 143, count, "uncorrectable"),
    _row("pending row remapping", "row_remap_pending", 144, flag),
    _row("failed row remapping", "row_remap_failed", 145, flag),
    _row("PCIe bytes sent", "pcie_transmitted_bytes_total", 197, total),
    _row("PCIe bytes received", "pcie_received_bytes_total", 198, total),
    Row("NVLink bytes sent", "nvlink_transmitted_bytes_total", (Id(138, kibibytes, _ALL_LINKS), Id(202, total))),
    Row("NVLink bytes received", "nvlink_received_bytes_total", (Id(139, kibibytes, _ALL_LINKS), Id(204, total))),
    *(
        _row(f"NVLink {error} errors", "nvlink_errors_total", number, total, error)
        for error, number in _NVLINK_ERRORS.items()
    ),
    *(
        _row(f"time throttled for {reason}", "throttle_seconds_total", number, nanoseconds, reason)
        for reason, number in _THROTTLE_COUNTERS.items()
    ),
)


class FieldValues:
    """The rows that one card still answers, asked in one call; used by one thread."""

    def __init__(self, support: Support, rows: tuple[Row, ...] = ROWS) -> None:
        self._support = support
        self._asked = [(row, 0) for row in rows]

    def read(self, device: Device) -> tuple[Value, ...] | None:
        """All values; empty when the card supports none, None when the call as a whole failed only now.

        Raises:
            NvmlError: the card or the driver has gone.
        """
        if not self._asked:
            return ()
        ids = [row.ids[way] for row, way in self._asked]
        try:
            answers = device.field_values([(asked.number, asked.scope) for asked in ids])
        except NotAvailableError as error:
            if self._support.settles("field values", error):
                self._asked.clear()
                return ()
            return None
        found: list[Value] = []
        left: list[tuple[Row, int]] = []
        for (row, way), asked, (code, number) in zip(self._asked, ids, answers, strict=True):
            if code == SUCCESS:
                found.append(Value(row.attribute, asked.checked(number), row.label))
                left.append((row, way))
            else:
                left.extend(self._next(row, way, code))
        self._asked = left
        return tuple(found)

    def _next(self, row: Row, way: int, code: int) -> list[tuple[Row, int]]:
        error = error_for(f"field {row.ids[way].number}", code)
        if not isinstance(error, NotAvailableError):
            raise error
        if not error.settled and code != INVALID_ARGUMENT:
            self._support.settles(row.name, error)
            return [(row, way)]
        if way + 1 < len(row.ids):
            return [(row, way + 1)]
        self._support.give_up(row.name)
        return []
