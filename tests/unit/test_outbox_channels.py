import asyncio
from dataclasses import replace

import pytest

from alerts.command_settings import CommandSettings
from alerts.delivery import CommandsInForce
from alerts.mail_settings import MailSettings
from alerts.settings import AlerterSettings
from alerts.store import Store
from alerts.transport import Letter, SendError
from tests.in_force import in_force
from tests.unit.outbox_post import Post, add, running, until

PUSH = CommandSettings("push", ("/bin/push",), default=True)


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    with Store.open(tmp_path / "state") as opened:
        yield opened


def states(store):
    return {row.recipient: row.state for row in store.queue()}


def test_each_channel_gets_its_own(store):
    """Without it a phone push would be mailed, or a mail run as a command."""
    add(store, "ann@example.com", "command:push", "command:chat")
    mail, push, chat = Post(), Post(), Post()

    async def scenario():
        async with running(store, mail, {"push": push, "chat": chat}):
            await until(lambda: store.counts()["accepted"] == 3)

    asyncio.run(scenario())
    asked = [[letter.recipient for letter in post.asked] for post in (mail, push, chat)]
    assert asked == [["ann@example.com"], ["command:push"], ["command:chat"]]
    assert mail.closed
    assert push.closed


def test_a_command_that_hangs_holds_up_no_mail(store):
    """Without it a push service that does not answer would keep everybody from their mails."""
    push = Post()
    push.gate.clear()
    for number in range(3):
        add(store, "command:push", f"r{number}@example.com", number=number)

    async def scenario():
        async with running(store, Post(), {"push": push}, grace_seconds=0.01):
            await until(lambda: store.counts()["accepted"] == 3)
            assert push.at_once == 1

    asyncio.run(scenario())


def test_a_wrong_password_holds_up_no_command(store):
    """Without it the phone would stay silent whenever the mail provider changes something."""
    for number in range(3):
        add(store, "command:push", f"r{number}@example.com", number=number)
    mail = Post({f"r{number}@example.com": "login_refused" for number in range(3)})
    push = Post()

    async def scenario():
        async with running(store, mail, {"push": push}):
            await until(lambda: store.counts()["accepted"] == 3)

    asyncio.run(scenario())
    assert len(push.asked) == 3
    assert len(mail.asked) <= 2


def test_a_command_that_is_gone_from_the_settings_waits(store):
    """Without it a line taken out of the settings would turn alerts into dead letters, or send them by mail."""
    add(store, "command:gone", "ann@example.com")
    mail, gone = Post(), Post()

    async def without():
        async with running(store, mail, {"push": Post()}) as outbox:
            await until(lambda: store.counts()["accepted"] == 1 and outbox.attempts.outcomes["misconfigured"] == 1)
            await until(lambda: store.counts()["queued"] == 1)

    async def back_again():
        async with running(store, mail, {"gone": gone}) as outbox:
            outbox.test_clock.now += 60
            outbox.wake()
            await until(lambda: store.counts()["accepted"] == 2)

    asyncio.run(without())
    (row,) = store.queue()
    assert "no command 'gone'" in row.reply
    asyncio.run(back_again())
    assert len(mail.asked) == 1


def test_a_reload_brings_new_commands(store):
    """Without it a command that was added would be told nothing until a restart."""
    add(store, "command:push")
    push = Post()
    commands = {}

    async def scenario():
        async with running(store, Post(), commands) as outbox:
            await until(lambda: outbox.attempts.outcomes["misconfigured"] == 1 and store.counts()["queued"] == 1)
            commands["push"] = push
            outbox.resume()
            outbox.test_clock.now += 60
            outbox.wake()
            await until(lambda: store.counts()["accepted"] == 1)

    asyncio.run(scenario())
    assert len(push.asked) == 1


def test_a_command_is_run_as_the_settings_have_it_now(tmp_path):
    """Without it a reload would leave the old program running."""
    terms = in_force(commands=(CommandSettings("push", ("/bin/false",)),), state=str(tmp_path))
    commands = CommandsInForce(terms)
    push = commands["push"]
    letter = Letter("<a@b>", "a@b", "command:push", b"", b"{}")
    with pytest.raises(SendError, match="exit status 1"):
        asyncio.run(push.send(letter))
    terms.terms = replace(terms.terms, settings=AlerterSettings(commands=(), state=str(tmp_path)))
    with pytest.raises(SendError, match="no command 'push'"):
        asyncio.run(push.send(letter))
    again = AlerterSettings(commands=(CommandSettings("push", ("/bin/true",)),), state=str(tmp_path))
    terms.terms = replace(terms.terms, settings=again)
    assert asyncio.run(push.send(letter)).code == 0
    assert list(commands) == ["push"]


def test_a_person_ends_the_pause(store):
    """Without it a mended password would show its effect after a quarter of an hour."""
    add(store, "ann@example.com")
    mail = Post({"ann@example.com": "login_refused"})

    async def scenario():
        async with running(store, mail) as outbox:
            await until(lambda: store.counts()["queued"] == 1 and outbox.attempts.outcomes["login_refused"] == 1)
            mail.answers.clear()
            assert await outbox.retry([1]) == 1
            await until(lambda: store.counts()["accepted"] == 1)

    asyncio.run(scenario())


def test_a_command_may_be_told_of_everything():
    """Without it a phone push would need a route even where there is only one person."""
    mail = MailSettings(to=("ann@example.com",))
    settings = AlerterSettings(mail=mail, commands=(PUSH, CommandSettings("chat", ("/bin/chat",))))
    assert settings.recipients == ("ann@example.com", "command:push")
    assert "command:push" not in AlerterSettings(mail=mail, commands=(PUSH,), demo=True).recipients


def test_two_commands_of_one_name_are_a_mistake():
    """Without it one of two commands would never be run."""
    problems = list(AlerterSettings(commands=(PUSH, PUSH)).problems())
    assert [key for key, _, _ in problems] == ["commands"]
