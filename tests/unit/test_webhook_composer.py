import asyncio
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import replace
from email import message_from_bytes, policy

import pytest

from alerts import composer
from alerts.composer import Composer
from alerts.store import FILE_NAME, Store
from alerts.transport import Reply
from tests.golden.example_mails import FIRING, RESOLVED, SETTINGS
from tests.in_force import in_force


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

    def __init__(self, store, enrich=None, picture_of=None):
        self.told, self.woken = asyncio.Event(), []
        mail = in_force(mail=SETTINGS)
        self.composer = Composer(store, self.told, mail, lambda: self.woken.append(1), enrich, picture_of)

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


def test_the_picture_goes_into_the_final_bytes(store):
    """It would be drawn for nobody, or a resend would be without it."""
    store.commit_round({}, [FIRING])

    async def picture_of(_):
        return b"the picture"

    async def story():
        async with Running(store, picture_of=picture_of) as here:
            await until(lambda: here.woken)

    asyncio.run(story())
    mail = message_from_bytes(store.claim(1e12).letter.data)
    assert [part.get_payload(decode=True) for part in mail.walk() if part["Content-ID"]] == [b"the picture"]


def test_a_picture_that_fails_is_no_picture(store, caplog):
    """A fault in what draws would end the alerter, again at each start, and nobody would hear of anything."""
    store.commit_round({}, [FIRING])

    async def picture_of(_):
        raise RuntimeError

    async def story():
        async with Running(store, picture_of=picture_of) as here:
            await until(lambda: here.woken)

    asyncio.run(story())
    assert list(sent(store)) == [FIRING.id]
    assert "goes out without a picture" in caplog.text


BROKEN = replace(FIRING, id="z" * 20, incident="z" * 20, root="z" * 20, at=1e18, simulated=True)
"""No mail can bear its date."""


def sent(store):
    """What waits in the outbox, as a reader sees it."""
    letters = iter(lambda: store.claim(1e12), None)
    return {item.notification_id: message_from_bytes(item.letter.data, policy=policy.default) for item in letters}


def test_a_notification_that_breaks_the_mail_is_told_plainly_and_costs_no_other(store, caplog):
    """One odd alert would end the alerter, again at every restart, and nobody would hear of any other."""
    store.commit_round({}, [BROKEN, FIRING])

    async def story():
        async with Running(store) as here:
            await until(lambda: len(here.woken) == 2)
            assert here.composer.remarks == []

    asyncio.run(story())
    mails = sent(store)
    plain = mails[BROKEN.id]
    assert plain["Subject"] == "[SIMULATED] [CRITICAL] GPU 2 memory is 96.1 % full (gpubox)"
    assert (plain["To"], plain["X-Gpuwarden-Simulated"]) == (mails[FIRING.id]["To"], "yes")
    assert "Stop or shrink one of the processes" in plain.get_content()
    assert "gpu: 2" in plain.get_content()
    assert "Traceback" in caplog.text


def test_a_notification_of_which_no_mail_can_be_made_stays_visible(store, caplog):
    """An alert would vanish without a trace, or take all others with it."""
    store.commit_round({}, [FIRING, RESOLVED])
    with closing(sqlite3.connect(store.folder / FILE_NAME)) as db, db:
        db.execute("UPDATE notifications SET id = 'other' WHERE id = ?", (FIRING.id,))

    async def story():
        async with Running(store) as here:
            await until(lambda: here.woken)
            assert here.composer.remarks == ["1 alerts could not be made into mails, see the log"]
            logged = caplog.text
            here.told.set()
            await until(lambda: not here.told.is_set())
            assert caplog.text == logged

    asyncio.run(story())
    assert store.uncomposed() == [FIRING]
    assert list(sent(store)) == [RESOLVED.id]


def test_rows_that_cannot_be_read_hide_no_others(store, caplog):
    """One damaged row would keep every alert from everybody, in a loop of crashes."""
    damaged = [replace(FIRING, id=f"damaged{n}", root=f"damaged{n}") for n in range(3)]
    store.commit_round({}, [*damaged, FIRING])
    with closing(sqlite3.connect(store.folder / FILE_NAME)) as db, db:
        for item, text in zip(damaged, ("'{'", "'{\"id\": 7}'", "CAST(x'ff7b' AS TEXT)"), strict=True):
            db.execute(f"UPDATE notifications SET document = {text} WHERE id = ?", (item.id,))

    async def story():
        async with Running(store) as here:
            await until(lambda: here.woken)
            assert here.composer.remarks == ["3 rows of the state cannot be read, see the log"]

    asyncio.run(story())
    assert list(sent(store)) == [FIRING.id]
    assert store.uncomposed() == []
    assert caplog.text.count("is left out, it cannot be read") == 3


def test_evidence_that_fails_is_no_evidence(store, caplog):
    """A surprise from Prometheus would end the alerter instead of costing a picture."""
    store.commit_round({}, [FIRING])

    async def enrich(_):
        raise RuntimeError

    async def story():
        async with Running(store, enrich) as here:
            await until(lambda: here.woken)

    asyncio.run(story())
    assert list(sent(store)) == [FIRING.id]
    assert "go out without evidence" in caplog.text


def test_the_end_of_a_simulated_incident_is_marked_without_evidence(store):
    """While Prometheus is down, a demo's all-clear would read like a real one."""
    store.commit_round({}, [FIRING])

    async def story():
        prometheus = [[True]]

        async def enrich(notifications):
            return [replace(item, simulated=bool(prometheus)) for item in notifications]

        async with Running(store, enrich) as here:
            await until(lambda: here.woken)
            prometheus.clear()
            store.commit_round({}, [RESOLVED])
            here.told.set()
            await until(lambda: len(here.woken) == 2)

    asyncio.run(story())
    first = store.claim(1e12)
    store.accepted(first, Reply(250, "ok"), 1.0)
    mails = [message_from_bytes(item.letter.data) for item in (first, store.claim(1e12), store.claim(1e12))]
    assert [mail["X-Gpuwarden-Simulated"] for mail in mails] == ["yes", "yes", "yes"]


