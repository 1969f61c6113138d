import time
from pathlib import Path

import pytest

from alerts.compose_digest import compose_digest
from alerts.compose_mail import compose
from tests.golden.example_digests import AT, DIGESTS
from tests.golden.example_mails import EXAMPLES, SETTINGS

MAILS = Path(__file__).parent / "mails"


@pytest.mark.parametrize("name", [*EXAMPLES, *DIGESTS])
def test_a_mail_reads_as_it_did(name, monkeypatch):
    """Without it a change of wording, layout or header would reach inboxes unread (python -m tests.golden.remake)."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        mail = compose(EXAMPLES[name], SETTINGS) if name in EXAMPLES else compose_digest(DIGESTS[name], SETTINGS, AT)
    finally:
        monkeypatch.undo()
        time.tzset()

    assert mail.data.decode("ascii") == (MAILS / f"{name}.eml").read_bytes().decode("ascii")
