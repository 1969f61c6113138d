import asyncio
from dataclasses import replace

import pytest

from alerts.mail_settings import MailSettings
from alerts.smtp_replies import reason_of
from alerts.smtp_transport import SmtpTransport
from alerts.transport import Letter, SendError, SendTimeoutError
from tests.contract.smtp_settings import settings_for
from tests.fakes.smtp.server import SmtpServer

LETTER = Letter("<a.first@example.com>", "alerts@example.com", "bob@example.com", b"Subject: hi\r\n\r\nbody\r\n")


def send(settings, letter=LETTER, steps=None):
    """Send one letter in an event loop of its own."""

    async def once():
        transport = SmtpTransport(settings, (steps if steps is not None else []).append)
        try:
            return await transport.send(letter)
        finally:
            await transport.close()

    return asyncio.run(once())


def failure(settings, letter=LETTER):
    """The error that sending ends with."""
    with pytest.raises(SendError) as caught:
        send(settings, letter)
    return caught.value


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_the_three_securities_deliver(tmp_path, security):
    """Without it one of the three ways to reach a provider (587, 465, a local relay) would be dead on arrival."""
    with SmtpServer(tmp_path / "smtp", security=security, user="me", password="pässword") as server:
        reply = send(settings_for(server, tmp_path))
        (mail,) = server.mails()
    assert reply.code == 250
    assert (mail.sender, mail.recipients, mail.data) == ("alerts@example.com", ("bob@example.com",), LETTER.data)
    assert (mail.tls, mail.user) == (security != "none", "me")


@pytest.mark.parametrize("method", ["PLAIN", "LOGIN"])
def test_login_takes_what_the_server_offers(tmp_path, method):
    """Without it a provider that offers only one of the two methods would take no mail."""
    with SmtpServer(tmp_path / "smtp", user="me", password="pw", methods=(method,)) as server:
        assert send(settings_for(server, tmp_path)).code == 250


def test_a_wrong_password_is_said_once(tmp_path):
    """Without it one bad password would be tried by every method at every attempt, until the account is locked."""
    with SmtpServer(tmp_path / "smtp", user="me", password="right") as server:
        settings = settings_for(server, tmp_path)
        (tmp_path / "password").write_text("wrong-secret")
        error = failure(settings)
        assert server.attempts_to_log_in == 1
    assert (error.reason, error.reply.code) == ("login_refused", 535)
    assert "wrong-secret" not in str(error)


def test_a_changed_password_needs_no_restart(tmp_path):
    """Without it a rotated secret would stop all mail until somebody restarts the alerter."""
    with SmtpServer(tmp_path / "smtp", user="me", password="new") as server:
        transport = SmtpTransport(settings_for(server, tmp_path))
        (tmp_path / "password").write_text("old")

        async def twice():
            with pytest.raises(SendError):
                await transport.send(LETTER)
            (tmp_path / "password").write_text("new\n")
            reply = await transport.send(LETTER)
            await transport.close()
            return reply

        assert asyncio.run(twice()).code == 250


def test_a_stripped_starttls_is_refused(tmp_path):
    """Without it somebody in the middle could read the mail and the password by hiding one word."""
    with SmtpServer(tmp_path / "smtp", security="stripped", user="me", password="pw") as server:
        error = failure(settings_for(server, tmp_path))
        assert (error.reason, server.attempts_to_log_in, server.mails()) == ("tls_failed", 0, [])


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("fault", ["unknown authority", "other name"])
def test_a_certificate_that_does_not_fit_is_refused(tmp_path, security, fault):
    """Without it any machine on the way could pose as the mail server."""
    name = "mail.elsewhere.test" if fault == "other name" else "127.0.0.1"
    with SmtpServer(tmp_path / "smtp", security=security, user="me", password="pw", name=name) as server:
        changes = {"ca_file": None} if fault == "unknown authority" else {}
        error = failure(settings_for(server, tmp_path, **changes))
        assert (error.reason, server.attempts_to_log_in) == ("tls_failed", 0)


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        ({"greeting": "554 go away"}, "server_refused"),
        ({"greeting": "421 busy"}, "deferred"),
        ({"greeting": "drop"}, "unreachable"),
        ({"ehlo": "550 no"}, "server_refused"),
        ({"mail": "530 log in first"}, "login_refused"),
        ({"mail": "553 not your address"}, "sender_refused"),
        ({"mail": "552 too large"}, "refused"),
        ({"mail": "451 later"}, "deferred"),
        ({"mail": "drop"}, "unreachable"),
        ({"rcpt:bob@example.com": "550 no such user"}, "refused"),
        ({"rcpt": "450 greylisted"}, "deferred"),
        ({"rcpt": "421 shutting down"}, "deferred"),
        ({"begin": "554 no valid recipients"}, "refused"),
        ({"begin": "drop"}, "unreachable"),
        ({"data": "451 queue full"}, "deferred"),
        ({"data": "550 looks like spam"}, "refused"),
        ({"data": "550 5.4.5 Daily user sending limit exceeded"}, "deferred"),
        ({"data": "550 5.7.60 SMTP; Client does not have permissions"}, "sender_refused"),
        ({"data": "drop"}, "ambiguous"),
        ({"recorded": "drop"}, "ambiguous"),
    ],
)
def test_every_answer_has_its_reason(tmp_path, replies, reason):
    """Without it a mail would be given up that another try delivers, or tried for days that never can be."""
    with SmtpServer(tmp_path / "smtp") as server:
        server.script(**replies)
        error = failure(settings_for(server, tmp_path))
    assert error.reason == reason
    scripted = next(iter(replies.values()))
    assert scripted == "drop" or str(error.reply) == scripted


