"""One channel's worker loop: claim a delivery, send it, mark it after the other side's final word, claim the next.

- A delivery is marked accepted only on the transport's answer, and is claimed (committed) before the transport hears
  of it. A crash in between sends the same bytes once more; nothing is ever marked first.
- Marking one and claiming the next are one commit: a commit waits for the disk, and a burst of mails waits for commits.
- What is the fault of our settings stops the channel between tries, because every mail would meet it and servers lock
  accounts. After it one delivery tries the way, and the others follow when that one got through.
- When the store cannot take the result, the worker keeps it and tries again: sending more meanwhile would only add
  to what a crash sends twice.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from alerts.attempts import Attempts
from alerts.channels import Channel
from alerts.clean_text import one_line
from alerts.deliveries import Delivery
from alerts.retries import LONGEST_WAIT_SECONDS, judge, wait_after
from alerts.store import Store, StoreUnavailableError
from alerts.transport import CONFIGURATION, Outcome, Reply, SendError, Transport

logger = logging.getLogger(__name__)

R = TypeVar("R")

_IDLE_SECONDS = 60.0
_LONGEST_WORDS = 1500
_STORE_RETRY_SECONDS = 5.0


class Lane:
    """Delivers what ``channel`` has through ``transport``, ``workers()`` at a time, noting into ``attempts``."""

    def __init__(
        self,
        store: Store,
        channel: Channel,
        transport: Transport,
        attempts: Attempts,
        *,
        workers: Callable[[], int],
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._store = store
        self.channel = channel
        self._transport = transport
        self._attempts = attempts
        self._workers = workers
        self._clock = clock
        self._chance = chance
        self._woken = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._paused_until = 0.0
        self._misfortunes = 0
        """Attempts in a row that failed by our own settings."""

    def wake(self) -> None:
        """A delivery was added: look now."""
        self._woken.set()

    def resume(self) -> None:
        """A person has mended the settings: pause no longer."""
        self._paused_until = 0.0
        self._woken.set()

    @property
    def misconfigured(self) -> bool:
        """Whether the last attempt failed by our own settings."""
        return self._misfortunes > 0

    async def run(self, grace_seconds: float) -> None:
        """Deliver until cancelled; then what is being sent gets ``grace_seconds`` to end, and the rest stays queued."""
        try:
            while True:
                self._woken.clear()
                seconds = await self._fill()
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._woken.wait()
        finally:
            await self._wind_up(grace_seconds)

    async def _fill(self) -> float:
        """Start as many deliveries as there are free workers; seconds until there may be more to do."""
        now = self._clock()
        if now < self._paused_until <= now + 2 * LONGEST_WAIT_SECONDS:
            return min(self._paused_until - now, _IDLE_SECONDS)
        try:
            while len(self._sending) < self._room():
                delivery = await self._store.call(self._store.claim, now, self.channel)
                if delivery is None:
                    break
                self._start(delivery)
            if len(self._sending) >= self._room():
                return _IDLE_SECONDS
            due = await self._store.call(self._store.next_due, self.channel)
        except StoreUnavailableError as error:
            logger.error("the outbox cannot be read, mails wait: %s", error)  # noqa: TRY400 -- the line says it all
            return _STORE_RETRY_SECONDS
        except Exception:
            logger.exception("a fault of ours: no further mail is taken from the outbox now")
            return _STORE_RETRY_SECONDS
        return _IDLE_SECONDS if due is None else min(max(due - now, 0.05), _IDLE_SECONDS)

    def _room(self) -> int:
        return 1 if self._misfortunes else self._workers()

    def _start(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._work(delivery))
        self._sending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._woken.set()

    async def _work(self, delivery: Delivery | None) -> None:
        while delivery is not None:
            delivery = await self._deliver(delivery)

    async def _deliver(self, delivery: Delivery) -> Delivery | None:
        """Send one; the next one, claimed, after an acceptance, else None."""
        letter = delivery.letter
        try:
            reply = await self._transport.send(letter)
        except SendError as error:
            await self._failed(delivery, error.reason, str(error))
            return None
        except Exception as error:
            logger.exception("a fault of ours while sending %s to %s", letter.message_id, letter.recipient)
            await self._failed(delivery, "failed", f"{type(error).__name__}: {error}")
            return None
        return await self._accepted(delivery, reply)

    async def _accepted(self, delivery: Delivery, reply: Reply) -> Delivery | None:
        letter, cautious = delivery.letter, self._misfortunes > 0
        self._misfortunes = 0
        now = self._clock()
        self._attempts.accepted(delivery.queued_at, now)
        logger.info("mail %s to %s accepted: %s", letter.message_id, letter.recipient, reply)
        crowded = len(self._sending) > self._workers()  # since a reload
        further = None if self._stopping or cautious or crowded or now < self._paused_until else self.channel
        return await self._persist(partial(self._store.accepted, delivery, reply, now, further))

    async def _failed(self, delivery: Delivery, reason: Outcome, said: str) -> None:
        now, words = self._clock(), one_line(said, _LONGEST_WORDS)
        verdict = judge(reason, delivery.attempts, delivery.queued_at, now, self._chance())
        self._attempts.outcomes[verdict.outcome] += 1
        if reason in CONFIGURATION:
            self._pause(now, reason, words)
        else:
            self._misfortunes = 0
        where = f"mail {delivery.letter.message_id} to {delivery.letter.recipient}"
        if verdict.state == "dead":
            logger.error("%s is given up (%s): %s", where, verdict.outcome, words)
            await self._persist(partial(self._store.dead, delivery, verdict.outcome, words, now))
        else:
            logger.warning(
                "%s not accepted (%s), next try in %.0f s: %s", where, verdict.outcome, verdict.next_at - now, words
            )
            await self._persist(partial(self._store.deferred, delivery, verdict.outcome, words, verdict.next_at))

    def _pause(self, now: float, reason: Outcome, words: str) -> None:
        if self._misfortunes and now < self._paused_until:
            return  # it was on its way when the other one failed, of the same cause
        self._misfortunes += 1
        seconds = wait_after(self._misfortunes, self._chance())
        self._paused_until = now + seconds
        name = self.channel.name
        logger.error("nothing can be sent by %s (%s), all of it waits %.0f s: %s", name, reason, seconds, words)

    async def _persist(self, work: Callable[[], R]) -> R:
        """Write to the store, again until it takes it; not given up halfway when the outbox is stopped."""
        while True:
            try:
                return await asyncio.shield(self._store.call(work))
            except StoreUnavailableError as error:
                logger.error("the outbox cannot be written, trying again: %s", error)  # noqa: TRY400 -- as above
                await asyncio.sleep(_STORE_RETRY_SECONDS)

    async def _wind_up(self, grace_seconds: float) -> None:
        self._stopping = True
        if self._sending:
            await asyncio.wait(self._sending, timeout=grace_seconds)
        late = list(self._sending)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if late:
            logger.warning("stopped while %d mails were being sent; they are sent again at the next start", len(late))
        await self._transport.close()
