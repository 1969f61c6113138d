"""For tests of the outbox: mails to deliver, and a transport that does as told."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from alerts.compose_mail import compose
from alerts.outbox import Outbox
from alerts.transport import Reply, SendError
from tests.golden.example_mails import FIRING, SETTINGS


class Post:
    """A transport that answers as told, recipient by recipient, and remembers who asked when."""

    def __init__(self, answers=None):
        self.answers = answers or {}
        self.asked = []
        self.closed = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_once = 0
        self.most_at_once = 0

    async def send(self, letter):
        self.asked.append(letter)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        answer = self.answers.get(letter.recipient)
        if isinstance(answer, Exception):
            raise answer
        if answer:
            raise SendError(answer, reason=answer)
        return Reply(250, "ok")

    async def close(self):
        self.closed = True


def add(store, *recipients, number=0):
    """Queue a mail for ``recipients``."""
    notification = replace(FIRING, id=f"{number:a>20}", root=f"{number:a>20}")
    store.commit_round({}, [notification])
    store.add_message(notification.id, compose(notification, SETTINGS), recipients)


class Clock:
    """Unix seconds that move only when told."""

    def __init__(self):
        self.now = FIRING.at

    def __call__(self):
        return self.now


@asynccontextmanager
async def running(store, post, commands=None, **kwargs):
    """An outbox at work, and its clock."""
    clock = Clock()
    outbox = Outbox(store, post, {} if commands is None else commands, clock=clock, chance=lambda: 0.5, **kwargs)
    outbox.test_clock = clock
    task = asyncio.create_task(outbox.run())
    try:
        yield outbox
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition):
    """Wait for ``condition``, for at most ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
