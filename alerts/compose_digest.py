"""Several notifications become the final bytes of one mail, and the same ones at the same time always the same bytes.

The mail stands under the id of the first of them. It opens no thread of its own: what comes later of any of its
incidents answers it. What a command gets instead of a mail is in ``compose_payload``.
"""

from collections.abc import Iterator

from alerts.compose_mail import render
from alerts.digest_view import DigestView, digest_view
from alerts.mail_body import alternatives
from alerts.mail_head import Told, message_of
from alerts.mail_headers import token_header
from alerts.mail_settings import MailSettings
from alerts.notify.digest import Group
from alerts.notify.notification import RANKS
from alerts.transport import Message

DIGEST = "digest"
"""Why such a mail exists; the word stands in its Message-ID and in its header."""


def compose_digest(group: Group, settings: MailSettings, at: float, *, root_message_id: str | None = None) -> Message:
    """The mail about ``group``, all for the same recipients, made ``at`` (Unix seconds).

    ``root_message_id`` is that of the mail that it answers, where all of it belongs to one thread.
    """
    view, leader = digest_view(group), group[0]
    told = Told(
        identity=leader.id,
        reason=DIGEST,
        at=at,
        subject=view.subject,
        recipients=leader.recipients,
        answers=root_message_id or "",
    )
    body = alternatives(render("digest.txt", view), digest_html(view), leader.id)
    return message_of(told, settings, _marks(group), body)


def digest_html(view: DigestView) -> str:
    """Its HTML body, to look at."""
    return render("digest.html", view)


def _marks(group: Group) -> Iterator[str]:
    """Headers for machines, those of a mail about one alert as far as they can be said of many."""
    yield token_header("X-Gpuwarden-Severity", min(group, key=lambda one: RANKS[one.severity]).severity)
    yield token_header("X-Gpuwarden-Reason", DIGEST)
    yield token_header("X-Gpuwarden-Incidents", str(len({one.incident for one in group})))
    if any(one.simulated for one in group):
        yield token_header("X-Gpuwarden-Simulated", "yes")
    if any(one.severity == "critical" and one.reason == "first" for one in group):
        yield token_header("Importance", "high")