@pytest.mark.parametrize("stage", ["greeting", "ehlo", "mail", "rcpt", "begin"])
def test_a_silent_server_is_left_in_time(tmp_path, stage):
    """Without it one hanging server would stop all mail without a word."""
    with SmtpServer(tmp_path / "smtp") as server:
        server.hold(stage)
        error = failure(settings_for(server, tmp_path, timeout=0.2))
    assert isinstance(error, SendTimeoutError)
    assert error.reason == "timeout"


def test_a_server_that_is_always_almost_in_time_is_left_too(tmp_path):
    """Without it a server that answers each command at the last moment would hold a worker for many times the limit."""
    with SmtpServer(tmp_path / "smtp") as server:
        server.slow_down(0.15)
        error = failure(settings_for(server, tmp_path, timeout=0.4))
    assert error.reason == "timeout"


def test_a_password_is_not_said_in_the_clear(tmp_path):
    """Without it settings that passed no check would publish the password."""
    with SmtpServer(tmp_path / "smtp", user="me", password="pw") as server:
        # The same machine under a name that does not show it.
        error = failure(settings_for(server, tmp_path, host="127.1"))
        assert (error.reason, server.attempts_to_log_in) == ("misconfigured", 0)


def test_silence_after_the_dot_is_ambiguous(tmp_path):
    """Without it a mail that the server may have would be counted as simply not sent."""
    with SmtpServer(tmp_path / "smtp") as server:
        server.hold("recorded")
        error = failure(settings_for(server, tmp_path, final_reply_timeout=0.2))
    assert error.reason == "ambiguous"


def test_a_slow_last_answer_is_waited_for(tmp_path):
    """Without it a server that scans mails slowly would get each one again and again."""
    with SmtpServer(tmp_path / "smtp") as server:
        server.hold("recorded")

        async def patient():
            transport = SmtpTransport(settings_for(server, tmp_path, timeout=0.3))
            sending = asyncio.create_task(transport.send(LETTER))
            done, _ = await asyncio.wait({sending}, timeout=0.5)
            assert not done
            server.release("recorded")
            reply = await sending
            await transport.close()
            return reply

        assert asyncio.run(patient()).code == 250


def test_what_happens_at_quit_changes_nothing(tmp_path):
    """Without it a mail that was accepted would be sent again because the goodbye failed."""
    with SmtpServer(tmp_path / "smtp") as server:
        server.script(quit="drop")
        assert send(settings_for(server, tmp_path)).code == 250
        server.script()
        server.hold("quit")
        assert send(settings_for(server, tmp_path)).code == 250


def test_nobody_listening_is_unreachable(tmp_path):
    """Without it a rebooting mail server would look like a fault of the mail."""
    with SmtpServer(tmp_path / "smtp") as server:
        settings = settings_for(server, tmp_path)
    assert failure(settings).reason == "unreachable"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"ca_file": "/does/not/exist"}, "ca_file"),
        ({"password_file": "/does/not/exist", "username": "me"}, "password_file"),
    ],
)
def test_a_missing_file_names_itself(tmp_path, changes, word):
    """Without it a person would have to guess which path in the settings is wrong."""
    with SmtpServer(tmp_path / "smtp", security="starttls", user="me", password="pw") as server:
        error = failure(settings_for(server, tmp_path, **changes))
    assert error.reason == "misconfigured"
    assert word in str(error)


def test_no_password_in_the_clear_beyond_this_machine():
    """Without it `security: none` would publish the password to the network."""
    assert any(
        key == "security"
        for key, _, _ in MailSettings(
            host="mail.test", security="none", username="me", password_file="x", from_="a@b.c", to=("a@b.c",)
        ).problems()
    )


@pytest.mark.parametrize("body", [b".\r\n", b"..x\r\n.y\r\n", b"From me\r\n", b"no newline", b"a\r\n.\r\nb\r\n"])
def test_bytes_arrive_as_they_left(tmp_path, body):
    """Without it a line with a dot would cut the mail in two, or vanish."""
    data = b"Subject: x\r\n\r\n" + body
    with SmtpServer(tmp_path / "smtp") as server:
        settings = settings_for(server, tmp_path)
        send(settings, replace(LETTER, data=data))
        (mail,) = server.mails()
    assert mail.data == (data if data.endswith(b"\r\n") else data + b"\r\n")


def test_a_mail_above_the_servers_size_is_refused_before_it_is_sent(tmp_path):
    """Without it a mail too large for the server would be pushed through in full, each time."""
    with SmtpServer(tmp_path / "smtp") as server:
        error = failure(settings_for(server, tmp_path), replace(LETTER, data=b"x: y\r\n\r\n" + b"a\r\n" * 500_000))
    assert (error.reason, error.reply.code) == ("refused", 552)


def test_steps_are_told(tmp_path):
    """Without it `mail test` could not say how far it came."""
    steps = []
    with SmtpServer(tmp_path / "smtp", security="starttls", user="me", password="pw") as server:
        send(settings_for(server, tmp_path), steps=steps)
    assert [step.split()[0] for step in steps] == ["connected", "STARTTLS:", "logged"]


def test_a_reply_outside_the_standard_is_not_final():
    """Without it a confused server's odd number would throw a mail away."""
    assert reason_of(354, "final") == "deferred"
    assert reason_of(999, "recipient") == "deferred"


def test_cancelling_closes_the_connection(tmp_path):
    """Without it a stopping alerter would leave connections behind that the server counts against it."""
    with SmtpServer(tmp_path / "smtp") as server:
        server.hold("data")

        async def cancelled():
            transport = SmtpTransport(settings_for(server, tmp_path))
            sending = asyncio.create_task(transport.send(LETTER))
            await asyncio.to_thread(server.wait_at, "data")
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            await transport.close()

        asyncio.run(cancelled())
        server.release("data")
        server.wait_idle()
