"""The driver's life: start it, find the cards, notice that it has gone, start it again.

The session is a reader like any other, with the source name "nvml": each of its readings is one step, and its health
is the driver's. Starting may hang in the driver; then only the session's own thread does.

- No driver: said once, and tried again with a pause that doubles up to ``retry_limit`` seconds.
- Cards report that the driver has gone, and verdict.py agrees: it is shut down and started again, and every card gets
  a new handle. Not while a call is still inside the library: shutting down under it is unsafe, and starting without
  having shut down changes nothing.
- ``needs_restart`` is set when only a new process can go on: the library was replaced under us (a driver upgrade; the
  old one stays loaded for good), or the driver has been gone for ``stuck`` seconds and a call still hangs in it. A
  process that has never seen the driver well does not ask for this: the new one would meet the same state.
- Cards that come and go are found by counting them from time to time; roster.py remembers them. A card whose handle
  cannot be had is unknown: it has no series of its own and costs no other card; the session's detail names it.
"""

import logging
import threading
import time
from collections.abc import Callable

from exporter.accumulators import Accumulators
from exporter.known_cards import KnownCards
from exporter.processes.holders import Holders
from exporter.sampler import Sampler
from exporter.sources.nvml.card import Card
from exporter.sources.nvml.device import Device
from exporter.sources.nvml.driver import Driver
from exporter.sources.nvml.errors import GPU_IS_LOST, DriverGoneError, GpuLostError, LibraryMismatchError
from exporter.sources.nvml.events import EventReader, XidLog
from exporter.sources.nvml.gate import Backoff, Gate
from exporter.sources.nvml.inventory import Inventory, take_inventory
from exporter.sources.nvml.roster import Roster
from exporter.sources.nvml.verdict import verdict
from exporter.sources.nvml.worker import CardWorker, Ways, deadline_for
from exporter.sources.reader import Part, SourceError

logger = logging.getLogger(__name__)

_DRAIN = 1.0
_LONGEST_WITHOUT_EVENTS = 1.0


