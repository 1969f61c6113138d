"""One card's worker: gets the card back by itself after it was lost.

The worker lives as long as the session knows the card, through losses and driver restarts; only its handle changes.
So a call that hangs is the card's only call: nothing is asked beside it, and when it returns the worker goes on.
A lost card is looked up again by its UUID, with a pause that doubles. A reading that took longer than the deadline is
thrown away: its first values are as old as it took, and the page would show them as fresh ones.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from exporter.processes.labels import clean_label
from exporter.snapshot import Gpu
from exporter.sources.nvml.card import Card
from exporter.sources.nvml.device import Device
from exporter.sources.nvml.errors import GPU_IS_LOST, DriverGoneError, GpuLostError, NotAvailableError, NvmlError
from exporter.sources.nvml.gate import Backoff, Gate, GateClosedError
from exporter.sources.nvml.verdict import Standing
from exporter.sources.reader import Part, SourceError

_INTERVALS_TO_READ = 2
_GRACE_SECONDS = 0.25
_LONGEST_DEADLINE = 10.0


def deadline_for(interval: float) -> float:
    """How long a reading may take when a card is read every ``interval`` seconds.

    As long as the page shows a reading (exporter/page.py), but never so long that a person would be misled.
    """
    return min(_INTERVALS_TO_READ * interval + _GRACE_SECONDS, _LONGEST_DEADLINE)


@dataclass(frozen=True, slots=True)
class Ways:
    """To a card: ``look_up`` finds it again by its UUID, ``card`` makes a ``Card`` of its source's name and a handle.

    ``reported`` are the attributes of ``Gpu`` that stand even when the card cannot be read.
    """

    look_up: Callable[[str], Device]
    card: Callable[[str, Device], Card]
    reported: Callable[[], Mapping[str, Any]] = dict[str, Any]


class CardWorker:
    """The sampler's reader for the card with this UUID.

    ``succeeded_at`` is when the last good reading began, in monotonic seconds.
    """

    def __init__(
        self,
        source: str,
        uuid: str,
        gate: Gate,
        ways: Ways,
        *,
        deadline: float,
        retry_limit: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source
        self.index = ""
        self.succeeded_at: float | None = None
        self._driver_failed_at: float | None = None
        self._uuid = uuid
        self._gate = gate
        self._ways = ways
        self._deadline = deadline
        self._monotonic = monotonic
        self._backoff = Backoff(1.0, retry_limit)
        self._lock = threading.Lock()
        self._card: Card | None = None
        self._lost = GpuLostError("the card has not been found yet", GPU_IS_LOST)
        self._versions: Mapping[str, str] = MappingProxyType({})
        self._info: Mapping[str, str] = MappingProxyType({})

    @property
    def info(self) -> Mapping[str, str]:
        """The card's description as it was last read."""
        return self._info

    @property
    def standing(self) -> Standing:
        """What this card can tell about the driver as a whole."""
        return Standing(self._card is not None, self.succeeded_at, self._driver_failed_at)

    def recall(self, index: str, info: Mapping[str, str]) -> None:
        """Describe a card that has not been read yet as it was last seen."""
        self.index, self._info = clean_label(index), MappingProxyType(dict(info))

    def attach(self, index: str, device: Device, versions: Mapping[str, str], *, restarted: bool) -> None:
        """Tell the card's index of today; hand over a handle if the driver was ``restarted`` or there was none."""
        with self._lock:
            self.index = index
            self._versions = versions
            if restarted or self._card is None:
                self._card = self._ways.card(self.source, device)
                self._driver_failed_at = None

    def detach(self, error: GpuLostError) -> None:
        """Take the handle away: the card has gone from the driver."""
        with self._lock:
            self._drop(error)
            self._driver_failed_at = None

    def absent(self) -> Part:
        """The card as it stands when there is no reading of it."""
        uuid = clean_label(self._uuid)
        lost = Gpu(
            index=self.index,
            uuid=uuid,
            read_at=self._monotonic(),
            up=False,
            info=self._info,
            **self._ways.reported(),
        )
        return Part((lost,))

    def read(self) -> Part:
        """One reading of the whole card.

        Raises:
            SourceError: no reading; its part is the card, not up.
        """
        try:
            with self._gate.passage():
                return self._read()
        except GateClosedError as closed:
            # The session says why the driver is closed; sixteen cards need not say it again.
            raise SourceError(closed.reason, self.absent(), quiet=True) from None
        except NvmlError as error:
            error.part = self.absent()
            raise

    def _read(self) -> Part:
        began = self._monotonic()
        card: Card | None = None
        try:
            card = self._card or self._found_again(began)
            found = card.read(began)
            self._info = MappingProxyType({**self._versions, **card.description()})
        except GpuLostError as error:
            if card is not None:
                # Only here, on the card's own thread and inside the gate: what it gives back may be in use elsewhere.
                card.close()
            with self._lock:
                if card is not None and self._card is card:
                    self._drop(error)
            raise
        except DriverGoneError:
            self._driver_failed_at = self._monotonic()
            raise
        ended = self._monotonic()
        if ended - began > self._deadline:
            message = f"the reading took {ended - began:.1f} s and is too old to be shown"
            raise SourceError(message, self.absent())
        self.succeeded_at = began
        self._backoff.reset()
        found |= self._ways.reported()
        gpu = Gpu(index=self.index, uuid=clean_label(self._uuid), read_at=ended, info=self._info, **found)
        return Part((gpu,))

    def _drop(self, error: GpuLostError) -> None:
        self._card = None
        self._lost = error
        self._backoff.failed(self._monotonic())

    def _found_again(self, now: float) -> Card:
        if not self._backoff.due(now):
            raise self._lost.again()
        try:
            device = self._ways.look_up(self._uuid)
        except (NotAvailableError, GpuLostError) as error:
            lost = GpuLostError(f"the driver does not find the card: {error}", GPU_IS_LOST)
            with self._lock:
                self._drop(lost)
            raise lost from None
        card = self._ways.card(self.source, device)
        with self._lock:
            self._card = card
        return card
