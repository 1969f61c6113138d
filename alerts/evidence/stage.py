"""What is added to a batch of decisions before their mails are written: evidence, and pictures of some.

Everything for one batch has one deadline. What has not come by then is left out, and so is what fails: no evidence ever
holds a mail back. With many alerts at once only the first ``MOST_PICTURES``, the gravest ones, have a picture.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from alerts.artist import Artist, NoPictureError
from alerts.drawing import Drawing, drawing_of
from alerts.evidence.points import Evidence, Points, peak_of
from alerts.evidence.trend import trend_of
from alerts.notify.notification import Link, Notification

BATCH_SECONDS = 6.0
_FOR_PICTURES = 0.4
"""The part of it that is left for them when everything before is slow."""
MOST_PICTURES = 20
PREPARATION_SECONDS = 180.0
"""For what is done once on a machine: reading all its fonts."""

_GRAVITY = {"critical": 0, "warning": 1, "info": 2}
_log = logging.getLogger(__name__)

Enrich = Callable[[Sequence[Notification]], Awaitable[Sequence[Notification]]]
T = TypeVar("T")


class Series(Protocol):
    """Knows the readings of alerts."""

    async def points_of(self, notifications: Sequence[Notification]) -> Mapping[str, Points]:
        """The readings of each, by the notification's id, as far as they are known; it is quick."""
        ...


def links_to_nowhere(_: Notification) -> tuple[Link, ...]:
    """For when nobody said where to look."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where evidence comes from; what is None does not come."""

    series: Series | None = None
    enrich: Enrich | None = None
    artist: Callable[[], Artist] | None = None
    links: Callable[[Notification], tuple[Link, ...]] = links_to_nowhere


class EvidenceStage:
    """``enrich`` a batch, then ask for the ``picture_of`` each."""

    def __init__(self, sources: Sources, seconds: float = BATCH_SECONDS) -> None:
        self._sources = sources
        self._seconds = seconds
        self._pictures: dict[str, asyncio.Future[bytes | None]] = {}
        self._drawing: asyncio.Task[None] | None = None
        self._trouble = ""

    async def enrich(self, notifications: Sequence[Notification]) -> Sequence[Notification]:
        """The same notifications with what could be learned in time; their pictures are being drawn then."""
        end = asyncio.get_running_loop().time() + self._seconds
        chosen = gravest(notifications)
        known, points = await asyncio.gather(
            self._in_time(self._known(notifications), notifications, end), self._in_time(self._points(chosen), {}, end)
        )
        told = [with_evidence_of(item, self._evidence(item, points.get(item.id))) for item in known]
        drawings = {item.id: drawing_of(item, points[item.id]) for item in told if item.id in points}
        self._begin({key: drawing for key, drawing in drawings.items() if drawing}, end)
        return told

    async def picture_of(self, notification: Notification) -> bytes | None:
        """The PNG for the mail about a notification of the last batch; None where there is none, or none in time."""
        found = self._pictures.get(notification.id)
        return await asyncio.shield(found) if found else None

    async def prepare(self) -> None:
        """Do once what the first picture on a machine would have no time for, and find out whether there can be any."""
        if self._sources.artist:
            drawing = Drawing(
                title="", times=(0.0, 1.0, 2.0), values=(0.0, 1.0, 0.0), step=1.0, unit="count", threshold=1.0,
                below=False, severity="info", start=0.0, end=2.0, fired_from=1.0, fired_to=2.0, simulated=False,
            )  # fmt: skip
            async with self._sources.artist() as artist:
                if not artist.is_prepared:
                    await self._drawn(artist, drawing, PREPARATION_SECONDS)

    async def _known(self, notifications: Sequence[Notification]) -> Sequence[Notification]:
        return await self._sources.enrich(notifications) if self._sources.enrich else notifications

    async def _points(self, notifications: Sequence[Notification]) -> Mapping[str, Points]:
        return await self._sources.series.points_of(notifications) if self._sources.series else {}

    async def _in_time(self, work: Awaitable[T], otherwise: T, end: float) -> T:
        try:
            async with asyncio.timeout_at(end - _FOR_PICTURES * self._seconds):
                return await work
        except TimeoutError:
            return otherwise
        except Exception:  # noqa: BLE001 -- a mail without evidence beats none
            _log.exception("a fault of ours: mails go out without some of their evidence")
            return otherwise

    def _evidence(self, notification: Notification, points: Points | None) -> Evidence:
        links = self._sources.links(notification)
        if points is None:
            return Evidence(links=links)
        resolved = notification.reason == "resolved"
        trend = "" if resolved else trend_of(points, notification.unit, notification.at)
        return Evidence(points=points, peak=peak_of(points, notification), trend=trend, links=links)

    def _begin(self, drawings: Mapping[str, Drawing], end: float) -> None:
        loop = asyncio.get_running_loop()
        if self._drawing:
            self._drawing.cancel()
        self._pictures = {key: loop.create_future() for key in drawings} if self._sources.artist else {}
        if self._sources.artist and drawings:
            self._drawing = asyncio.create_task(self._draw(self._sources.artist, drawings, self._pictures, end))

    async def _draw(
        self,
        hire: Callable[[], Artist],
        drawings: Mapping[str, Drawing],
        pictures: Mapping[str, asyncio.Future[bytes | None]],
        end: float,
    ) -> None:
        try:
            async with hire() as artist:
                for key, drawing in drawings.items():
                    left = end - asyncio.get_running_loop().time()
                    if left <= 0:
                        break
                    pictures[key].set_result(await self._drawn(artist, drawing, left))
        finally:
            for picture in pictures.values():
                if not picture.done():
                    picture.set_result(None)

    async def _drawn(self, artist: Artist, drawing: Drawing, seconds: float) -> bytes | None:
        try:
            picture = await artist.draw(drawing, seconds)
        except NoPictureError as error:
            if not self._trouble:
                _log.warning("mails go out without pictures: %s", error)
            self._trouble = str(error)
            return None
        if self._trouble:
            _log.info("mails have pictures again")
        self._trouble = ""
        return picture


def gravest(notifications: Sequence[Notification]) -> list[Notification]:
    """Those that have a picture, where there are too many for all."""
    return sorted(notifications, key=lambda item: _GRAVITY[item.severity])[:MOST_PICTURES]


def with_evidence_of(notification: Notification, evidence: Evidence) -> Notification:
    """With what is told of the evidence in words; what was known already stays."""
    return replace(
        notification,
        peak=evidence.peak if notification.peak is None else notification.peak,
        trend=evidence.trend or notification.trend,
        links=evidence.links or notification.links,
    )
