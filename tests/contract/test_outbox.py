import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from alerts.compose_mail import compose
from alerts.mail_settings import MailSettings, bare_address
from alerts.outbox import Outbox
from alerts.smtp_transport import SmtpTransport
from alerts.store import Store
from tests.fakes.smtp.server import SmtpServer, recorded
from tests.golden.example_mails import FIRING
from tests.polling import wait_until

# What a stopped alerter runs again: the store, the outbox and the transport, as the service puts them together.
CHILD = """
import asyncio, json, sys
from pathlib import Path
from alerts.mail_settings import MailSettings
from alerts.outbox import Outbox
from alerts.smtp_transport import SmtpTransport
from alerts.store import Store

options = json.loads(sys.argv[1])
settings = MailSettings(**options["settings"])
with Store.open(Path(options["state"])) as store:
    asyncio.run(Outbox(store, SmtpTransport(settings)).run())
"""
ROOT = Path(__file__).parents[2]


def options_for(server, **changes):
    """Mail settings for ``server``."""
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "from_": "alerts@example.com",
        "to": ["ann@example.com", "bob@example.com"],
        **changes,
    }


def add(state, settings, count=1):
    """Decide and compose ``count`` mails, as a process that then ended."""
    messages = []
    with Store.open(state) as store:
        for number in range(count):
            identity = f"{'b' * 18}{number:02}".replace("0", "a").replace("1", "c")
            notification = replace(FIRING, id=identity, root=identity, at=time.time(), recipients=settings.to)
            message = compose(notification, settings)
            store.commit_round({}, [notification])
            store.add_message(identity, message, [bare_address(recipient) for recipient in settings.to])
            messages.append(message)
    return messages


