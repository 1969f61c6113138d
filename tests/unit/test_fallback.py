import asyncio

import pytest

from alerts.fallback import UNUSABLE, FallbackTransport
from alerts.mail_settings import MailSettings
from alerts.server_settings import ServerSettings
from alerts.transport import Letter, SendError
from tests.unit.outbox_post import Post, until

ANN = "ann@example.com"
LETTER = Letter("<a@b>", "a@example.com", ANN, b"x")


class Pair:
    """Two posts behind a fallback transport, on a clock of their own."""

    def __init__(self, first=None, second=None):
        self.now = 0.0
        self.first, self.second = Post({ANN: first} if first else {}), Post({ANN: second} if second else {})
        self.transport = FallbackTransport(
            self.first, self.second, "mx2.test:587", clock=lambda: self.now, chance=lambda: 0.5
        )

    def send(self):
        return asyncio.run(self.transport.send(LETTER))

    @property
    def asked(self):
        return len(self.first.asked), len(self.second.asked)


@pytest.mark.parametrize("reason", sorted(UNUSABLE))
def test_the_second_takes_what_the_first_cannot(reason):
    """Without it a provider's bad day would hold back every alert of that day."""
    pair = Pair(reason)
    assert "by the fallback server mx2.test:587" in str(pair.send())
    assert pair.asked == (1, 1)


@pytest.mark.parametrize("reason", ["refused", "deferred", "ambiguous", "sender_refused", "failed"])
def test_what_the_first_says_of_a_mail_stands(reason):
    """Without it somebody would get a mail twice, or a wrong address be tried at two providers."""
    pair = Pair(reason)
    with pytest.raises(SendError) as caught:
        pair.send()
    assert caught.value.reason == reason
    assert pair.asked == (1, 0)


def test_a_first_server_that_failed_rests():
    """Without it each mail would wait two minutes for a dead server, or a wrong password lock the account."""
    pair = Pair("login_refused")
    for _ in range(3):
        pair.send()
    assert pair.asked == (1, 3)
    pair.now = 16.0
    pair.send()
    assert pair.asked == (2, 4)
    pair.now = 16.0 + 29.0
    pair.send()
    assert pair.asked == (2, 5)
    pair.now = 16.0 + 31.0
    pair.first.answers.clear()
    assert "fallback" not in str(pair.send())
    pair.send()
    assert pair.asked == (4, 5)


def test_one_letter_tries_the_first_again_and_the_others_do_not_wait():
    """Without it every worker would hang at the first server while the second is free."""
    pair = Pair("timeout")
    pair.send()
    pair.now = 20.0

    async def story():
        pair.first.gate.clear()
        trying = asyncio.create_task(pair.transport.send(LETTER))
        await until(lambda: pair.first.at_once)
        await pair.transport.send(LETTER)
        assert not trying.done()
        pair.first.gate.set()
        await trying

    asyncio.run(story())
    assert pair.asked == (2, 3)


def test_two_letters_that_fail_together_are_one_failure():
    """Without it the first server would rest twice as long for every connection that is allowed."""
    pair = Pair("unreachable")

    async def story():
        pair.first.gate.clear()
        sending = [asyncio.create_task(pair.transport.send(LETTER)) for _ in range(2)]
        await until(lambda: pair.first.at_once == 2)
        pair.first.gate.set()
        await asyncio.gather(*sending)

    asyncio.run(story())
    assert pair.asked == (2, 2)
    pair.now = 16.0
    pair.send()
    assert pair.asked == (3, 3)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ("refused", "deferred"),
        ("deferred", "deferred"),
        ("ambiguous", "ambiguous"),
        ("timeout", "login_refused"),
        ("sender_refused", "login_refused"),
    ],
)
def test_the_second_cannot_give_a_mail_up_and_one_it_does_not_take_stops_no_other(second, reason):
    """A fallback that relays for nobody makes dead letters, or one wrong address there stops everybody's mails."""
    with pytest.raises(SendError) as caught:
        Pair("login_refused", second).send()
    assert caught.value.reason == reason
    assert "login_refused; the fallback server mx2.test:587: " in str(caught.value)


def test_closing_closes_both():
    """Without it a stopping alerter would leave connections behind."""
    pair = Pair()
    asyncio.run(pair.transport.close())
    assert (pair.first.closed, pair.second.closed) == (True, True)


@pytest.mark.parametrize(
    ("fallback", "keys"),
    [
        ({"host": "mx2.test"}, []),
        ({"username": "me", "password_file": "x"}, ["host"]),
        ({"host": "mx2.test", "username": "me"}, ["password_file"]),
        ({"host": "mx2.test", "port": 0}, ["port"]),
    ],
)
def test_a_fallback_is_checked_like_a_server(fallback, keys):
    """Without it a mistake would be found when the first server is down, which is too late."""
    assert [key for key, _, _ in ServerSettings(**fallback).problems()] == keys


def test_a_fallback_needs_a_first_server():
    """Without it somebody would believe that mails go out, while they go into a folder."""
    problems = MailSettings(fallback=ServerSettings(host="mx2.test")).problems()
    assert [key for key, _, _ in problems] == ["fallback.host"]


@pytest.mark.parametrize("connections", [0, -1, 21])
def test_connections_are_bounded(connections):
    """Without it a typing error would open more connections than any provider takes."""
    assert [key for key, _, _ in MailSettings(connections=connections).problems()] == ["connections"]
