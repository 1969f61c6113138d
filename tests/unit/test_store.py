import asyncio
import math
import multiprocessing
import os
import sqlite3
from dataclasses import replace

import pytest

from alerts.compose_mail import compose
from alerts.deliveries import DeliveryNotClaimedError
from alerts.schema import StateFromTheFutureError
from alerts.state import AlertKey, State
from alerts.store import FILE_NAME, StateInUseError, Store, StoreUnavailableError
from alerts.transport import Reply
from tests.golden.example_mails import FIRING, HOSTILE, RESOLVED, SETTINGS

KEY = AlertKey("GpuMemoryAlmostFull", (("gpu", "2"), ("instance", "a\udcff\n\"'显存")))
STATE = State(phase="firing", active_at=1.5, fired_at=2.5, value=math.inf, seen_at=3.25, incident="abc")
OK = Reply(250, "queued")


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    with Store.open(tmp_path / "state") as opened:
        yield opened


def add(store, notification, recipients=("ann@example.com",)):
    """Commit and compose ``notification``."""
    store.commit_round({}, [notification])
    store.add_message(notification.id, compose(notification, SETTINGS), recipients)


def test_states_survive(tmp_path):
    """Without it a restart would forget what is firing, and tell everybody again."""
    with Store.open(tmp_path) as store:
        store.commit_round({KEY: STATE, AlertKey("B", ()): replace(STATE, phase="pending", value=math.nan)}, [])
        store.commit_round({AlertKey("B", ()): None}, [])
    with Store.open(tmp_path) as store:
        assert store.load_states() == {KEY: STATE}


def test_states_of_an_older_version_are_read(tmp_path):
    """After an update everything that fires would be told again."""
    with Store.open(tmp_path) as store:
        store.commit_round({KEY: STATE}, [])
        for field in ("simulated", "host"):
            store._connection.execute(
                "UPDATE alert_states SET state = replace(state, ?, '\"former\":')", (f'"{field}":',)
            )
        assert store.load_states() == {KEY: STATE}
        assert not store.unreadable


def test_a_state_that_cannot_be_read_hides_no_others(tmp_path, caplog):
    """One damaged row would keep the alerter from starting at all."""
    with Store.open(tmp_path) as store:
        store.commit_round({KEY: STATE, AlertKey("B", ()): STATE}, [])
        store._connection.execute("UPDATE alert_states SET state = '{}' WHERE alert = '[\"B\", []]'")
    with Store.open(tmp_path) as store:
        assert store.load_states() == {KEY: STATE}
        assert len(store.unreadable) == 1
        store.commit_round({AlertKey("B", ()): STATE}, [])
        assert len(store.load_states()) == 2
    assert caplog.text.count("is left out") == 1


def test_notifications_survive_in_order(tmp_path):
    """Without it a crash between decision and composition would lose an alert."""
    with Store.open(tmp_path) as store:
        store.commit_round({}, [HOSTILE, FIRING])
        store.commit_round({}, [RESOLVED])
    with Store.open(tmp_path) as store:
        assert store.uncomposed() == [HOSTILE, FIRING, RESOLVED]
        store.add_message(FIRING.id, compose(FIRING, SETTINGS), ["a@b.c"])
        assert store.uncomposed() == [HOSTILE, RESOLVED]


def test_a_round_is_all_or_nothing(store):
    """Without it an alert could be remembered as told that nobody will be told of."""
    store.commit_round({}, [FIRING])
    with pytest.raises(sqlite3.IntegrityError):
        store.commit_round({KEY: STATE}, [RESOLVED, FIRING])
    assert store.load_states() == {}
    assert store.uncomposed() == [FIRING]


def test_a_message_is_kept_once(store):
    """Without it a second composition could replace bytes that were sent already."""
    add(store, FIRING)
    changed = replace(compose(FIRING, SETTINGS), data=b"other")
    store.add_message(FIRING.id, changed, ["ann@example.com", "new@example.com"])
    assert store.claim(FIRING.at).letter.data == compose(FIRING, SETTINGS).data
    assert store.counts()["queued"] == 0


def test_a_message_needs_its_notification(store):
    """Without it a mail could go out that no decision stands behind."""
    with pytest.raises(KeyError):
        store.add_message(FIRING.id, compose(FIRING, SETTINGS), ["a@b.c"])


