"""One card under one handle: what it has turned out to support, what hardly ever changes, and a whole reading.

A ``Card`` is thrown away with its handle. What hardly ever changes (temperature limits, highest clocks) is read once a
minute, to ask the device no more than needed. One of these that fails for now keeps its earlier value and is asked for
again with the next reading: the margin to the slowdown limit must not vanish for a minute.
"""

import logging
from itertools import chain
from typing import Any

from exporter.accumulators import Accumulators
from exporter.processes.holders import Holders
from exporter.processes.labels import clean_label
from exporter.sources.nvml.activity import OCCUPANCY, Activity, parts_of
from exporter.sources.nvml.buffers import SampleBuffers
from exporter.sources.nvml.device import Device
from exporter.sources.nvml.driver import Driver
from exporter.sources.nvml.errors import GPU_IS_LOST, GpuLostError, NotAvailableError
from exporter.sources.nvml.field_values import FieldValues
from exporter.sources.nvml.fields import CHANGING, FIXED, attributes, read_values
from exporter.sources.nvml.mig import Instances
from exporter.sources.nvml.processes import ProcessReader
from exporter.sources.nvml.support import Support, Value

logger = logging.getLogger(__name__)

_FIXED_EVERY = 60.0


class Card:
    """Used by one thread at a time."""

    def __init__(self, source: str, device: Device, driver: Driver, holders: Holders, memory: Accumulators) -> None:
        self._source = source
        self._device = device
        self._driver = driver
        self._processes = ProcessReader(driver, holders)
        self._memory = memory
        self._begin()
        self._description: dict[str, str] | None = None

    def _begin(self) -> None:
        """Nothing has been asked yet; again so when the card is divided or put together, which changes what it can."""
        self._support = Support(self._source)
        self._by_id = FieldValues(self._support)
        self._buffers = SampleBuffers(self._support)
        self._activity = Activity(self._driver, self._device)
        self._instances = Instances(self._source, self._driver, self._device)
        self._divided: float | None = None
        self._fixed: dict[str, tuple[Value, ...]] = {}
        self._fixed_due: dict[str, float] = {}

    def close(self) -> None:
        """Give back what the driver lent; only while the driver that the handle came from is up."""
        self._activity.close()
        self._instances.close()

    def read(self, now: float) -> dict[str, Any]:
        """Everything there is to know at ``now`` (monotonic seconds), as keyword arguments for ``Gpu``.

        Raises:
            GpuLostError: the card has gone, or every question failed for now, as in a container that has lost its
                device and hears "unknown error" to everything.
            NvmlError: the driver has gone.
        """
        found = self._whole_card(now)
        if self._divided not in (None, found.get("mig_enabled")):
            self.close()
            self._begin()
            found = self._whole_card(now)
        self._divided = found.get("mig_enabled")
        if self._divided:
            found |= self._instances.read(now)
        found |= self._processes.read(self._device, self._support, found, now)
        found |= self._memory.update(found, self._buffers.highest(self._device, now), now)
        self._support.tell()
        return found

    def _whole_card(self, now: float) -> dict[str, Any]:
        self._read_fixed(now)
        values, failed = read_values(CHANGING, self._device, self._support)
        by_id = self._by_id.read(self._device)
        if failed and not any(values.values()) and not by_id:
            message = f"the card answers no question: {self._support.failure}"
            raise GpuLostError(message, GPU_IS_LOST)
        found = attributes(chain(*self._fixed.values(), *values.values(), by_id or ()))
        ratios = self._support.attempt("activity", self._activity.read) or {}
        if OCCUPANCY in ratios:
            found |= {"activity_ratio": parts_of(ratios), "sm_occupancy_ratio": ratios[OCCUPANCY]}
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
