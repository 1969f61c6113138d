"""The driver's own sample buffers: what power and utilization came to between two readings of ours.

The driver samples several times a second whether or not anybody asks. Only the newest sample's time is remembered
from the first reading: what lies before it belongs to nobody's window. A card that idles has an empty buffer, which
the driver calls "not found" and which is no failure.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from exporter.sources.nvml.device import Device
from exporter.sources.nvml.errors import NOT_FOUND, NotAvailableError
from exporter.sources.nvml.ranges import percent, watts
from exporter.sources.nvml.support import Support

_READ_EVERY = 1.0


class Buffer(NamedTuple):
    """An ``nvmlSamplingType_t`` and the attribute of ``Gpu`` that it samples."""

    name: str
    kind: int
    attribute: str
    checked: Callable[[float], float | None]


BUFFERS = (
    Buffer("power samples", 0, "power_watts", watts),
    Buffer("utilization samples", 1, "utilization_ratio", percent),
)


class SampleBuffers:
    """Of one card; used by one thread."""

    def __init__(self, support: Support, wall: Callable[[], float] = time.time) -> None:
        self._support = support
        self._wall = wall
        self._left = list(BUFFERS)
        self._newest: dict[str, int] = {}
        self._due = float("-inf")

    def highest(self, device: Device, now: float) -> dict[str, float]:
        """The highest since the last call by attribute; nothing more often than once a second.

        Raises:
            NvmlError: the card or the driver has gone.
        """
        if now < self._due:
            return {}
        self._due = now + _READ_EVERY
        found: dict[str, float] = {}
        for buffer in tuple(self._left):
            values = self._new(buffer, device)
            if values:
                found[buffer.attribute] = max(values)
        return found

    def _new(self, buffer: Buffer, device: Device) -> list[float]:
        since = self._newest.get(buffer.name)
        if since is not None:
            since = min(since, int(self._wall() * 1e6))
        try:
            samples = device.samples(buffer.kind, since or 0)
        except NotAvailableError as error:
            if error.code == NOT_FOUND:
                self._newest.setdefault(buffer.name, 0)
            elif self._support.settles(buffer.name, error):
                self._left.remove(buffer)
            return []
        # Never ahead of the clock: after it was set back, newer samples have smaller times.
        newest = max((at for at, _ in samples), default=since or 0)
        self._newest[buffer.name] = min(newest, int(self._wall() * 1e6))
        checked = [buffer.checked(value) for _, value in samples] if since is not None else []
        return [value for value in checked if value is not None]
