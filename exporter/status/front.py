"""Serves the status page: what is known now into HTML, and the headers that keep everything else out of it.

It knows no web framework: bytes and headers, for whoever has the route. What makes the page is loaded when somebody
first looks: an exporter that only Prometheus asks does without it.
"""

import functools
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.latency.observations import Observed
from exporter.snapshot import Snapshot
from exporter.status.alerts import NO_SOURCE, Alerts

if TYPE_CHECKING:
    from exporter.status.document import Assets

_REUSE_SECONDS = 1.0
"""However many look at it, the page is made once in this time."""
_FOLDER = Path(__file__).parent


def _nothing_observed() -> Iterable[Observed]:
    return ()


def _no_source() -> Alerts:
    return NO_SOURCE


class StatusPage:
    """The page over functions that give what is known at the time of a request; ``snapshot`` without the expired."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        version: str,
        *,
        observed: Callable[[], Iterable[Observed]] = _nothing_observed,
        alerts: Callable[[], Alerts] = _no_source,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._snapshot = snapshot
        self._version = version
        self._observed = observed
        self._alerts = alerts
        self._wall = wall
        self._monotonic = monotonic
        self._made: dict[bool, tuple[float, bytes]] = {}

    def render(self, query: str = "") -> tuple[bytes, str, dict[str, str]]:
        """The page's bytes, their type and further headers; with the query ``still`` it does not refresh itself."""
        still = query.partition("=")[0] == "still"
        made = self._made.get(still)
        if made is None or not 0 <= self._monotonic() - made[0] < _REUSE_SECONDS:
            made = self._made[still] = self._monotonic(), self._fresh(still=still)
        return made[1], "text/html; charset=utf-8", headers()

    def _fresh(self, *, still: bool) -> bytes:
        from exporter.status.document import document  # noqa: PLC0415
        from exporter.status.view import Known, view  # noqa: PLC0415

        known = Known(
            snapshot=self._snapshot(),
            observed=tuple(self._observed()),
            alerts=self._alerts(),
            version=self._version,
            now=self._wall(),
        )
        return document(view(known), assets(), still=still).encode(errors="replace")


@functools.cache
def assets() -> "Assets":
    """The shipped style and script."""
    from exporter.status.document import Assets  # noqa: PLC0415

    return Assets((_FOLDER / "status.css").read_text("utf-8"), (_FOLDER / "status.js").read_text("utf-8"))


def headers() -> dict[str, str]:
    """What every answer carries."""
    return {
        "cache-control": "no-store",
        "content-security-policy": assets().policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
