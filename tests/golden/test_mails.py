import email
import email.policy
import re
import time
from pathlib import Path

import pytest

from alerts.compose_digest import compose_digest
from alerts.report.compose import compose_report, report_notification
from alerts.report.view import report_view
from tests.golden.example_digests import AT, DIGESTS
from tests.golden.example_mails import EXAMPLES, SETTINGS
from tests.golden.example_mails import mail as single
from tests.golden.example_reports import REPORTS, TARIFF

MAILS = Path(__file__).parent / "mails"


def report(facts):
    """The mail on these facts."""
    view = report_view(facts, TARIFF)
    return compose_report(report_notification(facts, view, "r" * 20, SETTINGS.to), view, SETTINGS)


def mail(name):
    """The mail of a golden file."""
    if name in REPORTS:
        return report(REPORTS[name])
    return single(name) if name in EXAMPLES else compose_digest(DIGESTS[name], SETTINGS, AT)


@pytest.mark.parametrize("name", [*EXAMPLES, *DIGESTS, *REPORTS])
def test_a_mail_reads_as_it_did(name, monkeypatch):
    """Without it a change of wording, layout or header would reach inboxes unread (python -m tests.golden.remake)."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        data = mail(name).data
    finally:
        monkeypatch.undo()
        time.tzset()

    assert data.decode("ascii") == (MAILS / f"{name}.eml").read_bytes().decode("ascii")


@pytest.mark.parametrize("name", [*EXAMPLES, *DIGESTS, *REPORTS])
def test_a_mail_is_valid_to_the_letter(name):
    """A strict server would refuse it, or one on the way change its bytes."""
    data = (MAILS / f"{name}.eml").read_bytes()
    mail = email.message_from_bytes(data, policy=email.policy.strict.clone(linesep="\r\n"))
    head = data.partition(b"\r\n\r\n")[0].decode("ascii")

    assert data.isascii()
    assert b"\0" not in data
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", data)
    assert max(map(len, data.split(b"\r\n"))) <= 998
    assert len(data) < 2**20
    for header in ("Date", "From", "To", "Subject", "Message-ID", "MIME-Version"):
        assert len(re.findall(rf"^{header}: ", head, re.MULTILINE)) == 1
    assert len(re.findall(rb"^MIME-Version: ", data, re.MULTILINE)) == 1
    assert all(
        len(found) <= 60 for found in re.findall(r"^(?:Message-ID|In-Reply-To|References): (.*)$", head, re.MULTILINE)
    )
    assert {part["Content-Transfer-Encoding"] for part in mail.walk() if not part.is_multipart()} <= {
        "quoted-printable",
        "base64",
    }
    known = {part["Content-ID"].strip("<>") for part in mail.walk() if part["Content-ID"]}
    assert set(re.findall(r'"cid:([^"]+)"', mail.get_body(("html",)).get_content())) == known
    assert not any(part.defects for part in mail.walk())