class Clock:
    """A clock that the test moves."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


def alerts(number, **changes):
    """So many incidents, decided at once."""
    names = [f"{index:a>20}" for index in range(number)]
    return [replace(FIRING, id=name, incident=name, root=name, **changes) for name in names]


def composer_at(store, clock):
    return Composer(store, asyncio.Event(), in_force(mail=SETTINGS), lambda: None, clock=clock)


def test_a_burst_becomes_one_mail_and_the_next_one_waits(store):
    """A rack that loses power would bury everybody under its mails."""
    clock = Clock(FIRING.at)
    here = composer_at(store, clock)
    store.commit_round({}, alerts(12))
    assert asyncio.run(here.compose_all()) is None
    store.commit_round({}, [replace(one, id=f"{one.id[1:]}z", root=f"{one.id}z") for one in alerts(12)])
    assert asyncio.run(here.compose_all()) == FIRING.at + 30
    assert here.composed == {"digest": 1}
    clock.now += 30
    assert asyncio.run(here.compose_all()) is None
    mails = [message["Subject"] for message in sent(store).values()]
    assert mails == ["[12 CRITICAL] 12 alerts on gpubox"] * 2


def test_what_quiet_hours_held_comes_when_they_end(store):
    """Nobody would hear in the morning of what happened at night."""
    clock = Clock(FIRING.at)
    here = composer_at(store, clock)
    until = FIRING.at + 3600
    store.commit_round({}, [replace(one, held_until=until, severity="warning") for one in alerts(3)])
    assert asyncio.run(here.compose_all()) == until
    assert here.remarks[0].startswith("3 mails are held by the quiet hours until 20")
    assert store.counts()["queued"] == 0
    clock.now = until
    assert asyncio.run(here.compose_all()) is None
    assert here.remarks == []
    (mail,) = sent(store).values()
    assert mail["Subject"] == "[3 WARNING] 3 alerts on gpubox"


def test_a_digest_that_cannot_be_made_costs_no_alert(store, caplog):
    """One odd alert among a hundred would keep all of them from everybody."""
    here = composer_at(store, Clock(FIRING.at))
    store.commit_round({}, [*alerts(6), replace(BROKEN, held_until=0.0, value=float("nan"), started_at=float("inf"))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composer, "compose_digest", lambda *_, **__: 1 / 0)
        asyncio.run(here.compose_all())
    assert store.uncomposed() == []
    assert len(sent(store)) == 7
    assert "cannot be told in one mail" in caplog.text


def test_evidence_is_asked_for_once_and_reaches_each_mail(store):
    """A Prometheus that hangs would delay a batch of mails by its deadline for each of them."""
    asked = []

    async def enrich(notifications):
        asked.append(len(notifications))
        return [replace(item, host=f"host-{item.id}") for item in notifications]

    here = Composer(store, asyncio.Event(), in_force(mail=SETTINGS), lambda: None, enrich, clock=Clock(FIRING.at))
    ended = replace(RESOLVED, id="e" * 20, incident=f"{0:a>20}", root=f"{0:a>20}")
    store.commit_round({}, [*alerts(3), ended])
    asyncio.run(here.compose_all())
    assert asked == [4]
    for identity, mail in sent(store).items():
        assert f"host-{identity}" in mail.get_body(("plain",)).get_content()


def test_the_end_of_one_of_many_answers_their_mail(store):
    """In the inbox the all-clear would stand by itself, far from the mail that told of the alert."""
    here = composer_at(store, Clock(FIRING.at))
    crowd = alerts(12)
    store.commit_round({}, crowd)
    asyncio.run(here.compose_all())
    store.commit_round({}, [replace(RESOLVED, id="e" * 20, incident=crowd[7].id, root=crowd[7].id)])
    asyncio.run(here.compose_all())
    mails = []
    while delivery := store.claim(1e12):
        store.accepted(delivery, Reply(250, "ok"), 1.0)
        mails.append(message_from_bytes(delivery.letter.data, policy=policy.default))
    assert [mail["X-Gpuwarden-Reason"] for mail in mails] == ["digest", "digest", "resolved", "resolved"]
    assert mails[2]["In-Reply-To"] == mails[2]["References"] == mails[0]["Message-ID"]


def test_a_fall_that_is_told_to_more_people_does_not_overtake_the_alert(store):
    """People read that a card is less full before they read that it is full, in a thread that does not begin."""
    here = composer_at(store, Clock(FIRING.at))
    for alert in alerts(5):
        store.commit_round({}, [alert])
        asyncio.run(here.compose_all())
    first = replace(FIRING, id="f" * 20, incident="f" * 20, root="f" * 20)
    other = replace(FIRING, id="g" * 20, incident="g" * 20, root="g" * 20)
    store.commit_round({}, [first, other])
    assert asyncio.run(here.compose_all()) == FIRING.at + 30
    more = (*FIRING.recipients, "more@example.com")
    store.commit_round({}, [replace(first, id="l" * 20, reason="lowered", recipients=more)])
    assert asyncio.run(here.compose_all()) == FIRING.at + 30
    mails = [*sent(store).values()]
    assert [mail["X-Gpuwarden-Reason"] for mail in mails[-2:]] == ["first", "lowered"]
    assert [item.id for item in store.uncomposed()] == [other.id]
    assert store.message_id(first.id) is not None
