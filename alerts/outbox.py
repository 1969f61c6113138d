"""The last leg: every delivery goes through the lane of its channel, and what a crash left is taken up at the start.

How a lane claims, sends and marks stands in ``lane``, what follows from a failure in ``retries``, whose lane a delivery
is in ``channels``. One transaction per recipient: a bad address costs only its own mail.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from alerts import deliveries
from alerts.attempts import Attempts
from alerts.channels import MAIL, Channel, NoSuchCommand, command_channel, other_commands
from alerts.lane import Lane
from alerts.state_figures import last_accepted
from alerts.store import Store, StoreUnavailableError
from alerts.transport import Transport

logger = logging.getLogger(__name__)

KEEP_ACCEPTED_SECONDS = 30 * 86_400.0
PRUNE_EVERY_SECONDS = 86_400.0
_STORE_RETRY_SECONDS = 5.0
_LOOK_SECONDS = 60.0
_COMMANDS_AT_ONCE = 1
_NONE: Mapping[str, Transport] = MappingProxyType({})


class Outbox:
    """Delivers what the store holds, and notes in ``attempts`` how that goes.

    Mails go through ``mail``, ``workers()`` at a time; ``commands`` are the transports of the settings' commands, by
    name.
    """

    def __init__(
        self,
        store: Store,
        mail: Transport,
        commands: Mapping[str, Transport] = _NONE,
        *,
        workers: Callable[[], int] = lambda: 2,
        grace_seconds: float = 5.0,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.attempts = Attempts()
        self._store = store
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._woken = asyncio.Event()
        self._pruned_at: float | None = None
        ways: list[tuple[Channel, Transport, Callable[[], int]]] = [
            (MAIL, mail, workers),
            *((command_channel(name), command, lambda: _COMMANDS_AT_ONCE) for name, command in commands.items()),
            (other_commands(commands), NoSuchCommand(), lambda: _COMMANDS_AT_ONCE),
        ]
        self._lanes = [
            Lane(store, channel, transport, self.attempts, workers=workers, clock=clock, chance=chance)
            for channel, transport, workers in ways
        ]

    def wake(self) -> None:
        """A message was added: look now. To be called on the event loop."""
        self._woken.set()
        for lane in self._lanes:
            lane.wake()

    def resume(self) -> None:
        """The settings have changed: try at once what failed by them. To be called on the event loop."""
        for lane in self._lanes:
            lane.resume()

    @property
    def misconfigured(self) -> bool:
        """Whether the last attempt at a mail failed by our own settings, so that nobody gets any."""
        return self._lanes[0].misconfigured

    async def run(self) -> None:
        """Deliver until cancelled; then what is being sent gets ``grace_seconds`` to end, and the rest stays queued."""
        await self._recover()
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(lane.run(self._grace_seconds))
            group.create_task(self._prune_daily())

    async def retry(self, ids: Sequence[int] | None) -> int:
        """Try ``ids`` now (None: every dead letter), and end all pauses; how many those are.

        Raises:
            StoreUnavailableError, NoSuchDeliveryError
        """
        changed = await self._store.call(self._store.change, deliveries.retry, ids, self._clock())
        logger.warning("%d mails are tried again on request", changed)
        self.resume()
        return changed

    async def drop(self, ids: Sequence[int] | None) -> int:
        """Drop ``ids`` (None: every dead letter), which nobody will get; how many those are.

        Raises:
            StoreUnavailableError, NoSuchDeliveryError
        """
        changed = await self._store.call(self._store.change, deliveries.drop, ids)
        logger.warning("%d mails were dropped on request", changed)
        self.wake()  # what waited behind them in their threads can go
        return changed

    async def _recover(self) -> None:
        while True:
            try:
                recovered = await self._store.call(self._store.recover)
                self.attempts.accepted_at = await self._store.call(self._store.read, last_accepted)
            except StoreUnavailableError as error:
                logger.error("the outbox cannot be written, trying again: %s", error)  # noqa: TRY400 -- it says it all
                await asyncio.sleep(_STORE_RETRY_SECONDS)
                continue
            if recovered:
                self.attempts.outcomes["ambiguous"] += recovered
                logger.warning("%d mails were being sent when the alerter stopped; sending them again", recovered)
            return

    async def _prune_daily(self) -> None:
        """Once a day, and after the clock was set back: the file must not grow until it is full."""
        while True:
            self._woken.clear()
            await self._prune()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._woken.wait()

    async def _prune(self) -> None:
        now = self._clock()
        if self._pruned_at is not None and 0 <= now - self._pruned_at < PRUNE_EVERY_SECONDS:
            return
        try:
            pruned = await self._store.call(self._store.prune, now - KEEP_ACCEPTED_SECONDS)
        except StoreUnavailableError as error:
            logger.error("old mails cannot be dropped now: %s", error)  # noqa: TRY400 -- the line says it all
            return
        self._pruned_at = now
        logger.debug("dropped %d mails that everybody has had for a month", pruned)
