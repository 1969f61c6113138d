import email
import email.policy
from email.message import EmailMessage

from hypothesis import given
from hypothesis import strategies as st

from alerts.slim_mail import without_pictures

WORDS = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=200)
NASTY = st.sampled_from(
    ["--=_outer", "--=_outer--", 'boundary="=_inner"', "Content-Type: image/png", "\n--=_outer_inner\n", "=3D--", "."]
)


def mail_of(text, html, pictures):
    """A mail as ours are: text beside HTML with pictures."""
    mail = EmailMessage(policy=email.policy.SMTP)
    mail.set_content(text, cte="quoted-printable")
    mail.add_alternative(html, subtype="html", cte="quoted-printable")
    related = mail.get_payload()[1]
    for number, picture in enumerate(pictures):
        related.add_related(picture, "image", "png", cid=f"<{number}@x>", cte="base64")
    if pictures:
        related.set_boundary("=_outer_inner")
    mail.set_boundary("=_outer")
    return mail.as_bytes()


def bodies(data):
    mail = email.message_from_bytes(data, policy=email.policy.default)
    assert not mail.defects
    return [mail.get_body((kind,)).get_content() for kind in ("plain", "html")]


@given(st.lists(WORDS | NASTY), st.lists(WORDS | NASTY), st.lists(st.binary(max_size=300), min_size=1, max_size=3))
def test_only_the_pictures_go(text, html, pictures):
    """Without it a mail that is too large would lose its words with its picture."""
    data = mail_of("\n".join(text), "\n".join(html), pictures)
    smaller = without_pictures(data)
    assert smaller is not None
    assert bodies(smaller) == bodies(data)
    kinds = [part.get_content_type() for part in email.message_from_bytes(smaller).walk()]
    assert kinds == ["multipart/alternative", "text/plain", "multipart/related", "text/html"]
    assert without_pictures(smaller) is None


@given(st.lists(WORDS | NASTY))
def test_a_mail_without_pictures_cannot_be_made_smaller(text):
    """Without it a mail that is too large would be sent in circles."""
    assert without_pictures(mail_of("\n".join(text), "<p>x</p>", [])) is None


@given(st.binary(max_size=2000))
def test_anything_may_be_looked_at(data):
    """Without it bytes that are no mail of ours would end the sending."""
    without_pictures(data)
