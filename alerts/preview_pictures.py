"""The pictures of example mails, drawn from readings that are made up to fit them."""

from collections.abc import Callable, Mapping
from pathlib import Path

from alerts.artist import Artist, NoPictureError
from alerts.drawing import drawing_of
from alerts.evidence.points import Points, shown_from
from alerts.evidence.stage import PREPARATION_SECONDS
from alerts.notify.notification import Notification

_STEP = 30.0


def readings_of(notification: Notification) -> Points:
    """A card that fills up, and is emptied where the alert is over or less than it was."""
    start = shown_from(notification)
    count = int((notification.at - start) / _STEP)
    top, value = notification.peak or notification.value or 0.0, notification.value or 0.0
    ending = 0 if value == top else count // 10
    pace = 2.4 if ending else 2.05
    climbing = [top * min(1.0, 0.4 + 0.6 * max(0.0, pace * number / count - 1)) for number in range(count)]
    values = (*climbing[: count - ending], *[value] * ending)
    return Points(tuple(start + _STEP * number for number in range(count)), values, _STEP)


async def pictures_of(
    examples: Mapping[str, Notification], fonts: Path, echo: Callable[[str], None]
) -> Mapping[str, bytes]:
    """The PNGs by the examples' names, as far as they can be drawn here; ``fonts`` as for ``Artist``."""
    found: dict[str, bytes] = {}
    async with Artist(fonts) as artist:
        for name, notification in examples.items():
            drawing = drawing_of(notification, readings_of(notification))
            try:
                found |= {name: await artist.draw(drawing, PREPARATION_SECONDS)} if drawing else {}
            except NoPictureError as error:
                echo(f"no picture: {error}")
                break
    return found
