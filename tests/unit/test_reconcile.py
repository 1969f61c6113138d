"""What becomes of alerts that are not posted any more; the clock stands still but for what a test says."""

import asyncio
import json
import logging
from dataclasses import replace

import pytest

from alerts import alertmanager_api
from alerts.alertmanager_api import AlertmanagerApi, AlertmanagerError, read_look
from alerts.decisions import Decisions
from alerts.in_force import Terms
from alerts.notify.mute import judged_elsewhere
from alerts.posts import Posts
from alerts.reconcile import Look, overdue, reconciled
from alerts.reconciler import Reconciler
from alerts.rules import SHIPPED, load_rules
from alerts.scrape_settings import ScrapeSettings
from alerts.settings import AlertmanagerSettings
from alerts.store import Store
from alerts.webhook import parse_post
from gpuwarden.units import Duration
from tests.fakes.alertmanager_posts import payload, posted, stamp
from tests.fakes.posted_to import KEY, NOW, RULES, Box
from tests.in_force import in_force

ASK_AFTER, SETTLE = 100.0, 30.0


def terms_of(rules, url=None, ask_after=ASK_AFTER):
    settings = AlertmanagerSettings(url=url, ask_after=Duration(ask_after))
    return in_force(rules, ["me@example.com"], judge="alertmanager", alertmanager=settings)


def open_box():
    """One incident that was told at NOW + 1."""
    box = Box()
    assert len(box.post(posted(start=NOW))) == 1
    return box


def alerts_of(*found):
    return parse_post(payload(*found)).alerts


class Asked:
    """Alertmanager, up since long ago, asked again and again about what is overdue in a box."""

    def __init__(self, box, up_since=0.0):
        self.box, self.up_since, self.missing = box, up_since, {}

    def look(self, at, *, active=(), quiet=()):
        """What is told when it holds these, ``at`` seconds after NOW."""
        box, now = self.box, NOW + at
        asked = overdue(box.states, now, ASK_AFTER, NOW)
        look = Look(alerts_of(*active), alerts_of(*quiet), self.up_since)
        known = self.missing, box.rules, box.states
        changes, self.missing = reconciled(look, asked, *known, now=now, settle=SETTLE)
        for change in changes:
            box.states[change.key] = change.state
        self.reasons = [change.reason for change in changes]
        verdicts = judged_elsewhere(changes, lately={}, states=box.states, rules=box.rules)
        box.states = {key: state for key, state in box.states.items() if state}
        return [verdict.tells for verdict in verdicts if verdict.tells]


def test_what_was_posted_lately_is_not_asked_about():
    """Alertmanager would be asked about everything all the time."""
    box = open_box()
    assert overdue(box.states, NOW + 100, ASK_AFTER, NOW) == set()
    assert overdue(box.states, NOW + 102, ASK_AFTER, NOW) == {KEY}


def test_what_was_open_at_the_start_is_asked_about_until_it_is_posted():
    """What ended while the alerter was down would fire here for hours, or for ever."""
    box = open_box()
    assert overdue(box.states, NOW + 10, ASK_AFTER, NOW + 5) == {KEY}
    box.post(posted(start=NOW), after=6)
    assert overdue(box.states, NOW + 10, ASK_AFTER, NOW + 5) == set()


def test_what_is_gone_is_closed_without_a_mail_but_not_at_the_first_look():
    """An alert that ended under a silence would fire here for ever, or its RESOLVED mail would be lost on its way."""
    asked = Asked(open_box())
    assert (asked.look(110), asked.reasons) == ([], [])
    assert (asked.look(139), asked.reasons) == ([], [])
    assert (asked.look(140), asked.reasons) == ([], ["gone_from_alertmanager"])
    assert asked.box.states == {}


def test_an_end_that_is_posted_between_two_looks_is_told():
    """The RESOLVED mail of an alert that ended a moment ago would be lost."""
    asked = Asked(open_box())
    asked.look(110)
    (resolved,) = asked.box.post(posted("resolved", start=NOW, end=NOW + 109), after=115)
    assert resolved.reason == "resolved"
    assert (asked.look(140), asked.reasons) == ([], [])


