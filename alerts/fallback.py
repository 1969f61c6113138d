"""Two mail servers: the second takes a letter when the first cannot be used at all.

1. The second is asked only for what says nothing about the letter: the first is not reachable, does not answer in time,
   offers no TLS, lets us not in, or will not talk to us. A refusal or deferral of this letter is the first's to say. So
   is silence after the end of a mail: the first may have it, and the second would make it two.
2. A first server that failed rests, 15 seconds doubling to 15 minutes, so that not every letter waits for it and no
   account is locked. After a rest one letter tries it, while the others go on through the second.
3. The second cannot give a letter up: what it refuses for good, the first may take when it is back. Such a letter is
   deferred, and holds up no other: the way through the second is open. Only where neither server can be used, what the
   first said counts.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace

from alerts.retries import wait_after
from alerts.transport import CONFIGURATION, Letter, Outcome, Reply, SendError, Transport

logger = logging.getLogger(__name__)

UNUSABLE: frozenset[Outcome] = frozenset(
    ("unreachable", "timeout", "tls_failed", "login_refused", "server_refused", "misconfigured")
)
"""What one server does that another may not."""


class FallbackTransport:
    """Sends through ``first``, or through ``second`` while ``first`` cannot be used; ``name`` is the second's."""

    def __init__(
        self,
        first: Transport,
        second: Transport,
        name: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first, self._second = first, second
        self._name = name
        self._clock = clock
        self._chance = chance
        self._failures = 0
        self._rests_until = 0.0
        self._complaint: SendError | None = None
        """What the first server said last, while it cannot be used."""
        self._trying = False

    async def send(self, letter: Letter) -> Reply:
        """Send ``letter``; raises SendError, the first server's where both fail."""
        complaint = self._complaint
        if complaint is None or not (self._trying or self._clock() < self._rests_until):
            try:
                return await self._through_first(letter)
            except SendError as error:
                if error.reason not in UNUSABLE:
                    raise
                complaint = error
        return await self._through_second(letter, complaint)

    async def close(self) -> None:
        """Close both."""
        await self._first.close()
        await self._second.close()

    async def _through_first(self, letter: Letter) -> Reply:
        self._trying = True
        try:
            reply = await self._first.send(letter)
        except SendError as error:
            if error.reason in UNUSABLE:
                self._rest(error)
            else:
                self._recovered()
            raise
        finally:
            self._trying = False
        self._recovered()
        return reply

    async def _through_second(self, letter: Letter, complaint: SendError) -> Reply:
        try:
            reply = await self._second.send(letter)
        except SendError as error:
            reason = _of_both(complaint.reason, error.reason)
            detail = f"{complaint}; the fallback server {self._name}: {error}"
            raise SendError(detail, reason=reason, reply=error.reply) from error
        return replace(reply, text=f"{reply.text} (by the fallback server {self._name})")

    def _rest(self, error: SendError) -> None:
        self._complaint = error
        if self._clock() < self._rests_until:
            return  # two letters were on their way when it failed
        self._failures += 1
        seconds = wait_after(self._failures, self._chance())
        self._rests_until = self._clock() + seconds
        logger.warning(
            "mails go through the fallback server %s for %.0f s (%s): %s", self._name, seconds, error.reason, error
        )

    def _recovered(self) -> None:
        if self._complaint is not None:
            logger.warning("the first mail server can be used again")
        self._failures, self._complaint = 0, None


def _of_both(first: Outcome, second: Outcome) -> Outcome:
    """What it means for a letter that the first server cannot be used and the second did not take it."""
    if second in UNUSABLE | CONFIGURATION:
        return first
    return "ambiguous" if second == "ambiguous" else "deferred"
