"""The page that scrapers get: made by a clock, whoever reads it and however often, and never by asking a device.

1. The clock ticks a twentieth of an interval after a reading has landed (50 ms at most), so that the readings of all
   cards come onto one page. It also ticks when something on the page becomes too old, and when nothing has landed for
   somewhat more than an interval.
2. What is older than two sampling intervals and a quarter of a second is dropped by this clock alone, even when every
   sampling thread is dead.
3. A format that somebody asked for within the last half minute is rendered and compressed with each tick, so that a
   scrape is handed bytes. A format that nobody reads costs nothing; the first to ask for it waits until it is made.
4. The clock runs on the event loop that answers the scrapes. A page takes it a millisecond or two; a thread beside it
   would hold the interpreter for up to five at a time, just when a scrape wants it.
5. A page that cannot be made is not replaced by an old one: scrapes fail until it can be made again.
"""

import asyncio
import contextlib
import functools
import logging
import time
import zlib
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Literal

from exporter.dialects import DIALECTS
from exporter.exposition import Block, Exposition, as_openmetrics, as_text
from exporter.families import families
from exporter.latency.observations import Observations
from exporter.own_cost import OwnCost
from exporter.snapshot import Snapshot, without_expired

logger = logging.getLogger(__name__)

Form = Literal["text", "openmetrics", "text_compressed", "openmetrics_compressed"]
"""What a scraper can ask for, by the names of ``Page``'s properties."""

INTERVALS_TO_EXPIRY = 2
_GRACE_SECONDS = 0.25
"""Covers the jitter of a reading's own duration, so that a card that answers in time does not flicker."""
_LONGEST_GATHERING = 0.05
_KEPT_READY_SECONDS = 30.0
_A_MOMENT = 0.001
_GZIP = zlib.MAX_WBITS + 16
_FAST = 1


class Page:
    """Everything as of ``made_at`` (monotonic seconds), in the formats that were asked for so far."""

    def __init__(
        self, snapshot: Snapshot, made_at: float, render: Callable[[Snapshot], list[Block]], asked: dict[Form, float]
    ) -> None:
        self.snapshot = snapshot
        self.made_at = made_at
        self._render = render
        self._asked = asked

    def body(self, form: Form) -> bytes:
        """The page for a scraper; pages to come will have this form ready."""
        self._asked[form] = self.made_at
        return self.ready(form)

    def ready(self, form: Form) -> bytes:
        """The page in this form, made on the first call."""
        made: bytes = getattr(self, form)
        return made

    @functools.cached_property
    def _blocks(self) -> list[Block]:
        return self._render(self.snapshot)

    @functools.cached_property
    def text(self) -> bytes:
        """Prometheus text format 0.0.4."""
        return as_text(self._blocks)

    @functools.cached_property
    def openmetrics(self) -> bytes:
        """OpenMetrics 1.0.0."""
        return as_openmetrics(self._blocks)

    @functools.cached_property
    def text_compressed(self) -> bytes:
        """``text`` under gzip."""
        return zlib.compress(self.text, _FAST, wbits=_GZIP)

    @functools.cached_property
    def openmetrics_compressed(self) -> bytes:
        """``openmetrics`` under gzip."""
        return zlib.compress(self.openmetrics, _FAST, wbits=_GZIP)


class PageMaker:
    """Makes pages from ``latest``; all but ``landed`` is for the event loop's thread."""

    def __init__(
        self,
        latest: Callable[[], Snapshot],
        observations: Observations,
        *,
        interval: float,
        version: str,
        dialects: Iterable[str] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._latest = latest
        self._observations = observations
        self._max_age = INTERVALS_TO_EXPIRY * interval + _GRACE_SECONDS
        self._gathering = min(interval / 20, _LONGEST_GATHERING)
        self._longest_pause = interval + 2 * self._gathering
        self._version = version
        self._dialects = [DIALECTS[name] for name in dialects]
        self._monotonic = monotonic
        self._cost = OwnCost()
        self._exposition = Exposition()
        self._asked: dict[Form, float] = {}
        self._page: Page | None = None
        self._complaint = ""
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def page(self) -> Page:
        """The page of the last tick; the first one, or one that could not be made, is made now."""
        return self._page or self.tick()

    def tick(self) -> Page:
        """Make the page anew from what the sources last said."""
        now = self._monotonic()
        self._page = None
        page = Page(without_expired(self._latest(), now, self._max_age), now, self._render, self._asked)
        for form, asked_at in self._asked.items():
            if now - asked_at <= _KEPT_READY_SECONDS:
                page.ready(form)
        self._page = page
        return page

    def landed(self) -> None:
        """A source has been read: the next tick is due. Safe to call from any thread, and before ``run``."""
        loop = self._loop
        if loop is not None and not self._news.is_set():
            with contextlib.suppress(RuntimeError):  # the loop has just been closed: nobody reads pages any more
                loop.call_soon_threadsafe(self._news.set)

    async def run(self) -> None:
        """Tick until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            pause = self._tick_and_go_on()
            try:
                async with asyncio.timeout(pause):
                    await self._news.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(self._gathering)

    def _tick_and_go_on(self) -> float:
        """Seconds until the next tick is due if nothing lands before."""
        try:
            page = self.tick()
        except Exception as error:  # one bad page must not stop the clock that lets readings expire
            text = f"{type(error).__name__}: {error}"
            if text != self._complaint:
                logger.warning("the page cannot be made: %s", text, exc_info=error)
            self._complaint = text
            return self._longest_pause
        self._complaint = ""
        return self._until_expiry(page.snapshot, page.made_at)

    def _until_expiry(self, snapshot: Snapshot, now: float) -> float:
        read_at = [reading.read_at for reading in (*snapshot.gpus, *snapshot.sources)]
        read_at += [snapshot.host.read_at] if snapshot.host else []
        left = (at + self._max_age - now for at in read_at)
        return min((self._longest_pause, *(seconds + _A_MOMENT for seconds in left if seconds >= 0)))

    def _render(self, snapshot: Snapshot) -> list[Block]:
        observed = self._observations.observed()
        found = families(snapshot, observed, version=self._version, cost=self._cost.read())
        return self._exposition.render(chain(found, *(dialect(snapshot) for dialect in self._dialects)))