def test_an_alertmanager_that_has_just_started_is_not_believed():
    """After its restart every alert would be closed, and told a second time when it is posted again."""
    asked = Asked(open_box(), up_since=NOW + 115)
    asked.look(110)
    assert (asked.look(144), asked.reasons) == ([], [])
    assert (asked.look(145), asked.reasons) == ([], ["gone_from_alertmanager"])


def test_what_is_there_again_in_between_begins_to_be_missed_anew():
    """An alert that flickers in Alertmanager's list would be closed while it fires."""
    asked = Asked(open_box())
    asked.look(110)
    asked.look(120, quiet=[posted(start=NOW)])
    assert (asked.look(140), asked.reasons) == ([], [])
    assert (asked.look(170), asked.reasons) == ([], ["gone_from_alertmanager"])


def test_what_is_active_is_seen_again():
    """An alert whose posts are lost on the way would be asked about for ever, or closed while the card is full."""
    asked = Asked(open_box())
    assert (asked.look(110, active=[posted(start=NOW)]), asked.reasons) == ([], ["posted_firing"])
    (state,) = asked.box.states.values()
    assert (state.seen_at, state.incident) == (NOW + 110, "id1")
    assert overdue(asked.box.states, NOW + 200, ASK_AFTER, NOW) == set()


def test_a_silenced_one_stays_as_it_is():
    """A card that is silenced for a day would be closed, and be told as new when the silence ends."""
    asked = Asked(open_box())
    for at in (110, 150, 5000):
        assert (asked.look(at, quiet=[posted(start=NOW)]), asked.reasons) == ([], [])
    assert asked.box.states[KEY].seen_at == NOW + 1


def test_a_later_run_whose_post_was_lost_is_told():
    """The card was free in between and is full again, and nobody would hear of the second time."""
    asked = Asked(open_box())
    assert asked.look(5000, active=[posted(start=NOW + 4000)]) == ["first"]
    assert asked.reasons == ["superseded"]


def test_others_that_alertmanager_holds_are_none_of_our_business():
    """An alert that is routed to somebody else would be mailed."""
    asked = Asked(open_box())
    other = posted(start=NOW, gpu="1", uuid="GPU-b")
    assert (asked.look(110, active=[other]), asked.reasons) == ([], [])
    assert list(asked.box.states) == [KEY]


def held(state="active", **labels):
    return json.dumps([{**posted(start=NOW, **labels), "status": {"state": state}, "fingerprint": "0"}]).encode()


STATUS = json.dumps({"uptime": stamp(NOW), "cluster": {"status": "disabled"}}).encode()


