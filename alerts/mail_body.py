"""The two bodies of a mail, text and HTML, with the MIME headers that go before them: the same bytes each time."""

from dataclasses import dataclass
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG that the HTML refers to by its Content-ID, which is without brackets here."""

    png: bytes
    content_id: str


def alternatives(text: str, html: str, identity: str, picture: Picture | None = None) -> bytes:
    """Both as quoted-printable between boundaries made of ``identity``; a picture belongs to the HTML (RFC 2387)."""
    mail = EmailMessage(policy=SMTP)
    mail.set_content(text, charset="utf-8", cte="quoted-printable")
    mail.add_alternative(html, subtype="html", charset="utf-8", cte="quoted-printable")
    # No body can hold a boundary: quoted-printable writes every "=" as "=3D", and base64 has no "_".
    if picture:
        _add_picture([*mail.iter_parts()][-1], picture, f"=_gpuwarden_{identity}_html")
    for part in [*mail.walk()][1:]:
        del part["MIME-Version"]  # belongs to the whole mail, RFC 2045 section 4
    mail.set_boundary(f"=_gpuwarden_{identity}")
    return mail.as_bytes()


def _add_picture(html: MIMEPart, picture: Picture, boundary: str) -> None:
    cid = f"<{picture.content_id}>"
    html.add_related(
        picture.png, "image", "png", cid=cid, disposition="inline", filename="readings.png", cte="base64"
    )  # fmt: skip
    html.set_param("type", "text/html")
    html.set_boundary(boundary)
