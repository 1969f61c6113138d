import asyncio
import time

import pytest

from alerts.compose_mail import compose
from alerts.fallback import UNUSABLE, FallbackTransport
from alerts.outbox import Outbox
from alerts.smtp_transport import SmtpTransport
from alerts.store import Store
from tests.contract.smtp_settings import settings_for
from tests.fakes.smtp.misbehaviour import MISBEHAVIOURS, PEOPLE
from tests.fakes.smtp.server import SmtpServer
from tests.golden.example_mails import FIRING, SETTINGS

ANYWHERE = {*UNUSABLE, "accepted"}


class FastClock:
    """A wall clock on which a second lasts a millisecond, so that waits are real and short."""

    def __init__(self):
        self.began = time.monotonic()

    def __call__(self):
        return FIRING.at + (time.monotonic() - self.began) * 1000


def settings_of(case, server, tmp_path):
    """Settings under which silence is found out soon, and nothing else is taken for silence."""
    wanted = "starttls" if case.server.get("security") == "stripped" else server.security
    return settings_for(server, tmp_path, security=wanted, timeout=0.5 if case.is_silent else 20.0)


def deliver(store, transport, *steps):
    """Run an outbox until each of ``steps``, called with it, has returned true in turn."""

    async def story():
        outbox = Outbox(store, transport, clock=FastClock())
        task = asyncio.create_task(outbox.run())
        deadline = time.monotonic() + 30
        for step in steps:
            while not step(outbox):
                assert time.monotonic() < deadline, (outbox.attempts.outcomes, store.queue())
                await asyncio.sleep(0.01)
                outbox.wake()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())


@pytest.fixture
def store(tmp_path):
    """A store with one mail for three people."""
    with Store.open(tmp_path / "state") as opened:
        opened.commit_round({}, [FIRING])
        opened.add_message(FIRING.id, compose(FIRING, SETTINGS), PEOPLE)
        yield opened


def states(store):
    found = {row.recipient: row.state for row in store.queue()}
    return {person: found.get(person, "accepted") for person in PEOPLE}


@pytest.mark.parametrize("case", MISBEHAVIOURS, ids=str)
def test_each_misbehaviour_has_its_outcome_and_loses_nothing(tmp_path, store, case):
    """Without it a server in some kind of trouble would cost an alert, or the alert of somebody else."""
    others = [person for person in PEOPLE if person not in case.concerns]
    with SmtpServer(tmp_path / "smtp", **case.server) as server:
        case.begin(server, byte_seconds=0.05)

        def others_have_it(_):
            return all(states(store)[person] == "accepted" for person in others)

        def has_shown(outbox):
            return outbox.attempts.outcomes[case.outcome] >= len(case.concerns) or (
                outbox.attempts.outcomes[case.outcome] >= 2
                and case.outcome in {"login_refused", "server_refused", "tls_failed"}
            )

        def mended(_):
            server.behave()
            return True

        def settled(_):
            return set(states(store).values()) <= {"accepted", "dead"}

        steps = [others_have_it, has_shown, mended, *([settled] if case.ends != "waits" else [])]
        deliver(store, SmtpTransport(settings_of(case, server, tmp_path)), *steps)
        told = {mail.recipients for mail in server.mails()}
        data = {mail.data for mail in server.mails()}
        logins = server.attempts_to_log_in

    cut_short = store.recover()  # as the next start does with what was being tried when this one ended
    ends = {"accepted": "accepted", "refused": "dead", "waits": "queued"}[case.ends]
    assert states(store) == {person: ends if person in case.concerns else "accepted" for person in PEOPLE}
    assert told == {(person,) for person, state in states(store).items() if state == "accepted"}
    assert data <= {compose(FIRING, SETTINGS).data}
    if case.ends == "waits":
        assert (told, logins) == (set(), 0)
    if case.ends != "accepted":
        outcomes = {row.outcome for row in store.queue() if row.outcome}
        assert outcomes - ({"ambiguous"} if cut_short else set()) == {case.outcome}


@pytest.mark.parametrize("case", [case for case in MISBEHAVIOURS if case.outcome in UNUSABLE], ids=str)
def test_a_fallback_server_takes_it_at_once(tmp_path, store, case):
    """Without it a provider's bad day would hold back every alert of that day."""
    with SmtpServer(tmp_path / "first", **case.server) as first, SmtpServer(tmp_path / "second") as second:
        case.begin(first, byte_seconds=0.05)
        ways = [SmtpTransport(settings_of(case, first, tmp_path)), SmtpTransport(settings_for(second, tmp_path))]
        transport = FallbackTransport(*ways, f"127.0.0.1:{second.port}")
        deliver(store, transport, lambda _: set(states(store).values()) == {"accepted"})
        told = {mail.recipients for mail in second.mails()}
    assert told >= {(person,) for person in case.concerns}


@pytest.mark.parametrize("case", [case for case in MISBEHAVIOURS if case.outcome not in ANYWHERE], ids=str)
def test_a_fallback_server_is_not_asked_about_a_mail_that_the_first_answered(tmp_path, store, case):
    """Without it somebody would get a mail twice, or an address that is wrong be tried all over the world."""
    with SmtpServer(tmp_path / "first", **case.server) as first, SmtpServer(tmp_path / "second") as second:
        case.begin(first)
        ways = [SmtpTransport(settings_of(case, first, tmp_path)), SmtpTransport(settings_for(second, tmp_path))]
        transport = FallbackTransport(*ways, f"127.0.0.1:{second.port}")
        deliver(store, transport, lambda outbox: outbox.attempts.outcomes[case.outcome] >= len(case.concerns))
        assert second.mails() == []
