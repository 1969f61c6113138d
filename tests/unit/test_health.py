import asyncio
import threading
from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from alerts.compose_mail import compose
from alerts.composer import Composer
from alerts.decisions import Decisions
from alerts.histogram import Histogram
from alerts.outbox import Outbox
from alerts.posts import Posts
from alerts.rounds import Rounds
from alerts.rules import SHIPPED, load_rules
from alerts.service import Service
from alerts.state_figures import state_figures
from alerts.store import Store
from alerts.transport import Reply
from alerts.web import application
from gpuwarden.catalog import ALERTER_ROWS
from tests.fakes.alertmanager_posts import payload, posted
from tests.golden.example_mails import FIRING, HOSTILE, SETTINGS
from tests.in_force import in_force

RULES = load_rules(SHIPPED, [])
PREFIX = "gpuwarden_alerter_"


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    with Store.open(tmp_path) as opened:
        yield opened


class Accepting:
    """A way out that takes everything."""

    async def send(self, _):
        return Reply(250, "ok")

    async def close(self):
        pass


def service_of(store, decider_of=Posts, **settings):
    terms = in_force(RULES, ["me@example.com"], mail=replace(SETTINGS, host=None), **settings)
    decisions = Decisions(store, terms)
    outbox = Outbox(store, Accepting())
    composer = Composer(store, decisions.told, terms, outbox.wake)
    return Service(terms, store, decisions, decider_of(decisions), composer, outbox)


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 -- what it waits for tells nobody
            await asyncio.sleep(0.01)


async def page(service):
    transport = httpx.ASGITransport(application(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://alerter") as client:
        text = (await client.get("/metrics")).text
    return {
        (sample.name.removeprefix(PREFIX), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_delivery_is_counted_from_its_decision_and_a_page_is_a_histogram(store):
    """Nobody could say how long a mail takes, or notice that it takes longer each week."""

    async def story():
        service = service_of(store)
        running = asyncio.create_task(service.run())
        await service.decider.receive(payload(posted(), posted("firing", alertname="Watchdog")))
        await until(lambda: service.outbox.attempts.outcomes["accepted"] == 2)
        found = await page(service)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return found

    found = asyncio.run(story())
    assert found["delivery_duration_seconds_count",] == 2
    assert found["delivery_duration_seconds_bucket", "+Inf"] == 2
    assert found["delivery_duration_seconds_bucket", "86400.0"] == 2
    assert found["last_accepted_timestamp_seconds",] > 1_700_000_000
    assert found["last_watchdog_timestamp_seconds",] == found["last_post_timestamp_seconds",]
    assert found["notifications_uncomposed",] == 0
    assert found["config_last_reload_successful",] == 1
    assert 0 < found["state_used_ratio",] < 0.01


def test_a_restart_remembers_when_a_mail_was_last_accepted(store):
    """A quiet week would look as if no mail had ever come through."""
    store.commit_round({}, [FIRING])
    store.add_message(FIRING.id, compose(FIRING, SETTINGS), ["ann@example.com"])
    store.accepted(store.claim(FIRING.at), Reply(250, "ok"), FIRING.at + 7)

    async def story():
        service = service_of(store)
        running = asyncio.create_task(service.outbox.run())
        await until(lambda: service.outbox.attempts.accepted_at)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return await page(service)

    assert asyncio.run(story())["last_accepted_timestamp_seconds",] == FIRING.at + 7


def test_what_was_decided_and_has_no_mail_is_counted_unless_it_is_to_wait(store):
    """Nobody would notice alerts that never became mails, or be woken by those that wait for the morning."""
    store.commit_round({}, [FIRING, HOSTILE, replace(FIRING, id="held", held_until=FIRING.at + 60)])

    assert store.read(state_figures, FIRING.at).uncomposed == 2
    assert store.read(state_figures, FIRING.at + 60).uncomposed == 3
    store.add_message(FIRING.id, compose(FIRING, SETTINGS), ["ann@example.com"])
    assert store.read(state_figures, FIRING.at).uncomposed == 1


def test_a_refused_reload_is_on_the_page_and_in_the_status(store):
    """Somebody's change would not be in force, and nothing would say so."""

    async def story():
        service = service_of(store)
        service.in_force.refuse("rules.yml:2: no")
        transport = httpx.ASGITransport(application(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://alerter") as client:
            return await page(service), (await client.get("/status")).text

    found, status = asyncio.run(story())
    assert found["config_last_reload_successful",] == 0
    assert "the last reload was refused, see the log" in status


def test_a_round_that_takes_too_long_leaves_out_those_behind_it_and_says_how_many(store):
    """An overloaded alerter would judge ever more rarely, and look well."""
    busy = threading.Event()

    async def story():
        service = service_of(
            store, lambda it: Rounds(it, it._in_force), interval=0.1, targets=("http://127.0.0.1:1/metrics",)
        )
        rounds = service.decider
        holding = asyncio.create_task(store.call(busy.wait))
        running = asyncio.create_task(rounds.run())
        begun = asyncio.get_running_loop().time()
        await until(lambda: asyncio.get_running_loop().time() - begun > 0.5)
        busy.set()
        await until(lambda: rounds.missed)
        await holding
        found = await page(service)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return found

    found = asyncio.run(story())
    assert found["rounds_missed_total",] >= 3
    assert found["round_duration_seconds",] >= 0
    assert found["round_lag_seconds",] >= 0


def test_every_row_of_the_catalog_can_be_on_the_page(store):
    """A rule or a panel would wait for a series that never comes."""

    async def story():
        posts, rounds = service_of(store), service_of(store, lambda it: Rounds(it, it._in_force))
        await posts.decider.receive(payload(posted(), posted("firing", alertname="Watchdog")))
        return {name for service in (posts, rounds) for name, *_ in await page(service)}

    names = {name.removesuffix("_bucket") for name in asyncio.run(story())}
    later = {
        "target_up",
        "last_round_timestamp_seconds",
        "round_duration_seconds",
        "round_lag_seconds",
        "notifications_suppressed_total",
        "notifications_held_total",
        "messages_composed_total",
        "outbox_oldest_timestamp_seconds",
        "attempts_total",
        "last_accepted_timestamp_seconds",
        "heartbeats_total",
        "last_heartbeat_timestamp_seconds",
    }
    assert {row.name.removeprefix(PREFIX) for row in ALERTER_ROWS} - later <= names


def test_a_value_on_a_bound_counts_below_it():
    """A delivery of exactly a minute would be in the wrong bucket."""
    histogram = Histogram((1.0, 60.0))
    for value in (0.5, 60.0, 61.0):
        histogram.observe(value)

    assert [value for _, _, value in histogram.samples()] == [1, 2, 3, 3, 121.5]
