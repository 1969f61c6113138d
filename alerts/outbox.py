"""The last leg: claim a delivery, send it, mark it after the other side's final word.

- A delivery is marked accepted only on the transport's answer, and is claimed (committed) before the transport hears
  of it. A crash in between sends the same bytes once more; nothing is ever marked first.
- One transaction per recipient: a bad address costs only its own mail.
- What may pass by itself waits, 15 seconds doubling to 15 minutes, for 72 hours. What never can (5xx about this mail)
  becomes a dead letter at once. What is the fault of our settings stops the whole queue between tries, because every
  mail would meet it and servers lock accounts, and counts against nobody until the 72 hours are over.
- When the store cannot take the result, the worker keeps it and tries again: sending more meanwhile would only add
  to what a crash sends twice.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeVar

from alerts.deliveries import Delivery
from alerts.histogram import Histogram
from alerts.state_figures import last_accepted
from alerts.store import Store, StoreUnavailableError
from alerts.transport import CONFIGURATION, Outcome, SendError, Transport
from gpuwarden.catalog import DELIVERY_SECONDS

logger = logging.getLogger(__name__)

R = TypeVar("R")

FIRST_WAIT_SECONDS = 15.0
LONGEST_WAIT_SECONDS = 900.0
EXPIRY_SECONDS = 72 * 3600.0
KEEP_ACCEPTED_SECONDS = 30 * 86_400.0
PRUNE_EVERY_SECONDS = 86_400.0
_JITTER = 0.2
_IDLE_SECONDS = 60.0
_STORE_RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a failed attempt: ``deferred`` until ``next_at`` (Unix seconds), or ``dead``."""

    state: Literal["deferred", "dead"]
    outcome: Outcome
    next_at: float


def judge(reason: Outcome, attempts: int, queued_at: float, now: float, chance: float) -> Verdict:
    """What to do after attempt number ``attempts`` failed for ``reason``; ``chance`` in 0..1 spreads the waits."""
    if reason == "refused":
        return Verdict("dead", "refused", now)
    if now - queued_at >= EXPIRY_SECONDS:
        return Verdict("dead", "expired", now)
    return Verdict("deferred", reason, now + wait_after(attempts, chance))


def wait_after(attempts: int, chance: float) -> float:
    """Seconds until the next attempt, within a fifth of 15 s, 30 s, 60 s ... 15 min."""
    plain = min(FIRST_WAIT_SECONDS * 2.0 ** min(attempts - 1, 16), LONGEST_WAIT_SECONDS)
    return plain * (1 + _JITTER * (2 * chance - 1))


