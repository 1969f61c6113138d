"""What is told of an alert that came and went, where Alertmanager can be asked how it is now."""

import asyncio
import time

import pytest

from alerts.decisions import Decisions
from alerts.posts import Posts
from alerts.reconciler import Reconciler
from alerts.rules import SHIPPED, load_rules
from alerts.settings import AlertmanagerSettings
from alerts.store import Store
from tests.fakes.alertmanager_posts import payload, posted
from tests.in_force import in_force
from tests.unit.test_reconcile import STATUS, Server, held, ok

NOW = 1_800_000_000.0
MINUTE, HOUR = 60.0, 3600.0
UP_FOR_LONG = STATUS.replace(b"2027", b"2020")


class Road:
    """An alert that was told as flapping, and the Alertmanager that posted it."""

    def __init__(self, store, monkeypatch):
        self.now, self.store = NOW, store
        monkeypatch.setattr(time, "time", lambda: self.now)

    async def flap(self, url, *, firing):
        settings = AlertmanagerSettings(url=url)
        terms = in_force(load_rules(SHIPPED, []), ["me@example.com"], judge="alertmanager", alertmanager=settings)
        self.decisions = Decisions(self.store, terms)
        self.posts = Posts(self.decisions)
        self.reconciler = Reconciler(terms, self.posts, self.decisions)
        for _ in range(4):
            self.start = self.now
            await self.posts.receive(payload(posted(start=self.now)))
            self.now += MINUTE
            await self.posts.receive(payload(posted("resolved", start=self.start, end=self.now)))
            self.now += MINUTE
        if firing:
            self.start = self.now
            await self.posts.receive(payload(posted(start=self.now)))
        assert self.news() == ["first", "resolved"] * 3 + ["flapping"]

    def news(self):
        return [item.reason for item in self.store.uncomposed()]

    async def after(self, seconds):
        """What is told when time goes by: by our own clock, and by a look at Alertmanager."""
        before = len(self.news())
        self.now += seconds
        await self.posts.tick(self.now)
        assert self.news()[before:] == []
        await self.reconciler.look()
        return self.news()[before:]


@pytest.mark.parametrize("firing", [True, False])
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("suppressed", []),
        ("active", {True: ["repeat"], False: []}),
        ("nothing", {True: [], False: ["resolved"]}),
        ("503", []),
    ],
)
def test_what_came_and_went_is_told_as_alertmanager_says_it_is(tmp_path, monkeypatch, firing, answer, told):
    """Somebody silences what flaps, and is mailed all the same that it fires, or that it is over while it fires."""
    answers = {"suppressed": ok(held("suppressed")), "active": ok(held()), "nothing": ok(b"[]")}
    bad = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n"

    async def story(store):
        async with Server({"status": ok(UP_FOR_LONG), "alerts": answers.get(answer, bad)}) as server:
            road = Road(store, monkeypatch)
            await road.flap(server.url, firing=firing)
            assert await road.after(9 * MINUTE) == []
            assert server.asked == []
            expected = told if isinstance(told, list) else told[firing]
            assert await road.after(HOUR) == expected
            assert len(server.asked) > 0
            assert bool(road.decisions.flaps) is not (expected != [])

    with Store.open(tmp_path) as store:
        asyncio.run(story(store))


def test_an_alertmanager_that_has_just_started_calls_nothing_over(tmp_path, monkeypatch):
    """After a restart it knows of no alert for a while, so that whatever flapped would be called over."""

    async def story(store):
        async with Server({"status": ok(b"{}"), "alerts": ok(b"[]")}) as server:
            road = Road(store, monkeypatch)
            await road.flap(server.url, firing=False)
            assert await road.after(HOUR) == []
            server.answers["status"] = ok(UP_FOR_LONG)
            assert await road.after(MINUTE) == ["resolved"]

    with Store.open(tmp_path) as store:
        asyncio.run(story(store))
