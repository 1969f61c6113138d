import asyncio
from dataclasses import replace

import httpx
import pytest

from alerts.decisions import Decisions
from alerts.rounds import Rounds
from alerts.rules import SHIPPED, load_rules
from alerts.store import Store

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
        decisions = Decisions(store, (replace(TARGET_DOWN, for_=0.0),), ["me@example.com"])
        rounds = Rounds(decisions, ["http://127.0.0.1:9400/metrics"], 5.0)
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            while answers:
                await rounds.run_once(client)
        assert [visit.samples.keys() & {"host_info"} for visit in rounds.scrapes] == [set()]

    asyncio.run(story())
    (first,) = store.uncomposed()
    assert (first.alertname, first.simulated, first.host) == ("TargetDown", True, "box")