class Outbox:
    """Delivers what the store holds, with ``workers`` at a time; ``outcomes`` counts attempts by how they ended."""

    def __init__(
        self,
        store: Store,
        transport: Transport,
        *,
        workers: int = 2,
        grace_seconds: float = 5.0,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.durations = Histogram(DELIVERY_SECONDS)
        """Seconds from decision to acceptance."""
        self.accepted_at: float | None = None
        """Unix seconds of the last acceptance."""
        self._store = store
        self._transport = transport
        self._workers = workers
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._chance = chance
        self._woken = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._paused_until = 0.0
        self._pruned_at: float | None = None
        self._misfortunes = 0
        """Attempts in a row that failed by our own settings."""

    def wake(self) -> None:
        """A message was added: look now. To be called on the event loop."""
        self._woken.set()

    def resume(self) -> None:
        """The settings have changed: try at once what failed by them. To be called on the event loop."""
        self._paused_until = 0.0
        self.wake()

    @property
    def misconfigured(self) -> bool:
        """Whether the last attempt failed by our own settings, so that nobody gets anything."""
        return self._misfortunes > 0

    async def run(self) -> None:
        """Deliver until cancelled; then what is being sent gets ``grace_seconds`` to end, and the rest stays queued."""
        try:
            await self._begin()
            while True:
                self._woken.clear()
                seconds = await self._fill()
                await self._prune()
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._woken.wait()
        finally:
            await self._wind_up()

    async def _begin(self) -> None:
        recovered = await self._persist(self._store.recover)
        self.accepted_at = await self._persist(lambda: self._store.read(last_accepted))
        if recovered:
            self.outcomes["ambiguous"] += recovered
            logger.warning("%d mails were being sent when the alerter stopped; sending them again", recovered)

    async def _prune(self) -> None:
        """Once a day, and after the clock was set back: the file must not grow until it is full."""
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

    async def _fill(self) -> float:
        """Start as many deliveries as there are free workers; seconds until there may be more to do."""
        now = self._clock()
        if now < self._paused_until <= now + 2 * LONGEST_WAIT_SECONDS:
            return min(self._paused_until - now, _IDLE_SECONDS)
        try:
            while len(self._sending) < self._room():
                delivery = await self._store.call(self._store.claim, now)
                if delivery is None:
                    break
                self._start(delivery)
            due = await self._store.call(self._store.next_due)
        except StoreUnavailableError as error:
            logger.error("the outbox cannot be read, mails wait: %s", error)  # noqa: TRY400 -- the line says it all
            return _STORE_RETRY_SECONDS
        if due is None or len(self._sending) >= self._room():
            return _IDLE_SECONDS
        return min(max(due - now, 0.05), _IDLE_SECONDS)

    def _room(self) -> int:
        """After a failure by our settings one delivery tries the way; the others follow when it got through."""
        return 1 if self._misfortunes else self._workers

    def _start(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._deliver(delivery))
        self._sending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._woken.set()

    async def _deliver(self, delivery: Delivery) -> None:
        letter = delivery.letter
        try:
            reply = await self._transport.send(letter)
        except SendError as error:
            await self._failed(delivery, error.reason, str(error))
            return
        except Exception as error:
            logger.exception("a fault of ours while sending %s to %s", letter.message_id, letter.recipient)
            await self._failed(delivery, "failed", f"{type(error).__name__}: {error}")
            return
        self._misfortunes = 0
        self._count_accepted(delivery)
        logger.info("mail %s to %s accepted: %s", letter.message_id, letter.recipient, reply)
        await self._persist(lambda: self._store.accepted(delivery, reply, self._clock()))

    def _count_accepted(self, delivery: Delivery) -> None:
        now = self._clock()
        self.outcomes["accepted"] += 1
        self.durations.observe(max(now - delivery.queued_at, 0.0))
        self.accepted_at = now

    async def _failed(self, delivery: Delivery, reason: Outcome, words: str) -> None:
        now = self._clock()
        verdict = judge(reason, delivery.attempts, delivery.queued_at, now, self._chance())
        self.outcomes[verdict.outcome] += 1
        if reason in CONFIGURATION:
            self._pause(now, reason, words)
        else:
            self._misfortunes = 0
        where = f"mail {delivery.letter.message_id} to {delivery.letter.recipient}"
        if verdict.state == "dead":
            logger.error("%s is given up (%s): %s", where, verdict.outcome, words)
            await self._persist(lambda: self._store.dead(delivery, verdict.outcome, words, now))
        else:
            logger.warning(
                "%s not accepted (%s), next try in %.0f s: %s", where, verdict.outcome, verdict.next_at - now, words
            )
            await self._persist(lambda: self._store.deferred(delivery, verdict.outcome, words, verdict.next_at))

    def _pause(self, now: float, reason: Outcome, words: str) -> None:
        self._misfortunes += 1
        seconds = wait_after(self._misfortunes, self._chance())
        self._paused_until = now + seconds
        logger.error("no mail can be sent with these settings (%s), all mails wait %.0f s: %s", reason, seconds, words)

    async def _persist(self, work: Callable[[], R]) -> R:
        """Write to the store, again until it takes it; not given up halfway when the outbox is stopped."""
        while True:
            try:
                return await asyncio.shield(self._store.call(work))
            except StoreUnavailableError as error:
                logger.error("the outbox cannot be written, trying again: %s", error)  # noqa: TRY400 -- as above
                await asyncio.sleep(_STORE_RETRY_SECONDS)

    async def _wind_up(self) -> None:
        if self._sending:
            await asyncio.wait(self._sending, timeout=self._grace_seconds)
        late = list(self._sending)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if late:
            logger.warning("stopped while %d mails were being sent; they are sent again at the next start", len(late))
        await self._transport.close()
