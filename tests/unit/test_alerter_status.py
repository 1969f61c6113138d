import asyncio

import httpx

from alerts.compose_mail import compose
from alerts.composer import Composer
from alerts.decisions import Decisions
from alerts.outbox import Outbox
from alerts.posts import Posts
from alerts.service import Service
from alerts.store import Store
from alerts.web import application
from tests.golden.example_mails import FIRING, SETTINGS
from tests.in_force import in_force


def status(store):
    terms = in_force(mail=SETTINGS)
    decisions = Decisions(store, terms)
    composer, outbox = Composer(store, decisions.told, terms, lambda: None), Outbox(store, None)
    service = Service(terms, store, decisions, Posts(decisions), composer, outbox)
    transport = httpx.ASGITransport(application(service))

    async def visit():
        async with httpx.AsyncClient(transport=transport, base_url="http://alerter") as client:
            return (await client.get("/status")).text

    return asyncio.run(visit())


def test_mails_that_wait_or_are_given_up_are_in_the_status(tmp_path):
    """Nobody would learn that a mail reached nobody."""
    with Store.open(tmp_path) as store:
        assert status(store) == "nothing fires; no post yet\n"
        store.commit_round({}, [FIRING])
        store.add_message(FIRING.id, compose(FIRING, SETTINGS), ["ann@example.com", "bob@example.com"])
        store.dead(store.claim(FIRING.at), "refused", "550 no", FIRING.at)
        assert status(store) == "nothing fires; no post yet; 1 mails wait; 1 mails are given up\n"


def test_rows_that_cannot_be_read_are_in_the_status(tmp_path):
    """An alert that was lost to a damaged file would be lost without a word."""
    with Store.open(tmp_path) as store:
        store.commit_round({}, [FIRING])
        store._connection.execute("UPDATE notifications SET document = '{'")
        store.uncomposed()
        assert "1 rows of the state cannot be read, see the log" in status(store)
