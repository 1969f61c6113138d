"""XID errors as the driver reports them, on a thread of their own and counted here.

- Counts live outside the cards' readings: what happened while a card could not be read, or what took it off the bus,
  must be on the page all the same.
- Each card has an event set of its own, so a lost card, which ends its set, costs no other card an event. A set ends
  with the driver too; then a new one is made.
- The wait has no time-out, since a wait in the library would hold up the driver's shutdown; on Linux the driver keeps
  every event until it is fetched, so nothing is missed between two looks.
- A card that refuses to report is left out; under WSL that is every card.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from exporter.sources.nvml.device import Device
from exporter.sources.nvml.driver import Driver
from exporter.sources.nvml.errors import TIMEOUT, GpuLostError, NotAvailableError, NvmlError
from exporter.sources.nvml.gate import Gate, GateClosedError
from exporter.sources.nvml.xid import ALWAYS_SHOWN, class_of
from exporter.sources.reader import Part, SourceError

logger = logging.getLogger(__name__)

_XID_CRITICAL_ERROR = 0x8
_MOST_AT_ONCE = 1000
_MOST_NUMBERS = 256

Counts = Mapping[tuple[str, ...], float]


class XidLog:
    """How often each XID came and when last, by card; safe to share between threads, bounded in memory."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._counts: dict[str, dict[tuple[str, ...], float]] = {}
        self._last: dict[str, dict[tuple[str, ...], float]] = {}

    def watched(self, uuid: str) -> None:
        """From now on errors of this card are counted."""
        with self._lock:
            self._counts.setdefault(uuid, {_labels(xid): 0.0 for xid in ALWAYS_SHOWN})

    def add(self, uuid: str, xid: int) -> bool:
        """Count one error; True when it is the first of its number on this card."""
        with self._lock:
            counts = self._counts.setdefault(uuid, {})
            labels = _labels(xid)
            first = not counts.get(labels)
            if labels in counts or len(counts) < _MOST_NUMBERS:
                counts[labels] = counts.get(labels, 0.0) + 1
                self._last.setdefault(uuid, {})[labels] = self._wall()
            return first

    def of(self, uuid: str) -> dict[str, Counts]:
        """Attributes for the card's ``Gpu``; nothing for a card that does not report."""
        with self._lock:
            counts, last = self._counts.get(uuid), self._last.get(uuid, {})
            if counts is None:
                return {}
            return {
                "xid_errors_total": MappingProxyType(dict(counts)),
                "xid_last_timestamp_seconds": MappingProxyType(dict(last)),
            }


class EventReader:
    """The sampler's reader for the driver's events."""

    source = "nvml/events"

    def __init__(self, driver: Driver, gate: Gate, log: XidLog) -> None:
        self._driver = driver
        self._gate = gate
        self._log = log
        self._lock = threading.Lock()
        self._arrived: dict[str, Device] = {}
        self._returned: dict[str, Device] = {}
        self._stale = False
        self._sets: dict[str, Any] = {}

    def watch(self, cards: Mapping[str, Device], *, restarted: bool) -> None:
        """Report on these cards too, by UUID; after a restart of the driver the earlier event sets are gone."""
        with self._lock:
            self._arrived |= cards
            self._stale = self._stale or restarted

    def returned(self, uuid: str, device: Device) -> None:
        """A card that was lost answers again under this handle; the set that it had may be deaf."""
        with self._lock:
            self._returned[uuid] = device

    def read(self) -> Part:
        """Fetch what has happened.

        Raises:
            SourceError: the driver is not there to be asked.
        """
        try:
            with self._gate.passage():
                self._register()
                for uuid, events in tuple(self._sets.items()):
                    self._fetch_all(uuid, events)
        except GateClosedError as closed:
            raise SourceError(closed.reason, Part(), quiet=True) from None
        except NvmlError as error:
            error.part = Part()
            raise
        return Part()

    def _register(self) -> None:
        with self._lock:
            arrived, self._arrived = self._arrived, {}
            returned, self._returned = self._returned, {}
            if self._stale:
                self._sets, self._stale = {}, False
        for uuid in returned.keys() & self._sets.keys():
            self._driver.free_event_set(self._sets.pop(uuid))
        for uuid, device in {**arrived, **returned}.items():
            if uuid not in self._sets:
                self._add(uuid, device)

    def _add(self, uuid: str, device: Device) -> None:
        events: Any = None
        try:
            events = self._driver.make_event_set()
            device.registers(_XID_CRITICAL_ERROR, events)
        except (NotAvailableError, GpuLostError) as error:
            logger.info("nvml: no XID errors of %s: %s", uuid, error)
            if events is not None:
                self._driver.free_event_set(events)
            return
        self._sets[uuid] = events
        self._log.watched(uuid)

    def _fetch_all(self, uuid: str, events: Any) -> None:
        try:
            for _ in range(_MOST_AT_ONCE):
                self._take(uuid, *self._driver.next_event(events, 0))
        except GpuLostError:
            del self._sets[uuid]
            self._driver.free_event_set(events)
        except NvmlError as error:
            if error.code != TIMEOUT:
                raise

    def _take(self, uuid: str, kind: int, xid: int) -> None:
        if kind == _XID_CRITICAL_ERROR:
            level = logging.WARNING if self._log.add(uuid, xid) else logging.DEBUG
            logger.log(level, "nvml: XID %d (%s) on %s", xid, class_of(xid), uuid)


def _labels(xid: int) -> tuple[str, ...]:
    return str(xid), class_of(xid)
