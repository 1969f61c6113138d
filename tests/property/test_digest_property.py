import asyncio
import tempfile
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from alerts.composer import Composer
from alerts.digest_settings import DigestSettings
from alerts.mail_settings import bare_address
from alerts.notify_settings import NotifySettings
from alerts.store import Store
from gpuwarden.units import Duration
from tests.golden.example_mails import FIRING, RESOLVED, SETTINGS
from tests.in_force import in_force

DIGEST = DigestSettings(above=3, within=Duration(300), wait=Duration(30))
PEOPLE = st.sampled_from([("ann@example.com",), ("Bob <bob@example.com>", "ann@example.com")])


class CrashError(BaseException):
    """Kill -9, as far as one process can do it to itself."""


class Burst(RuleBasedStateMachine):
    """Alerts fire and end in crowds, by day and by night, and the process dies before or after any message is kept."""

    @initialize()
    def start(self):
        """An empty state folder."""
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store.open(Path(self.folder.name))
        self.now = FIRING.at
        self.decided = {}
        self.firing = []

    def commit(self, told):
        """Decide them in one transaction."""
        self.store.commit_round({}, told)
        self.decided.update({one.id: one for one in told})

    @rule(
        number=st.integers(1, 9), people=PEOPLE, severity=st.sampled_from(["critical", "warning"]), quiet=st.booleans()
    )
    def fire(self, number, people, severity, quiet):
        """A crowd fires."""
        names = [f"{len(self.decided) + index:a>20}" for index in range(number)]
        held = self.now + 600 if quiet and severity == "warning" else 0.0
        told = [
            replace(
                FIRING,
                **dict.fromkeys(("id", "incident", "root"), name),
                at=self.now,
                host=f"host-{name}",
                severity=severity,
                recipients=people,
                held_until=held,
            )
            for name in names
        ]
        self.commit(told)
        self.firing += told

    @precondition(lambda self: self.firing)
    @rule(number=st.integers(1, 9), quiet=st.booleans())
    def end(self, number, quiet):
        """Some of what fires ends."""
        over, self.firing = self.firing[:number], self.firing[number:]
        names = [f"{len(self.decided) + index:a>20}" for index in range(len(over))]
        kept = ("incident", "root", "host", "severity", "recipients")
        self.commit(
            [
                replace(
                    RESOLVED,
                    id=name,
                    at=self.now,
                    held_until=self.now + 300 if quiet and one.severity == "warning" else 0.0,
                    **{key: getattr(one, key) for key in kept},
                )
                for one, name in zip(over, names, strict=True)
            ]
        )

    @rule(seconds=st.sampled_from([1.0, 29.0, 31.0, 400.0, -60.0]))
    def wait(self, seconds):
        """Time passes, or somebody sets the clock back."""
        self.now += seconds

    @rule(dies_at=st.integers(0, 5), kept=st.booleans())
    def compose(self, dies_at, kept):
        """The composer works, and dies at a message (5: at none), before or after it is kept."""
        for name in ("add_message", "add_digest"):
            setattr(self.store, name, self.mortal(getattr(self.store, name), dies_at, kept))
        self.calls = 0
        try:
            self.compose_all()
        except CrashError:
            self.store.close()
            self.store = Store.open(Path(self.folder.name))
        else:
            del self.store.add_message, self.store.add_digest

    def mortal(self, method, dies_at, kept):
        """``method``, at whose call number ``dies_at`` the process dies."""

        def call(*args, **kwargs):
            self.calls += 1
            if self.calls - 1 == dies_at < 5:
                if kept:
                    method(*args, **kwargs)
                raise CrashError
            return method(*args, **kwargs)

        return call

    def compose_all(self):
        terms = in_force(mail=SETTINGS, notify=NotifySettings(digest=DIGEST))
        composer = Composer(self.store, asyncio.Event(), terms, lambda: None, clock=lambda: self.now)
        return asyncio.run(composer.compose_all())

    def teardown(self):
        """In the end everything is told once to everybody, by name and in order."""
        if hasattr(self, "store"):
            try:
                self.check()
            finally:
                self.store.close()
                self.folder.cleanup()

    def check(self):
        """Let all that waits go, and look at it."""
        for _ in range(200):
            again_at = self.compose_all()
            if again_at is None:
                break
            assert again_at - self.now <= 86_400
            self.now = max(self.now, again_at)
        assert self.store.uncomposed() == []
        teller = dict(self.store.read(self.rows, "SELECT id, iif(told_in = '', id, told_in) FROM notifications"))
        assert teller.keys() == self.decided.keys()
        letters = {}
        query = "SELECT notification_id, recipient, id FROM deliveries"
        for identity, recipient, number in self.store.read(self.rows, query):
            letters.setdefault(identity, {})[recipient] = number
        bodies = dict(self.store.read(self.rows, "SELECT notification_id, data FROM messages"))
        assert bodies.keys() == letters.keys() == set(teller.values())
        for one in self.decided.values():
            assert letters[teller[one.id]].keys() == {*map(bare_address, one.recipients)}
            text = message_from_bytes(bodies[teller[one.id]], policy=policy.default).get_body(("plain",)).get_content()
            assert one.host in text
            first = letters[teller[one.incident]]
            assert all(first[person] <= number for person, number in letters[teller[one.id]].items())

    @staticmethod
    def rows(db, query):
        return db.execute(query).fetchall()


TestBurst = Burst.TestCase
TestBurst.__doc__ = "Without it some burst and some crash would lose an alert, tell it twice, or tell its end first."
TestBurst.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
