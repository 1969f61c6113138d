import time
from pathlib import Path

import pytest

from tests.golden.example_mails import EXAMPLES, mail

MAILS = Path(__file__).parent / "mails"


@pytest.mark.parametrize("name", EXAMPLES)
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
