import email
import email.policy
import re
from dataclasses import replace
from email.header import decode_header, make_header

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.clean_text import one_line
from alerts.compose_mail import compose
from alerts.mail_head import LONGEST_MESSAGE_ID
from alerts.notify.notification import Graver, Holder, Link
from tests.golden.example_mails import FIRING, SETTINGS

NASTY = st.text(
    alphabet=st.one_of(
        st.characters(),
        st.characters(categories=["Cs", "Cc", "Cf", "Zl", "Zp"]),
        st.sampled_from("\r\n\0\"'<>&:;,@\\%{}=?. 显存🔥\u202e\u2066\u2028\x85\ufffe"),
    ),
    max_size=200,
) | st.sampled_from(
    [
        "A" * 10_000,
        "显" * 10_000,
        "=?utf-8?q?x?=",
        "=?utf-8?q?=0D=0ABcc:_c@d.e?=",
        "\r\n.\r\n",
        "\n\nFrom me",
        "a: b\r\nBcc: c@d.e",
        "",
    ]
)

IDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz234567", min_size=20, max_size=20)


def read_raw(data, name):
    """One header, unfolded and still encoded, as the older and less forgiving parser reads it."""
    return re.sub("\r?\n", "", str(email.message_from_bytes(data, policy=email.policy.compat32)[name]))


@st.composite
def notifications(draw):
    """Notifications whose every text comes from somebody who means harm."""
    holders = st.builds(Holder, NASTY, NASTY, st.floats(min_value=0), NASTY, NASTY)
    return replace(
        FIRING,
        id=draw(IDS),
        root=draw(IDS),
        incident=draw(NASTY),
        reason=draw(st.sampled_from(["first", "resolved", "lowered"])),
        reading=draw(NASTY),
        graver=draw(st.none() | st.builds(Graver, NASTY, st.just("critical"), st.floats(), st.floats())),
        gone=draw(st.booleans()),
        suggestion=draw(NASTY),
        comparison=draw(st.sampled_from(["above", "below", "equals", "absent", "within", "older"])),
        severity=draw(st.sampled_from(["critical", "warning", "info"])),
        alertname=draw(NASTY),
        labels=tuple(draw(st.lists(st.tuples(NASTY, NASTY), max_size=30))),
        value=draw(st.none() | st.floats()),
        unit=draw(st.sampled_from(["ratio", "bytes", "celsius", "seconds", "timestamp", "bool", "count"])),
        threshold=draw(st.floats()),
        summary=draw(NASTY),
        action=draw(NASTY),
        host=draw(NASTY),
        holders=tuple(draw(st.lists(holders, max_size=12))),
        simulated=draw(st.booleans()),
        peak=draw(st.none() | st.floats()),
        trend=draw(NASTY),
        links=tuple(
            draw(st.lists(st.builds(Link, NASTY, NASTY | NASTY.map(lambda text: f"https://{text}")), max_size=3))
        ),
    )


PICTURES = st.none() | st.binary(min_size=1, max_size=2000)


@given(notifications(), PICTURES)
@settings(max_examples=120, deadline=None)
def test_every_mail_is_strictly_valid(notification, picture):
    """Without it a process name could break a header, add a recipient, or make a server refuse the mail for ever."""
    message = compose(notification, SETTINGS, picture=picture)
    data = message.data

    assert message == compose(notification, SETTINGS, picture=picture)
    assert data.isascii()
    assert b"\0" not in data
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", data)
    assert max(map(len, data.split(b"\r\n"))) <= 998
    assert len(data) < 1_000_000
    headers = data.partition(b"\r\n\r\n")[0].decode("ascii")
    assert all(len(line) <= 78 or " " not in line.strip() for line in headers.split("\r\n"))
    names = re.findall(r"^([^\s:]+):", headers, re.MULTILINE)
    assert len(names) == len(set(names))
    assert "Bcc" not in names
    for line in re.findall(r"^(?:Message-ID|In-Reply-To|References): (.*)$", headers, re.MULTILINE):
        assert re.fullmatch(r"<[a-z0-9.]+@[a-z0-9.]+>", line.strip())
        assert len(line.strip()) <= LONGEST_MESSAGE_ID


@given(notifications(), PICTURES)
@settings(max_examples=60, deadline=None)
def test_every_mail_is_read_back_whole(notification, picture):
    """Without it a mail program could show half a mail, or a second one hidden in the first."""
    message = compose(notification, SETTINGS, picture=picture)
    mail = email.message_from_bytes(message.data, policy=email.policy.strict)

    shown = ["multipart/related", "text/html", "image/png"] if picture else ["text/html"]
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", *shown]
    assert picture is None or [*mail.walk()][-1].get_content() == picture
    assert [address.addr_spec for address in mail["To"].addresses] == ["ann@example.com", "bob@example.com"]
    assert str(make_header(decode_header(read_raw(message.data, "Subject")))) == message.subject
    assert len(message.subject) <= 60
    html = mail.get_body(("html",)).get_content()
    assert set(re.findall(r"<([a-z0-9]+)", html)) <= {
        *("html", "head", "meta", "title", "body", "table", "tr", "td", "th", "div", "b", "br", "pre", "span"),
        *(["img"] if picture else []),
        *(["a"] if notification.links else []),
    }
    assert all(found.startswith(("http://", "https://")) for found in re.findall(r'href="([^"]*)"', html))


@given(NASTY, st.integers(min_value=2, max_value=300))
def test_one_line_is_one_harmless_line(text, limit):
    """Without it a name from outside could forge lines of a mail or turn their reading direction."""
    line = one_line(text, limit)
    assert len(line) <= limit
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]", line)
    assert one_line(line, limit) == line
