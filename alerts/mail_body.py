"""The two bodies of a mail, text and HTML, with the MIME headers that go before them: the same bytes each time."""

from email.message import EmailMessage
from email.policy import SMTP


def alternatives(text: str, html: str, identity: str) -> bytes:
    """Both as quoted-printable between boundaries made of ``identity``."""
    mail = EmailMessage(policy=SMTP)
    mail.set_content(text, charset="utf-8", cte="quoted-printable")
    mail.add_alternative(html, subtype="html", charset="utf-8", cte="quoted-printable")
    for part in mail.iter_parts():
        del part["MIME-Version"]  # belongs to the whole mail, RFC 2045 section 4
    # Neither body can hold this: quoted-printable writes every "=" as "=3D".
    mail.set_boundary(f"=_gpuwarden_{identity}")
    return mail.as_bytes()
