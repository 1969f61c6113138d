import email
import email.policy
import mailbox
from dataclasses import replace

import pytest
from click.testing import CliRunner

from alerts.mail_preview import run_mail_preview
from alerts.mail_settings import MailSettings
from alerts.mail_trial import run_mail_test
from alerts.server_settings import ServerSettings
from gpuwarden.cli import main
from tests.fakes.smtp.server import SmtpServer

SECRET = "correct-horse-battery"


@pytest.fixture
def server(tmp_path):
    """A server that wants STARTTLS and a login."""
    with SmtpServer(tmp_path / "smtp", security="starttls", user="me", password=SECRET) as running:
        yield running


def settings_for(server, tmp_path, password=SECRET):
    """Settings that fit ``server``, with ``password``."""
    (tmp_path / "password").write_text(password)
    return MailSettings(
        host="127.0.0.1",
        port=server.port,
        username="me",
        password_file=str(tmp_path / "password"),
        ca_file=str(server.ca_file),
        from_="gpuwarden <me@example.com>",
        to=("ann@example.com", "Bob <bob@example.com>"),
        timeout=10.0,
    )


def test_a_test_mail_says_each_step(server, tmp_path):
    """Without it setting up mail would be guesswork."""
    lines = []
    assert run_mail_test(settings_for(server, tmp_path), tmp_path / "state", lines.append) == 0
    told = "\n".join(lines)
    for words in (
        "to ann@example.com",
        "connected",
        "STARTTLS",
        "logged in as me",
        "accepted: 250",
        "to bob@example.com",
    ):
        assert words in told
    assert SECRET not in told
    assert [mail.recipients for mail in server.mails()] == [("ann@example.com",), ("bob@example.com",)]
    subject = email.message_from_bytes(server.mails()[0].data, policy=email.policy.default)["Subject"]
    assert "Test mail from gpuwarden" in subject


def test_a_refusal_is_told_in_the_servers_words(server, tmp_path):
    """Without it a person would not learn that only one address of two is wrong."""
    server.script(**{"rcpt:ann@example.com": "550 5.1.1 no such user here"})
    lines = []
    assert run_mail_test(settings_for(server, tmp_path), tmp_path / "state", lines.append) == 1
    told = "\n".join(lines)
    assert "NOT accepted (refused): the server answered 550 5.1.1 no such user here" in told
    assert "accepted: 250" in told


def test_a_wrong_password_is_told_and_not_shown(server, tmp_path):
    """Without it the most common mistake would be a riddle, or a leak."""
    lines = []
    assert run_mail_test(settings_for(server, tmp_path, "wrong-secret"), tmp_path / "state", lines.append) == 1
    told = "\n".join(lines)
    assert "login_refused" in told
    assert "535" in told
    assert "wrong-secret" not in told


def test_a_test_mail_tries_the_fallback_server_too(server, tmp_path):
    """Without it a mistake in the second server would be found when the first is down."""
    with SmtpServer(tmp_path / "second") as second:
        fallback = ServerSettings(host="127.0.0.1", port=second.port, security="none")
        second.script(**{"rcpt:bob@example.com": "554 5.7.1 Relay access denied"})
        lines = []
        settings = replace(settings_for(server, tmp_path), fallback=fallback)
        assert run_mail_test(settings, tmp_path / "state", lines.append) == 1
        assert [mail.recipients for mail in second.mails()] == [("ann@example.com",)]
    assert len(server.mails()) == 2
    told = "\n".join(lines)
    assert f"through the fallback server 127.0.0.1:{second.port}:" in told
    assert "NOT accepted (refused): the server answered 554 5.7.1 Relay access denied" in told


def test_without_a_server_the_maildir_is_named(tmp_path):
    """Without it nobody would find the mails of a machine without a mail server."""
    lines = []
    assert run_mail_test(MailSettings(), tmp_path, lines.append) == 0
    assert str(tmp_path / "mail") in lines[0]
    (message,) = mailbox.Maildir(tmp_path / "mail", create=False)
    assert "Test mail" in message["Subject"]


def test_preview_shows_each_kind(tmp_path):
    """Without it the first look at a mail would be the first alert."""
    assert run_mail_preview(MailSettings(), tmp_path / "out", lambda _: None) == 0
    said = {
        "firing": "What to do",
        "lowered": "was critical",
        "predicted": "predicted in 30 min",
        "resolved": "Lasted",
        "digest": "7 alerts on 2 hosts",
        "overnight": "Held back by the quiet hours until",
        "report": "gpuwarden is alive and watched 2 cards on 1 host",
    }
    for name, words in said.items():
        page = (tmp_path / "out" / f"{name}.html").read_text(encoding="utf-8")
        assert words in page
        pictured = name not in {"digest", "overnight", "report"}
        assert ('src="data:image/png;base64,' in page) == pictured
        mail = email.message_from_bytes((tmp_path / "out" / f"{name}.eml").read_bytes())
        assert mail["X-Gpuwarden-Simulated"] == "yes"
        assert ("image/png" in [part.get_content_type() for part in mail.walk()]) == pictured


def test_the_first_mail_that_a_newcomer_sees_has_its_whole_story_in_the_subject(tmp_path):
    """The demonstration of a subject that tells the story would be one that is cut off."""
    assert run_mail_preview(MailSettings(), tmp_path / "out", lambda _: None) == 0
    mail = email.message_from_bytes((tmp_path / "out" / "firing.eml").read_bytes(), policy=email.policy.default)
    assert mail["Subject"] == "[SIMULATED] [CRITICAL] GPU 2 memory is 96.1 % full on demo"
    assert "peak 91" in (tmp_path / "out" / "digest.html").read_text(encoding="utf-8")


def test_preview_without_pictures_says_why(tmp_path):
    """Somebody without matplotlib would see no mail at all, or wonder where the picture is."""
    (tmp_path / "fonts").write_text("in the way")
    lines = []
    assert run_mail_preview(MailSettings(), tmp_path / "out", lines.append, tmp_path / "fonts") == 0
    assert lines[0].startswith("no picture: ")
    assert "<img" not in (tmp_path / "out" / "firing.html").read_text(encoding="utf-8")


def test_preview_into_a_bad_place_fails_plainly(tmp_path):
    """Without it a mistyped folder would end in a traceback."""
    (tmp_path / "out").write_text("in the way")
    lines = []
    assert run_mail_preview(MailSettings(), tmp_path / "out", lines.append) == 1
    assert "cannot be written" in lines[0]


def test_the_commands_end_with_their_status(tmp_path):
    """Without it a script that sets up machines could not tell whether mail works."""
    settings = tmp_path / "gpuwarden.yml"
    mail = "{host: 127.0.0.1, port: 9, security: none, from: a@b.c, to: [a@b.c]}"
    settings.write_text(f"alerter:\n  state: {tmp_path}\n  mail: {mail}\n")
    result = CliRunner().invoke(main, ["mail", "test", "--config", str(settings)])
    assert (result.exit_code, "NOT accepted (unreachable)" in result.output) == (1, True)
    result = CliRunner().invoke(main, ["mail", "preview", "--config", str(settings), "--out", str(tmp_path / "out")])
    assert (result.exit_code, "firing.eml" in result.output) == (0, True)