def test_the_message_id_is_remembered(store):
    """Without it a resolved mail could not answer the mail that was really sent."""
    add(store, FIRING)
    assert store.message_id(FIRING.id) == compose(FIRING, SETTINGS).message_id
    assert store.message_id("unknown") is None


def test_each_recipient_has_a_delivery_of_their_own(store):
    """Without it one bad address would keep the mail from everybody."""
    add(store, FIRING, ("ann@example.com", "bob@example.com", "ann@example.com"))
    first, second = store.claim(FIRING.at), store.claim(FIRING.at)
    store.dead(first, "refused", "550 no", 1.0)
    store.accepted(second, OK, 1.0)
    assert store.counts() == {"queued": 0, "sending": 0, "accepted": 1, "dead": 1}
    (row,) = store.queue()
    assert (row.recipient, row.state, row.outcome, row.reply) == ("ann@example.com", "dead", "refused", "550 no")


def test_a_claim_is_exclusive(store):
    """Without it two workers would send the same mail."""
    add(store, FIRING)
    assert store.claim(FIRING.at)
    assert store.claim(FIRING.at) is None


def test_nothing_is_settled_twice(store):
    """Without it a late answer could turn an accepted mail into a dead one."""
    add(store, FIRING)
    delivery = store.claim(FIRING.at)
    store.accepted(delivery, OK, 1.0)
    with pytest.raises(DeliveryNotClaimedError):
        store.dead(delivery, "refused", "550", 1.0)
    assert store.counts()["accepted"] == 1


def test_deferred_waits_for_its_time(store):
    """Without it a busy server would be asked again without a pause."""
    add(store, FIRING)
    now = FIRING.at
    store.deferred(store.claim(now), "deferred", "451 later", now + 15)
    assert store.claim(now + 14.9) is None
    assert store.next_due() == now + 15
    assert store.claim(now + 15).attempts == 2


def test_a_clock_set_back_delays_nothing(store):
    """Without it a wrong clock of yesterday could hold back a mail for years."""
    add(store, FIRING)
    now = FIRING.at
    store.deferred(store.claim(now), "deferred", "451", now + 15)
    assert store.claim(now - 1_000_000).attempts == 2


def test_what_was_being_sent_is_sent_again_with_the_same_bytes(tmp_path):
    """Without it a crash in the middle of a sending would lose the mail."""
    with Store.open(tmp_path) as store:
        add(store, FIRING)
        before = store.claim(FIRING.at)
    with Store.open(tmp_path) as store:
        assert store.claim(FIRING.at) is None
        assert (store.recover(), store.recover()) == (1, 0)
        after = store.claim(FIRING.at)
    assert after.letter == before.letter
    assert after.attempts == 2


def test_resolved_waits_for_the_mail_it_answers(store):
    """Without it RESOLVED could arrive before the alert that it ends."""
    add(store, FIRING, ("ann@example.com", "bob@example.com"))
    add(store, RESOLVED, ("ann@example.com", "bob@example.com"))
    now = RESOLVED.at
    ann = store.claim(now)
    store.accepted(store.claim(now), OK, now)
    bob = store.claim(now)
    assert (bob.notification_id, bob.letter.recipient) == (RESOLVED.id, "bob@example.com")
    assert store.claim(now) is None
    assert store.next_due() is None
    store.dead(ann, "refused", "550", now)
    assert store.claim(now).notification_id == RESOLVED.id


def test_waiting_is_counted(store):
    """Without it nobody would see that mails pile up."""
    assert store.oldest_waiting() is None
    add(store, FIRING)
    add(store, RESOLVED)
    assert store.oldest_waiting() == FIRING.at
    store.accepted(store.claim(FIRING.at), OK, 1.0)
    assert store.oldest_waiting() == RESOLVED.at
    assert store.counts() == {"queued": 1, "sending": 0, "accepted": 1, "dead": 0}


def test_only_what_everybody_has_is_dropped(store):
    """Without it the file would grow for ever, or a dead letter would vanish unseen."""
    for index, notification in enumerate((FIRING, RESOLVED, HOSTILE)):
        add(store, notification)
        if index < 2:
            delivery = store.claim(RESOLVED.at)
            store.accepted(delivery, OK, 1.0) if index == 0 else store.dead(delivery, "refused", "550", 1.0)
    store.commit_round({}, [replace(FIRING, id="uncomposed")])
    assert store.prune(FIRING.at) == 0
    assert store.prune(FIRING.at + 1e9) == 1
    assert store.message_id(FIRING.id) is None
    assert store.counts() == {"queued": 1, "sending": 0, "accepted": 0, "dead": 1}
    assert len(store.uncomposed()) == 1


