"""A report becomes the final bytes of a mail, and a notification under which the outbox keeps it."""

from alerts.compose_mail import render
from alerts.mail_body import alternatives
from alerts.mail_head import Told, message_of
from alerts.mail_headers import token_header
from alerts.mail_settings import MailSettings
from alerts.notify.notification import Notification
from alerts.report.facts import ReportFacts
from alerts.report.view import ReportView
from alerts.transport import Message

REPORT = "report"
"""Why such a mail exists; the word stands in its Message-ID and in its header."""


def report_notification(
    facts: ReportFacts, view: ReportView, identity: str, recipients: tuple[str, ...]
) -> Notification:
    """The report as the store keeps it, decided when it was due."""
    return Notification(
        id=identity,
        incident=identity,
        root=identity,
        reason=REPORT,
        at=facts.period.end,
        started_at=facts.period.begin,
        alertname="Report",
        severity="info",
        labels=(),
        metric="",
        unit="count",
        comparison="equals",
        threshold=0.0,
        value=None,
        summary=view.subject,
        action="",
        host="",
        recipients=recipients,
        simulated=bool(view.simulated),
    )


def compose_report(report: Notification, view: ReportView, settings: MailSettings) -> Message:
    """The mail; the same bytes each time."""
    told = Told(identity=report.id, reason=REPORT, at=report.at, subject=view.subject, recipients=report.recipients)
    marks = [token_header("X-Gpuwarden-Severity", report.severity), token_header("X-Gpuwarden-Reason", REPORT)]
    if report.simulated:
        marks.append(token_header("X-Gpuwarden-Simulated", "yes"))
    return message_of(told, settings, marks, alternatives(report_text(view), report_html(view), report.id))


def report_text(view: ReportView) -> str:
    """Its text, for a terminal too."""
    return render("report.txt", view)


def report_html(view: ReportView) -> str:
    """Its HTML body."""
    return render("report.html", view)
