"""A report becomes the final bytes of a mail, and a notification under which the outbox keeps it."""

import datetime as dt
import email.utils

from alerts.compose_mail import domain_of, message_id_of, render
from alerts.mail_body import alternatives
from alerts.mail_headers import address_header, text_header, token_header
from alerts.mail_settings import MailSettings, split_address
from alerts.mail_subject import SUBJECT_LIMIT
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
    _, sender = split_address(settings.sender) or ("", "gpuwarden@localhost")
    message_id = message_id_of(report.id, REPORT, domain_of(sender))
    line, subject = text_header("Subject", view.subject, SUBJECT_LIMIT)
    head = [
        token_header("Date", email.utils.format_datetime(dt.datetime.fromtimestamp(report.at).astimezone())),
        address_header("From", (settings.sender,)),
        address_header("To", report.recipients),
        line,
        token_header("Message-ID", message_id),
        token_header("Auto-Submitted", "auto-generated"),
        token_header("X-Auto-Response-Suppress", "All"),
        token_header("X-Gpuwarden-Severity", report.severity),
        token_header("X-Gpuwarden-Reason", REPORT),
    ]
    if report.simulated:
        head.append(token_header("X-Gpuwarden-Simulated", "yes"))
    body = alternatives(report_text(view), report_html(view), report.id)
    return Message(message_id, sender, "".join(head).encode("ascii") + body, subject)


def report_text(view: ReportView) -> str:
    """Its text, for a terminal too."""
    return render("report.txt", view)


def report_html(view: ReportView) -> str:
    """Its HTML body."""
    return render("report.html", view)
