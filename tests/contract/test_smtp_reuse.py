import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from alerts.smtp_transport import SmtpTransport
from alerts.transport import Letter, SendError
from tests.contract.smtp_settings import settings_for
from tests.fakes.smtp.server import SmtpServer
from tests.polling import wait_until

LETTER = Letter("<a.first@example.com>", "alerts@example.com", "bob@example.com", b"Subject: hi\r\n\r\nbody\r\n")
PICTURED = (
    b'Subject: hi\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="=_a"\r\n\r\n'
    b'--=_a\r\nContent-Type: text/plain\r\n\r\ntext boundary=3D"=3D_b"\r\n'
    b'--=_a\r\nContent-Type: multipart/related; boundary="=_a_related"\r\n\r\n'
    b'--=_a_related\r\nContent-Type: text/html\r\n\r\n<img src=3D"cid:plot">\r\n'
    b"--=_a_related\r\nContent-ID: <plot>\r\nContent-Type: image/png\r\n\r\n"
    + b"AAAA\r\n" * 2000
    + b"--=_a_related--\r\n--=_a--\r\n"
)


@asynccontextmanager
async def transport_to(settings, steps=None):
    transport = SmtpTransport(settings, (steps if steps is not None else []).append)
    try:
        yield transport
    finally:
        await transport.close()


def test_a_burst_goes_over_one_connection(tmp_path):
    """Without it a hundred alerts at once would be a hundred logins, and a provider that locks the account."""
    steps = []
    with SmtpServer(tmp_path / "smtp", security="starttls", user="me", password="pw") as server:

        async def story():
            async with transport_to(settings_for(server, tmp_path), steps) as transport:
                for _ in range(5):
                    assert (await transport.send(LETTER)).code == 250

        asyncio.run(story())
        server.wait_idle()
        assert len(server.mails()) == 5
        assert server.attempts_to_log_in == 1
    assert [step.split()[0] for step in steps] == ["connected", "STARTTLS:", "logged"]


def test_a_kept_connection_is_given_back_by_itself(tmp_path):
    """Without it an idle alerter would hold a connection that its provider counts."""
    with SmtpServer(tmp_path / "smtp") as server:

        async def story():
            async with transport_to(settings_for(server, tmp_path)) as transport:
                await transport.send(LETTER)
                await asyncio.to_thread(server.wait_idle)
                await transport.send(LETTER)

        asyncio.run(story())
        assert len(server.mails()) == 2


@pytest.mark.parametrize("reply", ["drop", "421 4.4.2 idle for too long"])
@pytest.mark.parametrize("stage", ["mail", "rcpt", "begin"])
def test_a_connection_that_the_server_ended_costs_no_attempt(tmp_path, stage, reply):
    """Without it a server that ends connections early would make every second mail wait."""
    with SmtpServer(tmp_path / "smtp") as server:

        async def story():
            async with transport_to(settings_for(server, tmp_path)) as transport:
                await transport.send(LETTER)
                server.script(**{stage: reply})
                server.hold(stage)
                sending = asyncio.create_task(transport.send(LETTER))
                await asyncio.to_thread(server.wait_at, stage)
                # Only the kept connection meets it: by the time of the new one, the server behaves.
                server.hold("greeting")
                server.release(stage)
                await asyncio.to_thread(server.wait_at, "greeting")
                server.behave()
                assert (await sending).code == 250

        asyncio.run(story())
        assert len(server.mails()) == 2


def test_a_refusal_over_a_kept_connection_is_a_refusal(tmp_path):
    """Without it a wrong address would be asked for twice, each time."""
    with SmtpServer(tmp_path / "smtp") as server:

        async def story():
            async with transport_to(settings_for(server, tmp_path)) as transport:
                await transport.send(LETTER)
                server.script(rcpt="550 no such user")
                with pytest.raises(SendError) as caught:
                    await transport.send(LETTER)
                assert caught.value.reason == "refused"
                server.script()
                await transport.send(LETTER)

        asyncio.run(story())
        assert len(server.mails()) == 2


def test_silence_after_the_mail_is_ambiguous_over_a_kept_connection_too(tmp_path):
    """Without it a mail that the server has would be sent again at once, and counted as sent once."""
    with SmtpServer(tmp_path / "smtp") as server:

        async def story():
            async with transport_to(settings_for(server, tmp_path)) as transport:
                await transport.send(LETTER)
                server.script(recorded="drop")
                with pytest.raises(SendError) as caught:
                    await transport.send(LETTER)
                assert caught.value.reason == "ambiguous"

        asyncio.run(story())
        assert len(server.mails()) == 2


def test_two_at_a_time_do_not_share_a_connection(tmp_path):
    """Without it two letters could be mixed into one."""
    with SmtpServer(tmp_path / "smtp") as server:

        async def story():
            async with transport_to(settings_for(server, tmp_path)) as transport:
                letters = [replace(LETTER, recipient=f"r{number}@example.com") for number in range(8)]
                await asyncio.gather(*map(transport.send, letters))
                await asyncio.gather(*map(transport.send, letters))

        asyncio.run(story())
        wait_until(lambda: len(server.mails()) == 16, 10, "mails are missing")
        assert {len(mail.recipients) for mail in server.mails()} == {1}


def test_a_mail_that_is_too_large_goes_without_its_pictures(tmp_path):
    """Without it a small mailbox or a strict server would cost the whole alert for the sake of a plot."""
    with SmtpServer(tmp_path / "smtp") as server:
        server.script(mail="552 5.3.4 message too big")

        async def story():
            async with transport_to(settings_for(server, tmp_path)) as transport:
                with pytest.raises(SendError) as caught:
                    await transport.send(LETTER)
                assert caught.value.reason == "refused"
                server.hold("mail")
                sending = asyncio.create_task(transport.send(replace(LETTER, data=PICTURED)))
                await asyncio.to_thread(server.wait_at, "mail")
                server.hold("greeting")
                server.release("mail")
                await asyncio.to_thread(server.wait_at, "greeting")
                server.behave()
                reply = await sending
                assert "without its pictures" in reply.text

        asyncio.run(story())
        (mail,) = server.mails()
    assert b"image/png" not in mail.data
    assert b"text/html" in mail.data
    assert mail.data.endswith(b"--=_a_related--\r\n--=_a--\r\n")
