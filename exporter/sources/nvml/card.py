"""One card under one handle: what it has turned out to support, what hardly ever changes, and a whole reading.

A ``Card`` is thrown away with its handle. What hardly ever changes (temperature limits, highest clocks) is read once a
minute, to ask the device no more than needed. One of these that fails for now keeps its earlier value and is asked for
again with the next reading: the margin to the slowdown limit must not vanish for a minute.
"""

import logging
from itertools import chain
from typing import Any

from exporter.processes.holders import Holders
from exporter.processes.labels import clean_label
from exporter.sources.nvml.device import Device
from exporter.sources.nvml.driver import Driver
from exporter.sources.nvml.errors import GPU_IS_LOST, GpuLostError, NotAvailableError
from exporter.sources.nvml.fields import CHANGING, FIXED, attributes, read_values
from exporter.sources.nvml.processes import ProcessReader
from exporter.sources.nvml.support import Support, Value

logger = logging.getLogger(__name__)

_FIXED_EVERY = 60.0


class Card:
    """Used by one thread at a time."""

    def __init__(self, source: str, device: Device, driver: Driver, holders: Holders) -> None:
        self._source = source
        self._device = device
        self._processes = ProcessReader(driver, holders)
        self._support = Support(source)
        self._fixed: dict[str, tuple[Value, ...]] = {}
        self._fixed_due: dict[str, float] = {}
        self._description: dict[str, str] | None = None

    def read(self, now: float) -> dict[str, Any]:
        """Everything there is to know at ``now`` (monotonic seconds), as keyword arguments for ``Gpu``.

        Raises:
            GpuLostError: the card has gone, or every question failed for now, as in a container that has lost its
                device and hears "unknown error" to everything.
            NvmlError: the driver has gone.
        """
        self._read_fixed(now)
        values, failed = read_values(CHANGING, self._device, self._support)
        if failed and not any(values.values()):
            message = f"the card answers no question: {self._support.failure}"
            raise GpuLostError(message, GPU_IS_LOST)
        found = attributes(chain(*self._fixed.values(), *values.values()))
        found |= self._processes.read(self._device, self._support, found, now)
        self._support.tell()
        return found

    def _read_fixed(self, now: float) -> None:
        due = [field for field in FIXED if now >= self._fixed_due.get(field.name, now)]
        values, _ = read_values(due, self._device, self._support)
        self._fixed |= values
        self._fixed_due |= dict.fromkeys(values, now + _FIXED_EVERY)

    def description(self) -> dict[str, str]:
        """The card's part of ``Gpu.info``, asked once."""
        if self._description is None:
            device = self._device
            asked = {"name": device.name, "pci_bus_id": device.bus_id, "vbios_version": device.vbios_version}
            found: dict[str, str] = {}
            for key, ask in asked.items():
                try:
                    found[key] = clean_label(ask())
                except NotAvailableError as error:
                    logger.info("%s: no %s: %s", self._source, key, error)
            self._description = found
        return self._description