def test_alertmanagers_lists_are_read():
    """Silenced alerts would be told as active, or the other way round."""
    look = read_look(STATUS, [held(), held("suppressed", gpu="1"), held("unprocessed", gpu="2"), b"[]"], NOW + 9)
    assert [dict(alert.labels)["gpu"] for alert in look.active] == ["0"]
    assert [dict(alert.labels)["gpu"] for alert in look.quiet] == ["1", "2"]
    assert look.active[0].ended_at is None
    assert look.up_since == NOW
    assert read_look(b"{}", [], NOW + 9).up_since == NOW + 9


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[7]", b"[{}]", b'[{"status": {}}]', b"null", b"[" * 100_000])
def test_an_answer_that_is_none_changes_nothing(body):
    """A login page in front of Alertmanager would close every alert, or end the alerter."""
    with pytest.raises(AlertmanagerError):
        read_look(STATUS, [body], NOW)


class Server:
    """Answers each request by what ``answers`` hold for its path, as bytes of HTTP."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        target = head.split()[1].decode()
        self.asked.append(target)
        writer.write(self.answers[target.partition("?")[0].rpartition("/")[2]])
        try:
            await writer.drain()
        finally:
            writer.close()


def ok(body):
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def test_only_what_is_overdue_is_asked_for_by_its_name():
    """A few thousand alerts of others would be read every minute, or a name with quotes would ask for everything."""

    async def story():
        async with Server({"status": ok(STATUS), "alerts": ok(held())}) as server:
            look = await AlertmanagerApi(f"{server.url}/", ScrapeSettings()).look({'a"b', "GpuMemoryAlmostFull"})
            assert len(look.active) == 2
            assert server.asked[1:] == [
                "/api/v2/alerts?filter=alertname%3D%22GpuMemoryAlmostFull%22",
                "/api/v2/alerts?filter=alertname%3D%22a%5C%22b%22",
            ]

    asyncio.run(story())


def test_very_many_are_asked_for_at_once():
    """The answers would not all come in time, so incidents that are long over would stay open."""

    async def story():
        async with Server({"status": ok(STATUS), "alerts": ok(held())}) as server:
            names = {f"Alert{number}" for number in range(alertmanager_api.MOST_NAMES + 1)}
            look = await AlertmanagerApi(server.url, ScrapeSettings()).look(names)
            assert (len(look.active), server.asked[1:]) == (1, ["/api/v2/alerts"])

    asyncio.run(story())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n", "answered 503"),
        (ok(b"<html>"), "not JSON"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[", ""),
        (b"nonsense\r\n\r\n", ""),
        (ok(b" " * 5000), "answered with more than"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b", "not JSON"),
    ],
)
def test_while_alertmanager_cannot_be_asked_nothing_changes_and_one_line_says_so(
    tmp_path, monkeypatch, caplog, answer, said
):
    """A broken answer would close what fires, or fill the log every minute."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(alertmanager_api, "MOST_BYTES", 4000)

    async def story(store):
        terms = terms_of(RULES)
        decisions = Decisions(store, terms)
        posts = Posts(decisions)
        await posts.receive(payload(posted(start=NOW)))
        states = dict(decisions.states)
        async with Server({"status": ok(STATUS), "alerts": answer}) as server:
            terms.take(terms_of(RULES, server.url).terms)
            reconciler = Reconciler(terms, posts, decisions)
            for _ in range(3):
                await reconciler.look()
            assert len(server.asked) == 6
            assert said in reconciler.trouble != ""
            server.answers["alerts"] = ok(held("suppressed"))
            await reconciler.look()
            assert reconciler.trouble == ""
        assert decisions.states == states

    with Store.open(tmp_path) as store:
        asyncio.run(story(store))
    assert caplog.text.count("cannot be asked about what it does not post") == 1
    assert caplog.text.count("can be asked again") == 1


def test_alertmanager_is_asked_by_the_certificates_that_are_in_force(tmp_path):
    """Certificates that are being exchanged take part in one look and not in the next, before anybody said reload."""

    async def story(store):
        terms = terms_of(RULES)
        posts = Posts(decisions := Decisions(store, terms))
        await posts.receive(payload(posted(start=NOW)))
        async with Server({"status": ok(STATUS), "alerts": ok(held())}) as server:
            settings = terms_of(RULES, server.url).settings
            gone = ScrapeSettings(ca_file=str(tmp_path / "being-exchanged.pem"))
            terms.take(Terms(replace(settings, scrape=gone), RULES, trust=True))
            reconciler = Reconciler(terms, posts, decisions)
            await reconciler.look()
            assert (len(server.asked), reconciler.trouble) == (2, "")

    with Store.open(tmp_path) as store:
        asyncio.run(story(store))


def test_it_is_closed_on_the_disk_too_and_the_log_says_why(tmp_path, caplog):
    """The next start would bring the alert back, and nobody would know why no RESOLVED mail came."""
    caplog.set_level(logging.INFO)

    async def story(store):
        terms = terms_of(load_rules(SHIPPED, []))
        decisions = Decisions(store, terms)
        posts = Posts(decisions)
        await posts.receive(payload(posted(start=NOW)))
        async with Server({"status": ok(STATUS.replace(b"2027", b"2020")), "alerts": ok(b"[]")}) as server:
            terms.take(terms_of(terms.rules, server.url, ask_after=0.0).terms)
            reconciler = Reconciler(terms, posts, decisions)
            await reconciler.look()
        return decisions

    with Store.open(tmp_path) as store:
        decisions = asyncio.run(story(store))
        assert store.load_states() == decisions.states == {}
        assert [item.reason for item in store.uncomposed()] == ["first"]
    assert "GpuMemoryAlmostFull dropped (gone_from_alertmanager)" in caplog.text