class NvmlSession:
    """Adds itself and one reader per card to the sampler; ``start`` and ``stop`` are called by the main program."""

    source = "nvml"

    def __init__(
        self,
        sampler: Sampler,
        *,
        holders: Holders | None = None,
        known: KnownCards | None = None,
        expected: int | None = None,
        retry_limit: float = 10.0,
        recount: float = 10.0,
        stuck: float = 60.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.needs_restart = threading.Event()
        self._sampler = sampler
        self._driver = Driver()
        self._gate = Gate("the driver has not been started yet")
        self._holders = holders or Holders()
        self._xids = XidLog()
        self._events = EventReader(self._driver, self._gate, self._xids)
        self._retry_limit = retry_limit
        self._recount_every = recount
        self._stuck = stuck
        self._monotonic = monotonic
        self._backoff = Backoff(1.0, retry_limit)
        self._step = threading.Lock()
        self._roster = Roster(sampler, self._worker, known or KnownCards(None), expected)
        self._running = False
        self._seen_well = False
        self._error: SourceError | None = None
        self._gone_at: float | None = None
        self._started_at = self._counted_at = self._remember_due = float("-inf")
        self._count = 0
        self._unknown: dict[int, str] = {}

    def start(self) -> None:
        """Begin, in a thread of the sampler."""
        # The remembered cards first: from the next line on, the roster is the session's own thread's.
        self._roster.list_new()
        self._sampler.add(self)

    def stop(self, timeout: float) -> bool:
        """Let no card be read any more and shut the driver down; False when a call was still in it."""
        deadline = time.monotonic() + timeout
        self._sampler.remove(self.source)
        self._close()
        # Taken for good: no further step is made. One that was under way may have opened the gate and added cards.
        if not self._step.acquire(timeout=timeout):
            return False
        self._close()
        self._roster.remember()
        if not self._gate.drained(max(0.0, deadline - time.monotonic())):
            return False
        last = threading.Thread(target=self._driver.shutdown, name="nvml shutdown", daemon=True)
        last.start()
        last.join(max(0.0, deadline - time.monotonic()))
        return not last.is_alive()

    def _close(self) -> None:
        self._gate.close("the exporter is stopping")
        self._sampler.remove(self._events.source)
        self._roster.close()

    def read(self) -> Part:
        """One step; the cards themselves are read by their own readers.

        Raises:
            SourceError: the driver is not there, or shows no card, and some card is expected.
        """
        if not self._step.acquire(blocking=False):
            message = "the exporter is stopping"
            raise SourceError(message, quiet=True)
        try:
            self._proceed(self._monotonic())
            self._check_count()
        except SourceError as error:
            expected = self._roster.expected
            if expected == 0:  # as somebody has set it: then nothing is missing
                return Part(detail=str(error), gpus_expected=0)
            error.part = Part(gpus_expected=expected)
            raise
        finally:
            self._step.release()
        return Part(detail=self._unopened(), gpus_expected=self._roster.expected)

    def _check_count(self) -> None:
        if self._count == 0:
            message = "the driver shows no GPU"
            raise SourceError(message)
        if len(self._unknown) == self._count:
            message = f"no GPU can be opened: {next(iter(self._unknown.values()))}"
            raise SourceError(message)

    def _unopened(self) -> str:
        return "; ".join(
            f"GPU {position} of {self._count} cannot be opened: {text}" for position, text in self._unknown.items()
        )

    def _proceed(self, now: float) -> None:
        if now >= self._remember_due:
            self._remember_due = now + self._recount_every
            self._roster.remember()
        if self._running:
            self._judge(now)
        if not self._running:
            self._begin(now)
        elif now - self._counted_at >= self._recount_every:
            try:
                self._recount(now)
            except DriverGoneError as error:
                self._end(error)
                raise

    def _judge(self, now: float) -> None:
        cards = self._roster.workers
        outcome = verdict(now, [card.standing for card in cards], 2 * self._sampler.interval)
        for number in outcome.only_lost:
            cards[number].detach(GpuLostError("the driver does not find the card", GPU_IS_LOST))
        if outcome.restart:
            self._end(SourceError("the driver has gone"))
        elif any((card.succeeded_at or self._started_at) > self._started_at for card in cards):
            self._backoff.reset()

    def _end(self, error: SourceError) -> None:
        self._running = False
        self._error = error
        self._gone_at = self._gone_at or self._monotonic()
        self._gate.close(str(error))

    def _begin(self, now: float) -> None:
        if not self._backoff.due(now):
            raise SourceError(str(self._error))
        self._backoff.failed(now)
        try:
            self._restart(now)
        except SourceError as error:
            if isinstance(error, LibraryMismatchError) and self._seen_well:
                self.needs_restart.set()
            self._end(error)
            raise
        self._started_at = self._counted_at = self._monotonic()
        self._gone_at = None
        is_first, self._running, self._seen_well = not self._seen_well, True, True
        self.needs_restart.clear()
        self._gate.open()
        if is_first:  # not before: a machine without a driver has no events to miss
            self._sampler.add(self._events, interval=min(self._sampler.interval, _LONGEST_WITHOUT_EVENTS))
        self._roster.list_new()

    def _restart(self, now: float) -> None:
        if not self._gate.drained(_DRAIN):
            if self._seen_well and self._gone_at is not None and now - self._gone_at >= self._stuck:
                self.needs_restart.set()
            message = "the driver has gone, and a call into it has not returned yet"
            raise SourceError(message)
        self._driver.shutdown()
        self._driver.start()
        self._take(take_inventory(self._driver), restarted=True)

    def _recount(self, now: float) -> None:
        self._counted_at = now
        if self._unknown or self._driver.card_count() != self._count:
            self._take(take_inventory(self._driver), restarted=False)
            self._roster.list_new()

    def _take(self, inventory: Inventory, *, restarted: bool) -> None:
        for position, text in inventory.unknown.items():
            if self._unknown.get(position) != text:
                logger.warning("nvml: GPU %d cannot be opened: %s", position, text)
        if restarted or inventory.count != self._count:
            version = inventory.versions.get("driver_version", "of unknown version")
            logger.info("nvml: driver %s shows %d GPUs", version, inventory.count)
        self._unknown = inventory.unknown
        self._count = inventory.count
        self._roster.take(inventory, restarted=restarted)
        self._events.watch({uuid: device for uuid, (_, device) in inventory.found.items()}, restarted=restarted)
        self._remember_due = float("-inf")

    def _worker(self, source: str, uuid: str, memory: Accumulators) -> CardWorker:
        ways = Ways(
            self._found_again,
            lambda source, device: Card(source, device, self._driver, self._holders, memory),
            lambda: self._xids.of(uuid),
        )
        return CardWorker(
            source,
            uuid,
            self._gate,
            ways,
            deadline=deadline_for(self._sampler.interval),
            retry_limit=self._retry_limit,
            monotonic=self._monotonic,
        )

    def _found_again(self, uuid: str) -> Device:
        device = Device(self._driver, self._driver.card_called(uuid))
        self._events.returned(uuid, device)
        return device
