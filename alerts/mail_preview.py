"""``gpuwarden mail preview``: what would arrive, to be looked at without waiting for an alert."""

import asyncio
import base64
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from alerts.artist import Artist, NoPictureError
from alerts.compose_digest import compose_digest, digest_html
from alerts.compose_mail import compose, render
from alerts.digest_view import digest_view
from alerts.drawing import drawing_of
from alerts.evidence.points import Points, shown_from
from alerts.evidence.stage import PREPARATION_SECONDS
from alerts.evidence.trend import trend_of
from alerts.mail_examples import (
    burst_of,
    example_report,
    firing_example,
    flapping_of,
    lowered_of,
    night_of,
    predicted_of,
    repeat_of,
    resolved_of,
)
from alerts.mail_settings import MailSettings
from alerts.mail_view import view_of
from alerts.notify.notification import Notification
from alerts.report.compose import compose_report, report_html, report_notification
from alerts.report.view import Tariff, report_view


def run_mail_preview(settings: MailSettings, out: Path, echo: Callable[[str], None], fonts: Path | None = None) -> int:
    """Write an example of each kind of mail into ``out``, as ``.eml`` and as ``.html``; the exit status.

    ``fonts`` is the folder in which the alerter keeps what it knows of them.
    """
    firing = firing_example(settings, time.time())
    examples = {
        "firing": _with_trend(firing),
        "repeat": _with_trend(repeat_of(firing)),
        "flapping": flapping_of(firing),
        "lowered": _with_trend(lowered_of(firing)),
        "predicted": _with_trend(predicted_of(firing)),
        "resolved": resolved_of(firing),
    }
    with tempfile.TemporaryDirectory(prefix="gpuwarden-fonts-") as folder:
        pictures = asyncio.run(_pictures(examples, fonts or Path(folder), echo))
    files = {name: _single(notification, settings, pictures.get(name)) for name, notification in examples.items()}
    for name, group in {"digest": burst_of(firing), "overnight": night_of(firing, examples["resolved"])}.items():
        files[name] = compose_digest(group, settings, firing.at).data, digest_html(digest_view(group))
    report = report_view(example_report(firing.at), Tariff(0.30))
    told = report_notification(example_report(firing.at), report, "examplereport2222222", settings.recipients)
    files["report"] = compose_report(told, report, settings).data, report_html(report)
    return _write(files, out, echo)


def _write(files: Mapping[str, tuple[bytes, str]], out: Path, echo: Callable[[str], None]) -> int:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, (mail, html) in files.items():
            (out / f"{name}.eml").write_bytes(mail)
            (out / f"{name}.html").write_text(html, encoding="utf-8")
            echo(f"{out / name}.eml  {out / name}.html")
    except OSError as error:
        echo(f"{out} cannot be written: {error.strerror or error}")
        return 1
    return 0


def _single(notification: Notification, settings: MailSettings, picture: bytes | None) -> tuple[bytes, str]:
    template = "resolved" if notification.reason == "resolved" else "firing"
    # A page that is opened by itself has its picture in it.
    address = f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}" if picture else ""
    html = render(f"{template}.html", view_of(notification, address))
    return compose(notification, settings, picture=picture).data, html


async def _pictures(
    examples: Mapping[str, Notification], fonts: Path, echo: Callable[[str], None]
) -> Mapping[str, bytes]:
    """The pictures by the examples' names, as far as they can be drawn here."""
    found: dict[str, bytes] = {}
    async with Artist(fonts) as artist:
        for name, notification in examples.items():
            drawing = drawing_of(notification, _readings(notification))
            try:
                found |= {name: await artist.draw(drawing, PREPARATION_SECONDS)} if drawing else {}
            except NoPictureError as error:
                echo(f"no picture: {error}")
                break
    return found


def _with_trend(notification: Notification) -> Notification:
    return replace(notification, trend=trend_of(_readings(notification), notification.unit, notification.at))


def _readings(notification: Notification) -> Points:
    """A card that fills up, and is emptied where the alert is over."""
    start, step = shown_from(notification), 30.0
    count = int((notification.at - start) / step)
    top, value = notification.peak or notification.value or 0.0, notification.value or 0.0
    ending = 0 if value == top else count // 10
    pace = 2.4 if ending else 2.05
    climbing = [top * min(1.0, 0.4 + 0.6 * max(0.0, pace * number / count - 1)) for number in range(count)]
    values = (*climbing[: count - ending], *[value] * ending)
    return Points(tuple(start + step * number for number in range(count)), values, step)
