import time
from pathlib import Path

import pytest

from alerts.compose_digest import compose_digest
from alerts.compose_mail import compose
from alerts.report.compose import compose_report, report_notification
from alerts.report.view import report_view
from tests.golden.example_digests import AT, DIGESTS
from tests.golden.example_mails import EXAMPLES, SETTINGS
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
    return compose(EXAMPLES[name], SETTINGS) if name in EXAMPLES else compose_digest(DIGESTS[name], SETTINGS, AT)


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
