import asyncio
import logging

import pytest

from alerts.retries import EXPIRY_SECONDS, judge, wait_after
from alerts.store import Store, StoreUnavailableError
from alerts.transport import CONFIGURATION
from tests.golden.example_mails import FIRING
from tests.unit.outbox_post import Post, add, running, until

NOW = FIRING.at


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    with Store.open(tmp_path / "state") as opened:
        yield opened


@pytest.mark.parametrize("attempt", [1, 2, 3, 6, 7, 50, 10_000])
def test_waits_double_from_15_seconds_to_15_minutes(attempt):
    """Without it a server in trouble would be asked ever faster, or never again."""
    plain = min(15 * 2 ** (attempt - 1), 900)
    assert wait_after(attempt, 0.5) == plain
    assert wait_after(attempt, 0.0) == pytest.approx(plain * 0.8)
    assert wait_after(attempt, 1.0) == pytest.approx(plain * 1.2)


@pytest.mark.parametrize("reason", ["deferred", "unreachable", "timeout", "ambiguous", "failed", "unwritable"])
def test_what_may_pass_is_tried_for_three_days(reason):
    """Without it a mail server's bad weekend would cost the mails of that weekend."""
    almost = NOW + EXPIRY_SECONDS - 1
    assert judge(reason, 3, NOW, almost, 0.5).state == "deferred"
    assert judge(reason, 3, NOW, almost, 0.5).next_at == almost + 60
    late = judge(reason, 3, NOW, NOW + EXPIRY_SECONDS, 0.5)
    assert (late.state, late.outcome) == ("dead", "expired")


@pytest.mark.parametrize("reason", sorted(CONFIGURATION))
def test_our_own_settings_cost_no_mail(reason):
    """Without it a wrong password would turn every alert into a dead letter."""
    assert judge(reason, 1, NOW, NOW, 0.5).state == "deferred"


def test_a_refusal_is_final():
    """Without it a server would be asked for days about an address that does not exist."""
    assert judge("refused", 1, NOW, NOW, 0.5).state == "dead"


def test_whatever_an_error_says_its_mail_is_tried_again(store, monkeypatch):
    """An error whose words no database takes leaves its mail as being sent until the next start."""
    monkeypatch.setattr(logging.getLogger("alerts.lane"), "disabled", True)  # pytest cannot hand such words on either
    add(store, "ann@example.com")
    post = Post({"ann@example.com": RuntimeError("half a character \ud83d\r\nand another line")})

    async def scenario():
        async with running(store, post) as outbox:
            await until(lambda: outbox.attempts.outcomes["failed"] == 1)
            await until(lambda: store.counts()["sending"] == 0)

    asyncio.run(scenario())
    (row,) = store.queue()
    assert (row.state, row.reply) == ("queued", "RuntimeError: half a character \ufffd and another line")


def test_fewer_connections_hold_in_the_middle_of_a_burst(store):
    """A provider that allows one connection would shut out an alerter that still has the many of before a reload."""
    add(store, *(f"person{number}@example.com" for number in range(30)))
    post, limit = Post(), [5]
    before = post.gate
    before.clear()

    async def scenario():
        async with running(store, post, workers=lambda: limit[0]):
            await until(lambda: post.at_once == 5)
            limit[0], post.gate = 1, asyncio.Event()
            before.set()
            await until(lambda: store.counts()["accepted"] == 5)
            assert store.counts()["sending"] <= 1
            post.gate.set()
            await until(lambda: store.counts()["accepted"] == 30)

    asyncio.run(scenario())


def test_a_damaged_letter_in_one_row_keeps_no_other_mail(store):
    """One byte that a disk got wrong would stop all mails for ever: the outbox could not even be read."""
    add(store, "ann@example.com")
    add(store, "bob@example.com", number=1)
    store.change(lambda db: db.execute("UPDATE deliveries SET recipient = CAST(x'616eff' AS TEXT) WHERE id = 1"))
    post = Post({"an\ufffd": "refused"})

    async def scenario():
        async with running(store, post):
            await until(lambda: store.counts() == {"queued": 0, "sending": 0, "accepted": 1, "dead": 1})

    asyncio.run(scenario())
    assert [row.recipient for row in store.queue()] == ["an\ufffd"]


def test_a_fault_of_ours_at_the_claim_ends_no_loop(store, monkeypatch, caplog):
    """It would end the deciding too, and again at each start."""
    monkeypatch.setattr("alerts.lane._STORE_RETRY_SECONDS", 0.01)
    add(store, "ann@example.com")

    async def scenario():
        with monkeypatch.context() as broken:
            broken.setattr(store, "claim", lambda *_: 1 / 0)
            async with running(store, Post()):
                await until(lambda: "a fault of ours: no further mail" in caplog.text)
                broken.undo()
                await until(lambda: store.counts()["accepted"] == 1)

    asyncio.run(scenario())


def test_one_bad_recipient_costs_only_their_own_mail(store):
    """Without it one mistyped address would keep the mail from everybody."""
    add(store, "ann@example.com", "bad@example.com", "bob@example.com")

    async def scenario():
        async with running(store, Post({"bad@example.com": "refused"})) as outbox:
            await until(lambda: sum(outbox.attempts.outcomes.values()) == 3 and store.counts()["sending"] == 0)
            assert outbox.attempts.outcomes == {"accepted": 2, "refused": 1}

    asyncio.run(scenario())
    assert store.counts() == {"queued": 0, "sending": 0, "accepted": 2, "dead": 1}


