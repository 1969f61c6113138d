import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from alerts import deliveries
from alerts.compose_mail import compose
from alerts.retries import EXPIRY_SECONDS, judge
from alerts.store import Store
from alerts.transport import Reply
from tests.golden.example_mails import FIRING, SETTINGS

PEOPLE = ("ann@example.com", "bob@example.com", "cid@example.com")
REASONS = st.sampled_from(
    ["deferred", "refused", "login_refused", "unreachable", "timeout", "ambiguous", "tls_failed", "failed"]
)


class OutboxLife(RuleBasedStateMachine):
    """Mails come, are claimed, meet every fate, and the process dies at any moment; beside it, the truth of servers."""

    @initialize()
    def start(self):
        """An empty state folder."""
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store.open(Path(self.folder.name))
        self.now = FIRING.at
        self.promised = {}
        self.server_has = {}
        self.may_be_dead = set()
        self.claimed = []
        self.numbers = 0

    def teardown(self):
        """Leave nothing behind."""
        self.store.close()
        self.folder.cleanup()

    @rule(people=st.sets(st.sampled_from(PEOPLE), min_size=1))
    def decide(self, people):
        """Promise a mail to some people."""
        self.numbers += 1
        identity = f"{self.numbers:a>20}"
        notification = replace(FIRING, id=identity, root=identity, at=self.now)
        message = compose(notification, SETTINGS)
        self.store.commit_round({}, [notification])
        self.store.add_message(identity, message, sorted(people))
        self.promised.update({(identity, person): message.data for person in people})

    @rule()
    def claim(self):
        """A worker takes what is due."""
        delivery = self.store.claim(self.now)
        if delivery:
            key = (delivery.notification_id, delivery.letter.recipient)
            assert delivery.letter.data == self.promised[key]
            assert key not in {(other.notification_id, other.letter.recipient) for other in self.claimed}
            self.claimed.append(delivery)

    @precondition(lambda self: self.claimed)
    @rule(recorded=st.booleans())
    def server_accepts(self, recorded):
        """The server takes it; the process may die before that is written."""
        delivery = self.claimed.pop()
        key = (delivery.notification_id, delivery.letter.recipient)
        self.server_has[key] = self.server_has.get(key, 0) + 1
        if recorded:
            self.store.accepted(delivery, Reply(250, "ok"), self.now)
        else:
            self.die()

    @precondition(lambda self: self.claimed)
    @rule(reason=REASONS, chance=st.floats(0, 1))
    def server_does_not(self, reason, chance):
        """The attempt fails for any reason."""
        delivery = self.claimed.pop()
        verdict = judge(reason, delivery.attempts, delivery.queued_at, self.now, chance)
        if verdict.state == "dead":
            assert reason == "refused" or self.now - delivery.queued_at >= EXPIRY_SECONDS
            self.may_be_dead.add((delivery.notification_id, delivery.letter.recipient))
            self.store.dead(delivery, verdict.outcome, "no", self.now)
        else:
            self.store.deferred(delivery, verdict.outcome, "later", verdict.next_at)

    @rule(pick=st.integers(0, 99))
    def a_person_tries_again(self, pick):
        """Somebody asks for one that waits or was given up."""
        rows = [row for row in self.store.queue() if row.state != "sending"]
        if rows:
            row = rows[pick % len(rows)]
            assert self.store.change(deliveries.retry, [row.id], self.now) == 1
            (again,) = (one for one in self.store.queue() if one.id == row.id)
            assert (again.state, again.next_at <= self.now) == ("queued", True)
            self.may_be_dead.discard((row.notification_id, row.recipient))

    @rule(pick=st.integers(0, 99))
    def a_person_drops_one(self, pick):
        """Somebody takes one out, which is then no longer promised."""
        rows = [row for row in self.store.queue() if row.state != "sending"]
        if rows:
            row = rows[pick % len(rows)]
            assert self.store.change(deliveries.drop, [row.id]) == 1
            self.promised.pop((row.notification_id, row.recipient))

    @precondition(lambda self: self.claimed)
    @rule()
    def a_person_cannot_take_what_is_being_sent(self):
        """Somebody asks for one that a server may be taking at this moment."""
        for change in (
            lambda db: deliveries.drop(db, [self.claimed[0].id]),
            lambda db: self.retry(db, self.claimed[0]),
        ):
            with pytest.raises(deliveries.NoSuchDeliveryError):
                self.store.change(change)

    def retry(self, db, delivery):
        return deliveries.retry(db, [delivery.id], self.now)

    @rule()
    def die(self):
        """Kill -9, and a new process."""
        self.store.close()
        self.store = Store.open(Path(self.folder.name))
        sending = self.store.counts()["sending"]
        assert self.store.recover() == sending
        assert self.store.counts()["sending"] == 0
        self.claimed = []

    @rule(seconds=st.sampled_from([1.0, 15.0, 900.0, 90_000.0]))
    def wait(self, seconds):
        """Time passes."""
        self.now += seconds

    @invariant()
    def nothing_is_lost(self):
        """Every promised mail waits, is with the server, or is a dead letter for a reason."""
        if not hasattr(self, "store"):
            return
        rows = {(row.notification_id, row.recipient): row.state for row in self.store.queue()}
        for key in self.promised:
            state = rows.get(key, "accepted")
            assert state != "accepted" or self.server_has.get(key)
            assert state != "dead" or key in self.may_be_dead
        assert sum(self.store.counts().values()) == len(self.promised)


TestOutboxLife = OutboxLife.TestCase
TestOutboxLife.__doc__ = "Without it some order of failures and crashes would lose a mail, or give one up for nothing."
TestOutboxLife.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
