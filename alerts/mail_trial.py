"""``gpuwarden mail test``: trying the way to the inbox without waiting for an alert."""

import asyncio
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from alerts.compose_mail import compose
from alerts.delivery import MAILDIR_NAME, ways_to_try
from alerts.mail_examples import firing_example
from alerts.mail_settings import MailSettings, bare_address
from alerts.notify.due import random_id
from alerts.transport import Letter, Message, SendError, Transport


def run_mail_test(settings: MailSettings, state: Path, echo: Callable[[str], None]) -> int:
    """Send a small mail to each recipient now, saying each step; the exit status is 1 when anybody did not get it."""
    if settings.host is None:
        echo(f"no mail server is set (alerter.mail.host): delivering to the Maildir {state / MAILDIR_NAME}")
    ways = ways_to_try(settings, state, lambda step: echo(f"  {step}"))
    return send_now(_test_message(settings), settings.recipients, ways, echo)


def send_now(
    message: Message, recipients: Sequence[str], ways: Mapping[str, Transport], echo: Callable[[str], None]
) -> int:
    """Send ``message`` past the outbox, each way by its name; the exit status is 1 when anybody did not get it."""
    return asyncio.run(_send(message, recipients, ways, echo))


async def _send(
    message: Message, recipients: Sequence[str], ways: Mapping[str, Transport], echo: Callable[[str], None]
) -> int:
    failures = 0
    for name, transport in ways.items():
        if len(ways) > 1:
            echo(f"through {name}:")
        for recipient in recipients:
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
        firing_example(settings, now),
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
