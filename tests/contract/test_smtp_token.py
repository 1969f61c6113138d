import asyncio
import sys
from dataclasses import replace

import pytest

from alerts.login_secrets import LoginSecrets
from alerts.mail_settings import MailSettings
from alerts.server_settings import ServerSettings
from alerts.smtp_transport import SmtpTransport
from alerts.transport import Letter, SendError
from tests.contract.smtp_settings import settings_for
from tests.fakes.smtp.server import SmtpServer

LETTER = Letter("<a.first@example.com>", "alerts@example.com", "bob@example.com", b"Subject: hi\r\n\r\nbody\r\n")
TOKEN = "ya29.the-secret-token"


@pytest.fixture
def server(tmp_path):
    """A server that takes tokens only."""
    methods = ("XOAUTH2",)
    with SmtpServer(tmp_path / "smtp", security="starttls", user="me", password=TOKEN, methods=methods) as running:
        yield running


def settings(server, tmp_path, **changes):
    """Settings that fit ``server``, with a token in place of the password."""
    return settings_for(server, tmp_path, **{"password_file": None, **changes})


def printing(words, status=0):
    """A program that says ``words``, as settings name it."""
    return (sys.executable, "-c", f"import sys; sys.stdout.write({words!r}); sys.exit({status})")


def send(settings, times=1):
    async def story():
        transport = SmtpTransport(settings)
        try:
            return [await transport.send(LETTER) for _ in range(times)][-1]
        finally:
            await transport.close()

    return asyncio.run(story())


def failure(settings):
    with pytest.raises(SendError) as caught:
        send(settings)
    return caught.value


def test_a_token_from_a_file_logs_in(server, tmp_path):
    """Without it Gmail and Microsoft 365 would be out of reach where they take no passwords any more."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert send(settings(server, tmp_path, oauth_token_file=str(tmp_path / "token"))).code == 250
    assert server.mails()[0].user == "me"


def test_a_token_from_a_program_logs_in(server, tmp_path):
    """Without it somebody would have to write a fresh token into a file every hour."""
    assert send(settings(server, tmp_path, oauth_token_command=printing(f"\n {TOKEN} \n"))).code == 250


def test_a_refused_token_is_told_in_words_and_not_shown(server, tmp_path, caplog):
    """Without it an expired token would be a riddle, or a leak."""
    error = failure(settings(server, tmp_path, oauth_token_command=printing("wrong-token")))
    assert (error.reason, error.reply.code) == ("login_refused", 535)
    assert "it said of the token: status 400, schemes Bearer" in str(error)
    assert "wrong-token" not in str(error) + caplog.text
    assert server.attempts_to_log_in == 1


def test_a_server_without_xoauth2_is_told_no_token(tmp_path):
    """Without it the token would be sent to a server that takes it for something else."""
    with SmtpServer(tmp_path / "smtp", security="starttls", user="me", password=TOKEN) as server:
        error = failure(settings(server, tmp_path, oauth_token_command=printing(TOKEN)))
        assert (error.reason, server.attempts_to_log_in) == ("login_refused", 0)
    assert "no login by XOAUTH2 (it offers: " in str(error)


@pytest.mark.parametrize(
    ("program", "reason", "words"),
    [
        (printing("half-a-secret", 3), "login_refused", "ended with exit status 3"),
        (printing(""), "login_refused", "printed no token"),
        (printing("two\nlines"), "login_refused", "printed no token"),
        (("/does/not/exist",), "misconfigured", "cannot be run"),
    ],
)
def test_a_program_without_a_token_says_why(server, tmp_path, program, reason, words):
    """Without it nobody would learn that the program that fetches tokens is broken."""
    error = failure(settings(server, tmp_path, oauth_token_command=program))
    assert error.reason == reason
    assert words in str(error)
    assert "half-a-secret" not in str(error)
    assert server.attempts_to_log_in == 0


def test_a_token_is_asked_for_once_a_minute(tmp_path):
    """Without it a burst of mails would be a burst of requests to the identity provider, which limits them."""
    count = tmp_path / "count"
    script = f"open({str(count)!r}, 'a').write('x'); print('token')"
    now = 1000.0
    secrets = LoginSecrets(ServerSettings(oauth_token_command=(sys.executable, "-c", script)), lambda: now)

    async def ask():
        assert await secrets.token() == "token"
        return len(count.read_text())

    assert [asyncio.run(ask()), asyncio.run(ask())] == [1, 1]
    now = 1061.0
    assert asyncio.run(ask()) == 2
    secrets.forget()
    assert asyncio.run(ask()) == 3


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"password_file": "x"}, []),
        ({"oauth_token_file": "x"}, []),
        ({"oauth_token_command": ("x",)}, []),
        ({}, ["password_file"]),
        ({"password_file": "x", "oauth_token_file": "y"}, ["oauth_token_file"]),
        ({"password_file": "x", "oauth_token_command": ("y",)}, ["oauth_token_command"]),
        ({"username": None, "oauth_token_command": ("y",)}, ["username"]),
    ],
)
def test_exactly_one_secret_logs_in(changes, keys):
    """Without it a forgotten line in the settings would decide which secret is sent."""
    given = MailSettings(host="mail.test", username="me", from_="a@b.c", to=("a@b.c",))
    assert [key for key, _, _ in replace(given, **changes).problems()] == keys
