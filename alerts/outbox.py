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

    Mails go through ``mail``, ``workers()`` at a time; ``commands`` are the ways to the settings' commands, by name.
    Both may change; new commands are found by ``resume``.
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
        self._commands = commands
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._chance = chance
        self._woken = asyncio.Event()
        self._changed = asyncio.Event()
        self._pruned_at: float | None = None
        self._mail = self._lane(MAIL, mail, workers)
        self._others = self._lane(other_commands(()), NoSuchCommand())
        self._by_command: dict[str, Lane] = {}
        self._adopt()

    @property
    def misconfigured(self) -> bool:
        """Whether the last attempt to mail failed by our own settings, so that nobody gets anything."""
        return self._mail.misconfigured

    def wake(self) -> None:
        """A message was added: look now. To be called on the event loop."""
        self._woken.set()
        for lane in self._lanes():
            lane.wake()

    def resume(self) -> None:
        """The settings have changed: try at once what failed by them. To be called on the event loop."""
        self._adopt()
        self._changed.set()
        for lane in self._lanes():
            lane.resume()

    async def run(self) -> None:
        """Deliver until cancelled; then what is being sent gets ``grace_seconds`` to end, and the rest stays queued."""
        await self._recover()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._start_lanes(group))
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
        logger.warning("%d mail(s) dropped on request", changed)
        self.wake()  # what waited behind them in their threads can go
        return changed

    def _lane(self, channel: Channel, way: Transport, workers: Callable[[], int] = lambda: _COMMANDS_AT_ONCE) -> Lane:
        return Lane(self._store, channel, way, self.attempts, workers=workers, clock=self._clock, chance=self._chance)

    def _lanes(self) -> list[Lane]:
        return [self._mail, self._others, *self._by_command.values()]

    def _adopt(self) -> None:
        """A command that is new gets a lane; one that is gone keeps its own, which says so of what it has."""
        for name in self._commands:
            if name not in self._by_command:
                self._by_command[name] = self._lane(command_channel(name), self._commands[name])
        self._others.channel = other_commands(self._by_command)

    async def _start_lanes(self, group: asyncio.TaskGroup) -> None:
        started: set[Lane] = set()
        while True:
            self._changed.clear()
            for lane in self._lanes():
                if lane not in started:
                    started.add(lane)
                    group.create_task(lane.run(self._grace_seconds))
            await self._changed.wait()

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
