"""The page that scrapers get, made from the latest snapshot and never by asking a device.

1. What is older than two sampling intervals and a quarter of a second is dropped by this clock alone, even when every
   sampling thread is dead.
2. A page is used again for a quarter of an interval, so forty scrapers cost what one does.
3. Each format is rendered when the first scraper asks for it, and compressed once.
"""

import functools
import gzip
import time
from collections.abc import Callable
from typing import Any

from prometheus_client.core import Metric as Family
from prometheus_client.exposition import generate_latest as render_text
from prometheus_client.openmetrics import exposition as openmetrics_exposition

from exporter.families import families
from exporter.latency.observations import Observations
from exporter.own_cost import OwnCost
from exporter.snapshot import Snapshot, without_expired

INTERVALS_TO_EXPIRY = 2
_GRACE_SECONDS = 0.25
"""Covers the jitter of a reading's own duration, so that a card that answers in time does not flicker."""
_LONGEST_REUSE_SECONDS = 0.25


class Page:
    """Everything as of ``made_at`` (monotonic seconds), in the formats that were asked for so far."""

    def __init__(self, snapshot: Snapshot, found: list[Family], made_at: float) -> None:
        self.snapshot = snapshot
        self.made_at = made_at
        self._found = found

    def collect(self) -> list[Family]:
        """The families, as the renderers of prometheus-client ask for them."""
        return self._found

    @functools.cached_property
    def text(self) -> bytes:
        """Prometheus text format 0.0.4."""
        registry: Any = self
        return render_text(registry)

    @functools.cached_property
    def openmetrics(self) -> bytes:
        """OpenMetrics 1.0.0."""
        renderer: Any = openmetrics_exposition
        return renderer.generate_latest(self)

    @functools.cached_property
    def text_compressed(self) -> bytes:
        """``text`` under gzip."""
        return gzip.compress(self.text, compresslevel=1, mtime=0)

    @functools.cached_property
    def openmetrics_compressed(self) -> bytes:
        """``openmetrics`` under gzip."""
        return gzip.compress(self.openmetrics, compresslevel=1, mtime=0)


class PageMaker:
    """Makes pages from ``latest``; used from one thread, the event loop's."""

    def __init__(
        self,
        latest: Callable[[], Snapshot],
        observations: Observations,
        *,
        interval: float,
        version: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._latest = latest
        self._observations = observations
        self._max_age = INTERVALS_TO_EXPIRY * interval + _GRACE_SECONDS
        self._reuse = min(interval / 4, _LONGEST_REUSE_SECONDS)
        self._version = version
        self._monotonic = monotonic
        self._cost = OwnCost()
        self._page: Page | None = None

    def page(self) -> Page:
        """The page as of now, or of a quarter of an interval ago."""
        now = self._monotonic()
        if self._page is None or now - self._page.made_at >= self._reuse:
            snapshot = without_expired(self._latest(), now, self._max_age)
            found = families(snapshot, self._observations.observed(), version=self._version, cost=self._cost.read())
            self._page = Page(snapshot, found, now)
        return self._page
