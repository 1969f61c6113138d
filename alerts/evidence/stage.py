"""What is added to a batch of decisions before their mails are written: evidence, and pictures of some.

Everything for one batch has one deadline. What has not come by then is left out, and so is what fails: no evidence ever
holds a mail back. With many alerts at once only ``MOST_PICTURES``, the gravest ones, may have a picture. One is drawn
when its mail is written, since an alert that goes into a digest needs none.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from alerts.artist import Artist, NoPictureError
from alerts.drawing import Drawing, drawing_of
from alerts.evidence.points import Evidence, Points, ended_with, peak_of
from alerts.evidence.trend import trend_of
from alerts.notify.notification import RANKS, Link, Notification

BATCH_SECONDS = 8.0
"""The first picture takes one second of a processor; where training keeps all of them busy, four."""
_FOR_PICTURES = 0.4
"""The part of it that is left for them when everything before is slow."""
MOST_PICTURES = 20
PREPARATION_SECONDS = 180.0
"""For what is done once on a machine: reading all its fonts."""

_log = logging.getLogger(__name__)

Enrich = Callable[[Sequence[Notification]], Awaitable[Sequence[Notification]]]
PointsOf = Callable[[Sequence[Notification]], Awaitable[Mapping[str, Points]]]
"""The readings of each alert, by the notification's id, as far as they are known; it is quick."""
T = TypeVar("T")


def links_to_nowhere(_: Notification) -> tuple[Link, ...]:
    """For when nobody said where to look."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where evidence comes from; what is None does not come."""

    points_of: PointsOf | None = None
    enrich: Enrich | None = None
    artist: Callable[[], Artist] | None = None
    links: Callable[[Notification], tuple[Link, ...]] = links_to_nowhere


class Batch:
    """What may still be drawn, by whom, and until when (by the loop's clock)."""

    def __init__(self, drawings: Mapping[str, Drawing], artist: Artist, end: float) -> None:
        self._drawings = dict(drawings)
        self._turn = asyncio.Lock()
        self._artist = artist
        self._end = end
        self._closing = asyncio.create_task(self._close_in_time())

    async def draw(self, key: str) -> bytes | None:
        """The picture of ``key``; None where it has none, or no time is left.

        Raises:
            NoPictureError: it could not be drawn.
        """
        drawing = self._drawings.pop(key, None)
        async with self._turn:
            left = self._end - asyncio.get_running_loop().time()
            return await self._artist.draw(drawing, left) if drawing and left > 0 else None

    async def close(self) -> None:
        """End the process that draws."""
        self._closing.cancel()
        await asyncio.wait([self._closing])

    async def _close_in_time(self) -> None:
        try:
            await asyncio.sleep(self._end - asyncio.get_running_loop().time())
        finally:
            self._drawings.clear()
            await self._artist.close()


class EvidenceStage:
    """``enrich`` a batch, then ask for the ``picture_of`` each."""

    def __init__(self, sources: Sources, seconds: float = BATCH_SECONDS) -> None:
        self._sources = sources
        self._seconds = seconds
        self._batch: Batch | None = None
        self._trouble = ""

    async def enrich(self, notifications: Sequence[Notification]) -> Sequence[Notification]:
        """The same notifications with what could be learned in time."""
        end = asyncio.get_running_loop().time() + self._seconds
        chosen = gravest(notifications)
        await self.close()
        known, points = await asyncio.gather(
            self._in_time(self._known(notifications), notifications, end),
            self._in_time(self._points(chosen), {}, end),
        )
        told = [with_evidence_of(item, self._evidence(item, points.get(item.id))) for item in known]
        drawings = {item.id: drawing_of(item, points[item.id]) for item in told if item.id in points}
        if self._sources.artist and any(drawings.values()):
            found = {key: drawing for key, drawing in drawings.items() if drawing}
            self._batch = Batch(found, self._sources.artist(), end)
        return told

    async def picture_of(self, notification: Notification) -> bytes | None:
        """The PNG for the mail about a notification of the last batch; None where there is none, or none in time."""
        return await self._noted(self._batch.draw(notification.id)) if self._batch else None

    async def close(self) -> None:
        """Forget the last batch."""
        batch, self._batch = self._batch, None
        if batch:
            await batch.close()

    async def prepare(self) -> None:
        """Do once what the first picture on a machine would have no time for, and find out whether there can be any."""
        if self._sources.artist:
            drawing = Drawing(
                title="", times=(0.0, 1.0, 2.0), values=(0.0, 1.0, 0.0), step=1.0, unit="count", threshold=1.0,
                below=False, severity="info", start=0.0, end=2.0, fired_from=1.0, fired_to=2.0, simulated=False,
            )  # fmt: skip
            try:
                async with self._sources.artist() as artist:
                    if not artist.is_prepared:
                        await self._noted(artist.draw(drawing, PREPARATION_SECONDS))
            except Exception:  # noqa: BLE001 -- it runs beside the loops that decide and mail, and would end them
                _log.exception("a fault of ours: mails may go out without pictures")

    async def _known(self, notifications: Sequence[Notification]) -> Sequence[Notification]:
        return await self._sources.enrich(notifications) if self._sources.enrich else notifications

    async def _points(self, notifications: Sequence[Notification]) -> Mapping[str, Points]:
        return await self._sources.points_of(notifications) if self._sources.points_of else {}

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
        # The reading that decided may be newer and worse than what was looked up.
        peak = peak_of(ended_with(points, notification.at, notification.value), notification)
        return Evidence(points=points, peak=peak, trend=trend, links=links)

    async def _noted(self, drawn: Awaitable[bytes | None]) -> bytes | None:
        try:
            picture = await drawn
        except NoPictureError as error:
            if not self._trouble:
                _log.warning("mails go out without pictures: %s", error)
            self._trouble = str(error)
            return None
        if picture and self._trouble:
            _log.info("mails have pictures again")
            self._trouble = ""
        return picture


def gravest(notifications: Sequence[Notification]) -> list[Notification]:
    """Those that may have a picture, where there are too many for all."""
    return sorted(notifications, key=lambda item: RANKS[item.severity])[:MOST_PICTURES]


def with_evidence_of(notification: Notification, evidence: Evidence) -> Notification:
    """With what is told of the evidence in words; what was known already stays."""
    return replace(
        notification,
        peak=evidence.peak if notification.peak is None else notification.peak,
        trend=evidence.trend or notification.trend,
        links=evidence.links or notification.links,
    )
