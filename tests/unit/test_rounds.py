import asyncio
from dataclasses import replace

import httpx
import pytest

from alerts.decisions import Decisions
from alerts.in_force import Terms
from alerts.mail_settings import MailSettings
from alerts.rounds import Rounds
from alerts.rules import SHIPPED, load_rules
from alerts.settings import AlerterSettings
from alerts.store import Store
from alerts.windows import Over
from tests.in_force import in_force

(TARGET_DOWN,) = (rule for rule in load_rules(SHIPPED, []) if rule.alert == "TargetDown")
PAGE = b'gpuwarden_exporter_simulated 1\nhost_info{hostname="box"} 1\n'


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    with Store.open(tmp_path) as opened:
        yield opened


def test_a_target_that_does_not_answer_is_still_simulated_and_has_its_name(store):
    """When a demo ends, a mail that looks real would say that a host is down, by a number."""
    answers = [
        httpx.Response(200, stream=httpx.ByteStream(PAGE)),
        httpx.ConnectError("refused"),
        httpx.ConnectError("refused"),
    ]

    def answer(_):
        reply = answers.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def story():
        terms = in_force([replace(TARGET_DOWN, for_=0.0)], ["me@example.com"])
        rounds = Rounds(Decisions(store, terms), terms)
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            while answers:
                await rounds.run_once(client)
        assert [visit.samples.keys() & {"host_info"} for visit in rounds.scrapes] == [set()]

    asyncio.run(story())
    (first,) = store.uncomposed()
    assert (first.alertname, first.simulated, first.host) == ("TargetDown", True, "box")


def test_a_round_ends_by_the_settings_with_which_it_began(store):
    """A reload while a page is read mails the people of the new settings about a rule that they do not have."""
    terms = in_force([replace(TARGET_DOWN, for_=0.0)], ["old@example.com"])
    rounds = Rounds(Decisions(store, terms), terms)

    def answer(_):
        terms.take(Terms(AlerterSettings(mail=MailSettings(to=("new@example.com",)))))
        reason = "refused"
        raise httpx.ConnectError(reason)

    async def story():
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            await rounds.run_once(client)

    asyncio.run(story())
    assert [found.recipients for found in store.uncomposed()] == [("old@example.com",)]


BODY = b"m 1\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"


def test_a_target_that_hangs_blinds_no_rule_that_looks_back(store):
    """One box that accepts connections and says nothing takes the history of all boxes, again and again."""
    window = Over("max", 3.0)
    rule = replace(TARGET_DOWN, alert="Peak", metric="m", unit="count", comparison="above", window=window)

    async def story():
        watched, ways = asyncio.Event(), []

        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD + BODY)
            await writer.drain()
            writer.close()
            if ways[0].history.watched("m", window):
                watched.set()

        async def hang(_, writer):
            await watched.wait()
            writer.close()

        servers = [await asyncio.start_server(way, "127.0.0.1") for way in (answer, hang)]
        targets = tuple(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/metrics" for server in servers)
        terms = in_force([rule], ["me@example.com"], targets=targets, interval=0.3)
        rounds = Rounds(Decisions(store, terms), terms)
        ways.append(rounds)
        running = asyncio.create_task(rounds.run())
        try:
            await asyncio.wait_for(watched.wait(), 30)
        finally:
            watched.set()
            running.cancel()
            for server in servers:
                server.close()

    asyncio.run(story())
