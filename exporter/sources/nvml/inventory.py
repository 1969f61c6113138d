"""Which cards the driver shows now; a card that cannot be opened costs only itself."""

import logging
from dataclasses import dataclass

from exporter.processes.labels import clean_label
from exporter.sources.nvml.device import Device
from exporter.sources.nvml.driver import Driver
from exporter.sources.nvml.errors import DriverGoneError, NvmlError

logger = logging.getLogger(__name__)

_MAX_CARDS = 256


@dataclass(frozen=True, slots=True)
class Inventory:
    """``found`` is by UUID: the index as a label, and the handle. ``versions`` are the driver's keys of ``Gpu.info``.

    ``unknown`` are indices that gave no handle, with the reason.
    """

    count: int
    found: dict[str, tuple[str, Device]]
    unknown: dict[int, str]
    versions: dict[str, str]


def take_inventory(driver: Driver) -> Inventory:
    """Ask for every card.

    Raises:
        NvmlError: the driver does not count, or answers for no card because it has gone.
    """
    versions = _versions(driver)
    count = min(driver.card_count(), _MAX_CARDS)
    found: dict[str, tuple[str, Device]] = {}
    unknown: dict[int, str] = {}
    gone: DriverGoneError | None = None
    for position in range(count):
        try:
            device = Device(driver, driver.card_at(position))
            found.setdefault(device.uuid(), (str(position), device))
        except NvmlError as error:
            unknown[position] = str(error)
            gone = error if isinstance(error, DriverGoneError) else gone
    if gone is not None and not found:
        raise gone
    return Inventory(count, found, unknown, versions)


def _versions(driver: Driver) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, ask in (("driver_version", driver.driver_version), ("cuda_version", driver.cuda_version)):
        try:
            found[key] = clean_label(ask())
        except NvmlError as error:
            logger.info("nvml: no %s: %s", key, error)
    return found
