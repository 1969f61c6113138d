import asyncio
import mailbox

import pytest

from alerts.maildir import MaildirTransport
from alerts.transport import Letter, SendError

LETTER = Letter("<a.first@example.com>", "alerts@example.com", "bob@example.com", b"Subject: hi\r\n\r\nbody\r\n")


def deliver(folder, letter=LETTER):
    """Deliver once."""
    return asyncio.run(MaildirTransport(folder).send(letter))


def test_a_mail_program_can_read_it(tmp_path):
    """Without it the mails of a machine without a mail server could be read by nobody."""
    deliver(tmp_path / "mail")
    (message,) = mailbox.Maildir(tmp_path / "mail", create=False)
    assert message["Subject"] == "hi"


def test_the_bytes_are_the_mail(tmp_path):
    """Without it a mail resent after a crash could differ from the first."""
    deliver(tmp_path)
    (path,) = (tmp_path / "new").iterdir()
    assert path.read_bytes() == LETTER.data.replace(b"\r\n", b"\n")
    assert not list((tmp_path / "tmp").iterdir())


def test_twice_is_once(tmp_path):
    """Without it a crash after delivery would put the same mail there again."""
    deliver(tmp_path)
    (first,) = (tmp_path / "new").iterdir()
    before = first.stat().st_ino
    assert deliver(tmp_path).code == 250
    (second,) = (tmp_path / "new").iterdir()
    assert (second, second.stat().st_ino) == (first, before)


def test_a_mail_that_was_read_does_not_come_again(tmp_path):
    """Without it a read alert would turn up as new after a restart."""
    deliver(tmp_path)
    (path,) = (tmp_path / "new").iterdir()
    path.rename(tmp_path / "cur" / f"{path.name}:2,S")
    deliver(tmp_path)
    assert not list((tmp_path / "new").iterdir())


def test_each_recipient_has_a_copy(tmp_path):
    """Without it the delivery to a second recipient would look done when it is not."""
    deliver(tmp_path)
    deliver(tmp_path, Letter(LETTER.message_id, LETTER.envelope_from, "ann@example.com", LETTER.data))
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_a_draft_of_a_crash_is_written_over(tmp_path):
    """Without it half a mail left by a power loss would stay half."""
    deliver(tmp_path)
    (path,) = (tmp_path / "new").iterdir()
    path.rename(tmp_path / "tmp" / path.name)
    (tmp_path / "tmp" / path.name).write_bytes(b"Subj")
    deliver(tmp_path)
    assert path.read_bytes() == LETTER.data.replace(b"\r\n", b"\n")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    """Without it nobody would learn why no mail comes."""
    (tmp_path / "mail").write_text("in the way")
    with pytest.raises(SendError) as caught:
        deliver(tmp_path / "mail")
    assert caught.value.reason == "unwritable"
    assert str(tmp_path / "mail") in str(caught.value)
