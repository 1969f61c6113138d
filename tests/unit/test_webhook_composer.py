import asyncio
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import replace

import pytest

from alerts import composer
from alerts.composer import Composer
from alerts.store import FILE_NAME, Store
from tests.golden.example_mails import FIRING, RESOLVED, SETTINGS


@pytest.fixture
def store(tmp_path):
    """An empty store that does not wait long for a lock."""
    with Store.open(tmp_path) as opened:
        opened._connection.execute("PRAGMA busy_timeout = 10")
        yield opened


async def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


class Running:
    """A composer at work."""

    def __init__(self, store, enrich=None):
        self.told, self.woken = asyncio.Event(), []
        self.composer = Composer(store, self.told, SETTINGS, lambda: self.woken.append(1), enrich)

    async def __aenter__(self):
        self._task = asyncio.create_task(self.composer.run())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


def test_what_a_crash_left_is_composed_at_the_start_and_the_rest_when_told(store):
    """A power loss between decision and mail would swallow the alert."""
    store.commit_round({}, [FIRING])

    async def story():
        async with Running(store) as here:
            await until(lambda: here.woken)
            store.commit_round({}, [RESOLVED])
            here.told.set()
            await until(lambda: len(here.woken) == 2)

    asyncio.run(story())
    assert store.uncomposed() == []
    assert store.message_id(FIRING.id)


def test_a_disk_that_took_the_decision_but_not_the_mail_is_tried_again(store, monkeypatch):
    """The mail would wait for the next restart of the alerter."""
    monkeypatch.setattr(composer, "RETRY_SECONDS", 0.01)
    store.commit_round({}, [FIRING])

    async def story():
        with closing(sqlite3.connect(store.folder / FILE_NAME, isolation_level=None)) as blocker:
            blocker.execute("BEGIN IMMEDIATE")
            async with Running(store) as here:
                await until(lambda: here.composer.trouble)
                assert store.uncomposed() == [FIRING]
                blocker.execute("ROLLBACK")
                await until(lambda: here.woken)
                await until(lambda: not here.composer.trouble)

    asyncio.run(story())
    assert store.uncomposed() == []


def test_evidence_goes_into_the_mail(store):
    """What Prometheus knows would not reach the reader."""
    store.commit_round({}, [FIRING])

    async def enrich(notifications):
        return [replace(item, host="the-trainer") for item in notifications]

    async def story():
        async with Running(store, enrich) as here:
            await until(lambda: here.woken)

    asyncio.run(story())
    assert b"the-trainer" in store.claim(1e12).letter.data
