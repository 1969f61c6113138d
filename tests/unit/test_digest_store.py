import sqlite3
from dataclasses import replace

import pytest

from alerts import messages, schema
from alerts.compose_digest import compose_digest
from alerts.compose_mail import compose
from alerts.store import FILE_NAME, Store
from alerts.store_records import dump_notification
from alerts.transport import Reply
from tests.golden.example_mails import FIRING, RESOLVED, SETTINGS

NOW = FIRING.at + 10
OK = Reply(250, "queued")
ANN = "ann@example.com"


def alert(letter, **changes):
    return replace(FIRING, id=letter * 20, incident=letter * 20, root=letter * 20, **changes)


A, B, C = map(alert, "abc")
B_ENDS = replace(RESOLVED, id="e" * 20, incident=B.id, root=B.id)


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    with Store.open(tmp_path / "state") as opened:
        yield opened


def add_digest(store, *group):
    """Commit and compose them as one mail."""
    store.commit_round({}, group)
    store.add_digest(group, compose_digest(group, SETTINGS, NOW), [ANN], NOW)


def send(store, now=NOW):
    """What is sent next, as accepted."""
    delivery = store.claim(now)
    store.accepted(delivery, OK, now)
    return delivery.notification_id


def test_all_that_a_digest_tells_of_is_told(store):
    """After a crash each alert of the digest would be mailed again."""
    add_digest(store, A, B)
    store.commit_round({}, [C])
    assert store.uncomposed() == [C]
    assert store.message_id(A.id) == store.message_id(B.id) == f"<{A.id}.digest@example.com>"
    assert store.message_id(C.id) is None
    assert store.notification(B.id) == B
    assert store.counts()["queued"] == 1


def test_a_digest_is_all_or_nothing(store):
    """A crash halfway would leave alerts that no mail tells of, or tell them twice."""
    store.commit_round({}, [A])
    with pytest.raises(KeyError):
        store.add_digest((A, B), compose_digest((A, B), SETTINGS, NOW), [ANN], NOW)
    assert store.uncomposed() == [A]
    assert store.counts()["queued"] == 0


def test_the_end_of_a_member_waits_for_the_digest(store):
    """RESOLVED could arrive before the digest that tells of the alert."""
    add_digest(store, A, B)
    store.commit_round({}, [B_ENDS])
    store.add_message(B_ENDS.id, compose(B_ENDS, SETTINGS), [ANN])
    digest = store.claim(1e12)
    assert store.claim(1e12) is None
    store.deferred(digest, "deferred", "451 later", 1e12)
    assert send(store, 1e12) == A.id
    assert send(store, 1e12) == B_ENDS.id


def test_a_digest_waits_for_the_mails_that_it_follows(store):
    """A digest with a RESOLVED in it could arrive before the alert."""
    store.commit_round({}, [B])
    store.add_message(B.id, compose(B, SETTINGS), [ANN])
    add_digest(store, A, B_ENDS)
    first = store.claim(1e12)
    assert first.notification_id == B.id
    assert store.claim(1e12) is None
    store.accepted(first, OK, NOW)
    assert send(store, 1e12) == A.id


def test_what_is_held_waits_for_its_time(store):
    """Quiet hours would not be quiet, or would keep an alert for ever."""
    store.commit_round({}, [replace(A, held_until=NOW), B])
    assert store.uncomposed(NOW - 1) == [B]
    assert store.read(messages.held, NOW - 1) == (1, NOW)
    assert len(store.uncomposed(NOW)) == 2
    assert store.read(messages.held, NOW) == (0, None)
    assert len(store.uncomposed(NOW - 30 * 86_400)) == 2, "the clock was set back"


def test_no_mail_of_a_thread_overtakes_one_that_is_held(store):
    """With the quiet hours taken out of the settings, an all-clear would come hours before its alert."""
    store.commit_round({}, [replace(B, held_until=NOW + 3600), replace(A, held_until=NOW + 3600)])
    store.commit_round({}, [B_ENDS])
    assert [one.id for one in store.uncomposed(NOW)] == [B.id, B_ENDS.id]


def test_what_went_lately_is_counted_by_people(store):
    """A restart would forget that a burst is on, and begin it anew."""
    add_digest(store, A, B)
    store.commit_round({}, [C])
    store.add_message(C.id, compose(C, SETTINGS), [ANN, "bob@example.com"])
    assert store.read(messages.sent_lately, NOW - 300, NOW) == {
        frozenset({ANN}): [NOW],
        frozenset({ANN, "bob@example.com"}): [C.at],
    }
    assert store.read(messages.sent_lately, NOW + 1, NOW + 300) == {}


def test_a_digest_is_dropped_as_a_whole(store):
    """The end of an alert that fires for a month would answer nothing, or the file would grow for ever."""
    late = replace(B, at=NOW + 1e6)
    add_digest(store, A, late)
    assert store.prune(NOW + 1e5) == 0
    send(store)
    assert store.prune(NOW + 1e5) == 0
    assert store.message_id(B.id)
    assert store.prune(NOW + 1e9) == 2
    assert store.message_id(A.id) is None


def test_a_state_of_the_first_version_is_taken_over(tmp_path):
    """An update would lose what was decided before it, or refuse to start."""
    first = schema.STEPS[0].format(strict="", strict_only="")
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.executescript(f"{first} PRAGMA user_version = 1;")
        for number, one in enumerate((A, B)):
            row = (one.id, number, one.root, one.at, dump_notification(one))
            db.execute("INSERT INTO notifications VALUES (?, ?, ?, ?, ?)", row)
        message = compose(A, SETTINGS)
        db.execute(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?)",
            (A.id, message.message_id, message.envelope_from, message.subject, message.data),
        )
        db.execute(
            "INSERT INTO deliveries (notification_id, root, recipient, state, queued_at, next_at)"
            " VALUES (?, ?, ?, 'sending', ?, ?)",
            (A.id, A.root, ANN, A.at, A.at),
        )
    db.close()
    with Store.open(tmp_path) as store:
        assert store.uncomposed(NOW) == [B]
        assert store.recover() == 1
        assert store.claim(NOW).letter.data == message.data
        assert store.message_id(A.id) == message.message_id