def test_a_deferred_mail_goes_out_later(store):
    """Without it greylisting, which refuses every first attempt, would end all mail."""
    add(store, "ann@example.com")
    post = Post({"ann@example.com": "deferred"})

    async def scenario():
        async with running(store, post) as outbox:
            await until(lambda: store.counts()["queued"] == 1 and outbox.attempts.outcomes["deferred"] == 1)
            outbox.test_clock.now += 14.9
            outbox.wake()
            await asyncio.sleep(0.05)
            assert len(post.asked) == 1
            post.answers.clear()
            outbox.test_clock.now += 0.1
            outbox.wake()
            await until(lambda: store.counts()["accepted"] == 1)

    asyncio.run(scenario())
    assert post.asked[0] == post.asked[1]


def test_a_new_mail_goes_at_once(store):
    """Without it an alert would wait for the outbox's next look."""
    post = Post()

    async def scenario():
        async with running(store, post) as outbox:
            await asyncio.sleep(0.05)
            add(store, "ann@example.com")
            outbox.wake()
            await until(lambda: store.counts()["accepted"] == 1)

    asyncio.run(scenario())


def test_a_wrong_password_is_not_repeated_for_every_mail(store):
    """Without it ten waiting alerts would be ten failed logins, and a locked account."""
    post = Post({f"r{number}@example.com": "login_refused" for number in range(10)})
    for number in range(10):
        add(store, f"r{number}@example.com", number=number)

    async def scenario():
        async with running(store, post) as outbox:
            await until(lambda: outbox.attempts.outcomes["login_refused"] >= 1 and post.at_once == 0)
            await asyncio.sleep(0.05)
            first = len(post.asked)
            assert first <= 2
            outbox.test_clock.now += 40
            outbox.wake()
            await until(lambda: len(post.asked) == first + 1 and post.at_once == 0)
            await asyncio.sleep(0.05)
            assert len(post.asked) == first + 1
            post.answers.clear()
            outbox.test_clock.now += 1000
            outbox.wake()
            await until(lambda: store.counts()["accepted"] == 10)
            assert outbox._mail._room() == 2

    asyncio.run(scenario())
    assert store.counts()["dead"] == 0


def test_workers_are_bounded(store):
    """Without it a burst of alerts would open more connections than a provider allows."""
    post = Post()
    post.gate.clear()
    add(store, *(f"r{number}@example.com" for number in range(6)))

    async def scenario():
        async with running(store, post, workers=lambda: 2):
            await until(lambda: post.at_once == 2)
            await asyncio.sleep(0.05)
            post.gate.set()
            await until(lambda: store.counts()["accepted"] == 6)

    asyncio.run(scenario())
    assert post.most_at_once == 2


def test_a_fault_of_ours_keeps_the_mail(store):
    """Without it a bug would end the loop, and with it all mail."""
    add(store, "ann@example.com")
    post = Post({"ann@example.com": ZeroDivisionError("bug")})

    async def scenario():
        async with running(store, post) as outbox:
            await until(lambda: outbox.attempts.outcomes["failed"] == 1 and store.counts()["queued"] == 1)

    asyncio.run(scenario())
    (row,) = store.queue()
    assert "ZeroDivisionError" in row.reply


def test_stopping_lets_a_sending_end(store):
    """Without it every restart would send the mail under way twice."""
    add(store, "ann@example.com")
    post = Post()
    post.gate.clear()

    async def scenario():
        async with running(store, post):
            await until(lambda: post.at_once == 1)
            asyncio.get_running_loop().call_later(0.05, post.gate.set)

    asyncio.run(scenario())
    assert store.counts()["accepted"] == 1
    assert post.closed


def test_stopping_does_not_wait_for_ever_and_loses_nothing(store):
    """Without it a silent server would keep the alerter from stopping, or the mail would be gone."""
    add(store, "ann@example.com")
    post = Post()
    post.gate.clear()

    async def stop():
        async with running(store, post, grace_seconds=0.05):
            await until(lambda: post.at_once == 1)

    async def start_again():
        async with running(store, post) as outbox:
            await until(lambda: store.counts()["accepted"] == 1)
            assert outbox.attempts.outcomes == {"ambiguous": 1, "accepted": 1}

    asyncio.run(stop())
    assert store.counts()["sending"] == 1
    post.gate.set()
    asyncio.run(start_again())
    assert post.asked[0] == post.asked[1]


class FullDisk(Store):
    """A store whose disk is full while ``full``."""

    full = False

    def accepted(self, delivery, reply, now, further=None):
        """Refuse as the real one does."""
        if self.full:
            message = "disk full"
            raise StoreUnavailableError(message)
        return super().accepted(delivery, reply, now, further)


def test_an_acceptance_outlives_a_full_disk(tmp_path, monkeypatch):
    """Without it a disk that is full for a minute would make a duplicate of every mail."""
    monkeypatch.setattr("alerts.lane._STORE_RETRY_SECONDS", 0.01)
    post = Post()
    with FullDisk.open(tmp_path) as store:
        store.full = True
        add(store, "ann@example.com")

        async def scenario():
            async with running(store, post):
                await until(lambda: len(post.asked) == 1)
                await asyncio.sleep(0.05)
                assert store.counts()["sending"] == 1
                store.full = False
                await until(lambda: store.counts()["accepted"] == 1)

        asyncio.run(scenario())
    assert len(post.asked) == 1


def test_what_everybody_has_is_dropped_every_day(store):
    """An alerter that runs for a year would keep every mail, until its file is full and nothing is told any more."""

    async def story():
        async with running(store, Post()) as outbox:
            add(store, "ann@example.com")
            outbox.wake()
            await until(lambda: store.counts()["accepted"] == 1)
            for days, kept in ((29, 1), (31, 0)):
                outbox.test_clock.now = NOW + days * 86_400
                outbox.wake()
                await until(lambda: outbox._pruned_at == outbox.test_clock.now)
                assert store.counts()["accepted"] == kept

    asyncio.run(story())