@contextlib.contextmanager
def child(state, options):
    """A process that runs the outbox; killed at the end, if it still lives."""
    arguments = json.dumps({"state": str(state), "settings": options})
    process = subprocess.Popen([sys.executable, "-c", CHILD, arguments], cwd=ROOT, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def states(state):
    """Deliveries by state, once no process holds the store."""
    with Store.open(state) as store:
        return store.counts()


@pytest.mark.parametrize("stage", ["greeting", "ehlo", "mail", "rcpt", "begin", "data", "recorded", "quit"])
def test_kill_9_at_any_point_loses_nothing(tmp_path, stage):
    """Without it a power loss between the decision and the server's 250 would lose the alert, or change it."""
    state = tmp_path / "state"
    with SmtpServer(tmp_path / "smtp") as server:
        options = options_for(server, to=["ann@example.com"])
        (message,) = add(state, MailSettings(**options))
        server.hold(stage)
        with child(state, options) as process:
            server.wait_at(stage)
            os.kill(process.pid, signal.SIGKILL)
            process.wait(10)
        server.release(stage)
        server.wait_idle()
        before = len(server.mails())
        counted = states(state)
        assert counted["accepted"] + counted["sending"] == 1
        if stage != "quit":
            assert counted["sending"] == 1
        with child(state, options):
            server.wait_mails(before + counted["sending"])
            mails = server.mails()
        assert 1 <= len(mails) <= 2
        assert {mail.data for mail in mails} == {message.data}
        assert {mail.recipients for mail in mails} == {("ann@example.com",)}


def test_kill_9_again_and_again(tmp_path):
    """Without it several crashes in a row could add up to a lost mail or to endless copies."""
    state = tmp_path / "state"
    kills = 4
    with SmtpServer(tmp_path / "smtp") as server:
        options = options_for(server)
        messages = add(state, MailSettings(**options), count=5)
        for number in range(kills):
            stage = ("mail", "recorded", "rcpt", "data")[number]
            server.hold(stage)
            with child(state, options) as process:
                server.wait_at(stage)
                process.kill()
                process.wait(10)
            server.release(stage)
            server.wait_idle()
        with child(state, options) as process:
            wait_until(lambda: len({(m.data, m.recipients) for m in server.mails()}) == 10, 20, "mails are missing")
        mails = server.mails()
    assert {mail.data for mail in mails} == {message.data for message in messages}
    assert len(mails) <= 10 + 2 * kills


def test_sigterm_in_flight_ends_the_sending(tmp_path):
    """Without it every upgrade of the alerter could send a mail twice."""
    state = tmp_path / "state"
    runner = CHILD.replace(
        "    asyncio.run(Outbox(store, SmtpTransport(settings)).run())",
        """
    async def main():
        import signal
        task = asyncio.ensure_future(Outbox(store, SmtpTransport(settings)).run())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            pass
    asyncio.run(main())
""",
    )
    with SmtpServer(tmp_path / "smtp") as server:
        options = options_for(server, to=["ann@example.com"])
        add(state, MailSettings(**options))
        server.hold("data")
        arguments = json.dumps({"state": str(state), "settings": options})
        process = subprocess.Popen([sys.executable, "-c", runner, arguments], cwd=ROOT)
        try:
            server.wait_at("data")
            process.terminate()
            server.release("data")
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.wait()
        assert len(server.mails()) == 1
    assert states(state)["accepted"] == 1


def deliver(state, settings, done, seconds=10.0, **kwargs):
    """Run an outbox in this process until ``done(store, outbox)``."""

    async def scenario(store):
        outbox = Outbox(store, SmtpTransport(settings), **kwargs)
        task = asyncio.create_task(outbox.run())
        deadline = time.monotonic() + seconds
        while not done(store, outbox):
            assert time.monotonic() < deadline, outbox.attempts.outcomes
            await asyncio.sleep(0.01)
            outbox.wake()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return outbox.attempts.outcomes, store.queue()

    with Store.open(state) as store:
        return asyncio.run(scenario(store))


class FastClock:
    """A wall clock on which a second lasts a millisecond, so that waits are real and short."""

    def __init__(self):
        self.start = time.time()
        self.began = time.monotonic()

    def __call__(self):
        return self.start + (time.monotonic() - self.began) * 1000


@pytest.mark.parametrize(
    "replies", [{"data": "451 busy"}, {"recorded": "drop"}, {"greeting": "drop"}, {"rcpt": "450 x"}]
)
def test_a_server_in_trouble_gets_it_later(tmp_path, replies):
    """Without it a mail would be lost in silence where Alertmanager before 0.28 lost it: at the end of DATA."""
    state = tmp_path / "state"
    with SmtpServer(tmp_path / "smtp") as server:
        settings = MailSettings(**options_for(server, to=("ann@example.com",)))
        (message,) = add(state, settings)
        server.script(**replies)

        def done(store, outbox):
            if sum(outbox.attempts.outcomes.values()) >= 2:
                server.script()
            return store.counts()["accepted"] == 1

        outcomes, _ = deliver(state, settings, done, clock=FastClock())
        assert outcomes["accepted"] == 1
        assert sum(outcomes.values()) >= 3
        assert {mail.data for mail in server.mails()} == {message.data}


def test_one_refused_recipient_of_three(tmp_path):
    """Without it one colleague who left would keep the alert from all others, as in Alertmanager."""
    state = tmp_path / "state"
    with SmtpServer(tmp_path / "smtp") as server:
        to = ("ann@example.com", "gone@example.com", "bob@example.com")
        settings = MailSettings(**options_for(server, to=to))
        add(state, settings)
        server.script(**{"rcpt:gone@example.com": "550 no such user"})
        outcomes, rows = deliver(
            state,
            settings,
            lambda store, _: (
                store.counts()["accepted"] == 2 and not store.counts()["sending"] and not store.counts()["queued"]
            ),
        )
        assert outcomes == {"accepted": 2, "refused": 1}
        assert [(row.recipient, row.state) for row in rows] == [("gone@example.com", "dead")]
        assert "550 no such user" in rows[0].reply
        assert sorted(mail.recipients for mail in server.mails()) == [("ann@example.com",), ("bob@example.com",)]


def test_one_hanging_connection_does_not_stop_the_other(tmp_path):
    """Without it one slow answer would hold up all other mails."""
    state = tmp_path / "state"
    with SmtpServer(tmp_path / "smtp") as server:
        settings = MailSettings(**options_for(server))
        add(state, settings)
        held = "rcpt:ann@example.com"
        server.hold(held)

        def done(store, outbox):
            if store.counts() == {"queued": 0, "sending": 1, "accepted": 1, "dead": 0}:
                server.release(held)
            return store.counts()["accepted"] == 2

        deliver(state, settings, done)
    assert [mail.recipients for mail in recorded(tmp_path / "smtp")] == [("bob@example.com",), ("ann@example.com",)]
