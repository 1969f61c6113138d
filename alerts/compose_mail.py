"""A notification becomes the final bytes of a mail, and the same notification always the same bytes.

Nothing here reads a clock, a random number or the machine's name: ``Date`` is the time of the decision, the Message-ID
and the MIME boundary derive from the notification's id. The bytes are 7-bit with CRLF line ends, so no server on the
way has a reason to change them. Message-IDs stay within 60 characters, since mail programs lose the thread over folded
or encoded ids.
"""

import datetime as dt
import email.utils
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache

import jinja2

from alerts.mail_headers import address_header, text_header, token_header
from alerts.mail_settings import MailSettings, split_address
from alerts.mail_subject import SUBJECT_LIMIT
from alerts.mail_view import MailView, view_of
from alerts.notify.notification import Notification
from alerts.transport import Message

LONGEST_MESSAGE_ID = 60
_FALLBACK_DOMAIN = "gpuwarden.invalid"


def compose(
    notification: Notification,
    settings: MailSettings,
    *,
    root_message_id: str | None = None,
    picture: bytes | None = None,
) -> Message:
    """The mail about ``notification``, with ``picture`` (a PNG) in its HTML.

    ``root_message_id`` is that of the incident's first mail as it was sent (the settings may have changed since); when
    it is not known any more, it is derived anew.
    """
    _, sender = split_address(settings.sender) or ("", "gpuwarden@localhost")
    domain = domain_of(sender)
    message_id = message_id_of(notification.id, notification.reason, domain)
    content_id = f"{notification.id}.picture@{domain}"
    view = view_of(notification, f"cid:{content_id}" if picture else "")
    subject_line, subject = text_header("Subject", view.subject, SUBJECT_LIMIT)
    head = [
        token_header("Date", email.utils.format_datetime(dt.datetime.fromtimestamp(notification.at).astimezone())),
        address_header("From", (settings.sender,)),
        address_header("To", notification.recipients),
        subject_line,
        token_header("Message-ID", message_id),
    ]
    if notification.id != notification.root:
        root = root_message_id or message_id_of(notification.root, "first", domain)
        head += [token_header("In-Reply-To", root), token_header("References", root)]
    head += _marks(notification)
    body = _body(notification, view, picture, content_id)
    return Message(message_id, sender, "".join(head).encode("ascii") + body, subject)


def message_id_of(notification_id: str, reason: str, domain: str) -> str:
    """``<id.reason@domain>``, at most LONGEST_MESSAGE_ID characters, where ``domain`` comes from the sender."""
    return f"<{notification_id}.{reason}@{domain}>"


def domain_of(address: str) -> str:
    """The sender's domain, without its first parts where it is too long for a Message-ID."""
    room = LONGEST_MESSAGE_ID - len(message_id_of("x" * 20, "resolved", ""))
    domain = address.rpartition("@")[2].lower()
    while len(domain) > room and "." in domain:
        domain = domain.partition(".")[2]
    return domain if len(domain) <= room else _FALLBACK_DOMAIN


def _marks(notification: Notification) -> Iterator[str]:
    """Headers for machines: no automatic answers (RFC 3834), and what a filter can sort by."""
    yield token_header("Auto-Submitted", "auto-generated")
    yield token_header("X-Auto-Response-Suppress", "All")
    yield text_header("X-Gpuwarden-Alert", notification.alertname, 120)[0]
    yield token_header("X-Gpuwarden-Severity", notification.severity)
    yield token_header("X-Gpuwarden-Reason", notification.reason)
    yield text_header("X-Gpuwarden-Incident", notification.incident, 60)[0]
    if notification.simulated:
        yield token_header("X-Gpuwarden-Simulated", "yes")
    if notification.severity == "critical" and notification.reason == "first":
        yield token_header("Importance", "high")


def _body(notification: Notification, view: MailView, picture: bytes | None, content_id: str) -> bytes:
    """Text and HTML with the MIME headers that go before them; the picture belongs to the HTML alone (RFC 2387)."""
    template = "resolved" if notification.reason == "resolved" else "firing"
    mail = EmailMessage(policy=SMTP)
    mail.set_content(render(f"{template}.txt", view), charset="utf-8", cte="quoted-printable")
    mail.add_alternative(render(f"{template}.html", view), subtype="html", charset="utf-8", cte="quoted-printable")
    # No body can hold a boundary: quoted-printable writes every "=" as "=3D", and base64 has no "_".
    if picture:
        html = [*mail.iter_parts()][-1]
        html.add_related(
            picture, "image", "png", cid=f"<{content_id}>", disposition="inline", filename="readings.png", cte="base64"
        )
        html.set_param("type", "text/html")
        html.set_boundary(f"=_gpuwarden_{notification.id}_html")
    for part in [*mail.walk()][1:]:
        del part["MIME-Version"]  # belongs to the whole mail, RFC 2045 section 4
    mail.set_boundary(f"=_gpuwarden_{notification.id}")
    return mail.as_bytes()


def render(template: str, view: object) -> str:
    """One body: ``template`` is a file name of ``alerts/templates``, ``view`` the strings that it places."""
    return _templates().get_template(template).render(mail=view)


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("alerts"),
        autoescape=jinja2.select_autoescape(("html",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,  # an upgrade below a running alerter brings templates for other code
    )