def test_the_first_mail_of_what_still_fires_is_kept(store):
    """After a month of firing, the mail about the end would answer nothing, and a demo's would look real."""
    add(store, FIRING)
    store.accepted(store.claim(FIRING.at), OK, 1.0)
    store.commit_round({KEY: replace(STATE, incident=FIRING.id)}, [])
    assert store.prune(FIRING.at + 1e9) == 0
    store.commit_round({KEY: replace(STATE, incident="lowered", root=FIRING.id)}, [])
    assert store.prune(FIRING.at + 1e9) == 0
    store.commit_round({KEY: None}, [])
    assert store.prune(FIRING.at + 1e9) == 1


def test_a_second_alerter_is_refused(tmp_path):
    """Without it two alerters would mail everything twice."""
    with Store.open(tmp_path):
        with pytest.raises(StateInUseError) as caught:
            Store.open(tmp_path)
        assert str(tmp_path) in str(caught.value)
    Store.open(tmp_path).close()


def test_the_lock_goes_with_the_process(tmp_path):
    """Without it an alerter that was killed could not be started again."""
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=_open_and_die, args=(str(tmp_path),))
    child.start()
    child.join(30)
    assert child.exitcode == 9
    Store.open(tmp_path).close()


def _open_and_die(folder):
    from pathlib import Path

    Store.open(Path(folder))
    os._exit(9)


def test_a_full_disk_refuses_and_keeps(tmp_path):
    """Without it a full disk would lose what is there, or let a decision pass for committed."""
    Store.open(tmp_path).close()
    with Store.open(tmp_path, max_bytes=120_000) as store:
        kept = []

        def fill():
            for index in range(200):
                item = replace(HOSTILE, id=f"n{index}")
                store.commit_round({AlertKey(f"A{index}", ()): STATE}, [item])
                kept.append(item)

        with pytest.raises(StoreUnavailableError):
            fill()
        assert 0 < len(kept) < 200
        assert store.uncomposed() == kept
        assert len(store.load_states()) == len(kept)
    with Store.open(tmp_path) as store:
        store.commit_round({}, [FIRING])
        assert len(store.uncomposed()) == len(kept) + 1


@pytest.mark.parametrize("damage", ["a file in the way", "a folder in the way", "not a database"])
def test_an_unusable_state_folder_is_named(tmp_path, damage):
    """Without it the alerter would end in a traceback that names no file."""
    folder = tmp_path / "state"
    if damage == "a file in the way":
        folder.write_text("x")
    elif damage == "a folder in the way":
        (folder / FILE_NAME).mkdir(parents=True)
    else:
        folder.mkdir()
        (folder / FILE_NAME).write_text("this is not a database, it is long enough to look like one" * 20)
    with pytest.raises(StoreUnavailableError) as caught:
        Store.open(folder)
    assert str(folder) in str(caught.value)


def test_a_newer_state_is_left_alone(tmp_path):
    """Without it going back to an older version could destroy what the newer one wrote."""
    Store.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(StateFromTheFutureError):
        Store.open(tmp_path)


def test_what_is_committed_is_on_the_disk(store):
    """Without it a power loss could take back what was promised."""
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_others_cannot_read_it(tmp_path):
    """Without it every user of the machine could read who is told what."""
    Store.open(tmp_path / "state").close()
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
    assert (tmp_path / "state" / FILE_NAME).stat().st_mode & 0o077 == 0


def test_calls_from_asyncio(store):
    """Without it a slow disk would stop every loop of the alerter."""
    assert asyncio.run(store.call(store.commit_round, {KEY: STATE}, [FIRING])) is None
    assert asyncio.run(store.call(store.load_states)) == {KEY: STATE}


def test_a_mail_is_on_the_disk_before_a_server_hears_of_it(store):
    """Without it a power loss could make another mail of an alert whose first mail somebody has."""
    synced = []
    store._connection.set_trace_callback(
        lambda statement: synced.append(statement) if statement.startswith(("PRAGMA", "COMMIT")) else None
    )
    add(store, FIRING)
    store.claim(FIRING.at)
    store._connection.set_trace_callback(None)
    decided, composed, claimed = (f"PRAGMA synchronous = {level}" for level in ("FULL", "NORMAL", "FULL"))
    assert synced == [decided, "COMMIT", composed, "COMMIT", claimed, "COMMIT"]
