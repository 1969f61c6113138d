"""A notification becomes the final bytes of a mail, and the same notification always the same bytes.

Nothing here reads a clock, a random number or the machine's name: ``Date`` is the time of the decision, the Message-ID
and the MIME boundary derive from the notification's id. The bytes are 7-bit with CRLF line ends, so no server on the
way has a reason to change them.
"""

from collections.abc import Iterator
from functools import cache

import jinja2

from alerts.mail_body import Picture, alternatives
from alerts.mail_head import Told, domain_of, message_id_of, message_of, sender_of
from alerts.mail_headers import text_header, token_header
from alerts.mail_settings import MailSettings
from alerts.mail_view import view_of
from alerts.notify.notification import Notification
from alerts.transport import Message


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
    domain = domain_of(sender_of(settings))
    shown = Picture(picture, f"{notification.id}.picture@{domain}") if picture else None
    view = view_of(notification, f"cid:{shown.content_id}" if shown else "")
    opens = notification.id == notification.root
    told = Told(
        identity=notification.id,
        reason=notification.reason,
        at=notification.at,
        subject=view.subject,
        recipients=notification.recipients,
        answers="" if opens else root_message_id or message_id_of(notification.root, "first", domain),
    )
    template = "resolved" if notification.reason == "resolved" else "firing"
    text, html = render(f"{template}.txt", view), render(f"{template}.html", view)
    return message_of(told, settings, _marks(notification), alternatives(text, html, notification.id, shown))


def _marks(notification: Notification) -> Iterator[str]:
    """Headers for machines: what a filter can sort by."""
    yield text_header("X-Gpuwarden-Alert", notification.alertname, 120)[0]
    yield token_header("X-Gpuwarden-Severity", notification.severity)
    yield token_header("X-Gpuwarden-Reason", notification.reason)
    yield text_header("X-Gpuwarden-Incident", notification.incident, 60)[0]
    if notification.simulated:
        yield token_header("X-Gpuwarden-Simulated", "yes")
    if notification.severity == "critical" and notification.reason == "first":
        yield token_header("Importance", "high")


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
