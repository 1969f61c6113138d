"""Trying the way to the inbox, and looking at what would arrive, without waiting for an alert."""

import asyncio
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from alerts.compose_digest import compose_digest, digest_html
from alerts.compose_mail import compose, render
from alerts.delivery import MAILDIR_NAME, ways_to_try
from alerts.digest_view import digest_view
from alerts.mail_examples import burst_of, night_of
from alerts.mail_settings import MailSettings, bare_address
from alerts.mail_view import view_of
from alerts.notify.due import random_id
from alerts.notify.notification import Graver, Holder, Notification
from alerts.transport import Letter, Message, SendError, Transport

_SUGGESTION = """\
rules:
  - override: GpuMemoryAlmostFull
    where: {uuid: "GPU-example"}
    above: 0.97 # or: enabled: false
    clear: 0.97"""


def run_mail_test(settings: MailSettings, state: Path, echo: Callable[[str], None]) -> int:
    """Send a small mail to each recipient now, saying each step; the exit status is 1 when anybody did not get it."""
    return asyncio.run(_send_test(settings, state, echo))


async def _send_test(settings: MailSettings, state: Path, echo: Callable[[str], None]) -> int:
    if settings.host is None:
        echo(f"no mail server is set (alerter.mail.host): delivering to the Maildir {state / MAILDIR_NAME}")
    message = _test_message(settings)
    ways = ways_to_try(settings, state, lambda step: echo(f"  {step}"))
    failures = 0
    for name, transport in ways.items():
        if len(ways) > 1:
            echo(f"through {name}:")
        for recipient in settings.recipients:
            failures += not await _sent(message, bare_address(recipient), transport, echo)
        await transport.close()
    return 1 if failures else 0


async def _sent(message: Message, address: str, transport: Transport, echo: Callable[[str], None]) -> bool:
    echo(f"to {address}:")
    try:
        reply = await transport.send(Letter(message.message_id, message.envelope_from, address, message.data))
    except SendError as error:
        echo(f"  NOT accepted ({error.reason}): {error}")
        return False
    echo(f"  accepted: {reply}")
    return True


def _test_message(settings: MailSettings) -> Message:
    now = time.time()
    identity = random_id()
    test = replace(
        _example(settings, now),
        id=identity,
        incident=identity,
        root=identity,
        severity="info",
        summary="Test mail from gpuwarden",
        suggestion="",
        action="Nothing: somebody ran `gpuwarden mail test`. An alert looks like this, with real readings.",
        host=platform.node(),
    )
    return compose(test, settings)


def run_mail_preview(settings: MailSettings, out: Path, echo: Callable[[str], None]) -> int:
    """Write an example of each kind of mail into ``out``, as ``.eml`` and as ``.html``; the exit status."""
    firing = _example(settings, time.time())
    examples = {
        "firing": firing,
        "repeat": _repeat(firing),
        "flapping": _flapping(firing),
        "lowered": _lowered(firing),
        "predicted": _predicted(firing),
        "resolved": _resolved(firing),
    }
    files: dict[str, tuple[Message, str]] = {}
    for name, notification in examples.items():
        template = "resolved" if notification.reason == "resolved" else "firing"
        files[name] = compose(notification, settings), render(f"{template}.html", view_of(notification))
    for name, group in {"digest": burst_of(firing), "overnight": night_of(firing, examples["resolved"])}.items():
        files[name] = compose_digest(group, settings, firing.at), digest_html(digest_view(group))
    return _write(files, out, echo)


def _write(files: Mapping[str, tuple[Message, str]], out: Path, echo: Callable[[str], None]) -> int:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, (message, html) in files.items():
            (out / f"{name}.eml").write_bytes(message.data)
            (out / f"{name}.html").write_text(html, encoding="utf-8")
            echo(f"{out / name}.eml  {out / name}.html")
    except OSError as error:
        echo(f"{out} cannot be written: {error.strerror or error}")
        return 1
    return 0


def _resolved(firing: Notification) -> Notification:
    return replace(
        firing,
        id="example2222222222222",
        reason="resolved",
        at=firing.at + 900.0,
        value=0.52,
        summary="GPU 2 memory is 52.0 % full",
        suggestion="",
        holders=firing.holders[:1],
    )


def _repeat(firing: Notification) -> Notification:
    at = firing.at + 4 * 3600.0
    return replace(firing, id="example5555555555555", reason="repeat", at=at)


def _flapping(firing: Notification) -> Notification:
    since = firing.at - 38 * 60.0
    return replace(firing, id="example6666666666666", reason="flapping", flaps=4, flaps_since=since, lasting=10 * 60.0)


def _lowered(firing: Notification) -> Notification:
    at = firing.at + 900.0
    return replace(
        firing,
        id="example3333333333333",
        reason="lowered",
        at=at,
        alertname="GpuMemoryHigh",
        severity="warning",
        threshold=0.8,
        value=0.84,
        summary="GPU 2 memory has been above 80.0 % for a while; it is 84.0 % full",
        action="Do not start another job there without looking.",
        graver=Graver(firing.alertname, firing.severity, firing.started_at, at, firing.metric),
        suggestion="",
    )


def _predicted(firing: Notification) -> Notification:
    return replace(
        firing,
        id="example4444444444444",
        incident="example4444444444444",
        root="example4444444444444",
        alertname="GpuMemoryFullSoon",
        severity="warning",
        threshold=0.98,
        value=1.07,
        reading="predicted in 30 min",
        summary="GPU 2 memory keeps growing and would be full within half an hour",
        action="See which process grows, and save a checkpoint now.",
        suggestion="",
    )


def _example(settings: MailSettings, now: float) -> Notification:
    return Notification(
        id="example1111111111111",
        incident="example1111111111111",
        root="example1111111111111",
        reason="first",
        at=now,
        started_at=now - 65.0,
        alertname="GpuMemoryAlmostFull",
        severity="critical",
        labels=(("gpu", "2"), ("instance", "127.0.0.1:9400"), ("job", "gpuwarden"), ("uuid", "GPU-example")),
        metric="gpu_memory_used_ratio",
        unit="ratio",
        comparison="above",
        threshold=0.9,
        value=0.961,
        summary="GPU 2 memory is 96.1 % full",
        action="Stop or shrink one of the processes above before the next allocation fails.",
        host="example",
        recipients=settings.recipients,
        holders=(
            Holder("4711", "python3 train.py", 9.5 * 2**30, "ann"),
            Holder("815", "tritonserver", 1.75 * 2**30, "root", "inference"),
        ),
        simulated=True,
        suggestion=_SUGGESTION,
    )
