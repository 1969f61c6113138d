import email
import email.policy
from dataclasses import replace

import pytest

from alerts.compose_digest import compose_digest
from alerts.digest_view import digest_view
from alerts.mail_head import LONGEST_MESSAGE_ID
from alerts.mail_subject import SUBJECT_LIMIT
from tests.golden.example_digests import AT, BRIEF, BURST, NIGHT
from tests.golden.example_mails import FIRING, SETTINGS


def parsed(group, **kwargs):
    """The mail as a reader's program sees it."""
    return email.message_from_bytes(compose_digest(group, SETTINGS, AT, **kwargs).data, policy=email.policy.default)


def bodies(group):
    """(text, html) as a person reads them."""
    mail = parsed(group)
    return tuple(mail.get_body((kind,)).get_content() for kind in ("plain", "html"))


@pytest.mark.parametrize("group", [BURST, NIGHT])
def test_both_bodies_name_each_incident(group):
    """A card in trouble would be missing from the only mail that tells of it."""
    for body in bodies(group):
        for row in digest_view(group).rows:
            for words in (row.host, row.rule, row.when):
                assert words in body
        assert body.count("since ") + body.count("fired ") == len(digest_view(group).rows)


def test_what_fires_can_be_silenced_from_a_digest_too():
    """Just when much happens at once, nobody could quieten the one card that they know of."""
    firing = [one for one in BURST if one.reason != "resolved"]
    for body in bodies(BURST):
        assert body.count("gpuwarden silence add --for 4h alertname=") == len(firing)
    for body in bodies(BRIEF):
        assert "gpuwarden silence add" not in body


def test_an_alert_that_flaps_is_said_to_flap_in_a_digest_too():
    """What it did next would go untold without a word why, since its only mail about that was a digest."""
    flapping = replace(FIRING, reason="flapping", flaps=4, flaps_since=FIRING.at - 38 * 60.0, lasting=600.0)
    for body in bodies((flapping, *BURST[1:])):
        assert "fired 4 times in 38 min; from now on only a state that lasts 10 min is told" in body


def test_what_came_and_went_says_when_and_how_bad_it_was():
    """Nobody would learn in the morning that the night's alert ended by itself after a quarter of an hour."""
    for body in bodies(NIGHT):
        assert "fired 2026-05-28" in body
        assert "after 16 min 40 s" in body
        assert "peak 98.7 %" in body
        assert "(first, resolved)" in body
    assert parsed(BRIEF)["Subject"].startswith("[RESOLVED] GPU 2 memory is 96.1 % full")
    elsewhere = [replace(one, host="203.0.113.117:9400") for one in BRIEF]
    assert parsed(tuple(elsewhere))["Subject"] == "[RESOLVED] GPU 2 memory is 96.1 % full on 203.0.113.117:9400"


def test_the_subject_counts_the_gravest_first_within_its_width():
    """On a phone one could not tell a bad night from a quiet one."""
    assert parsed(BURST)["Subject"] == "[2 CRITICAL, 7 WARNING] 9 alerts on 4 hosts"
    crowd = [
        replace(FIRING, id=f"{n}", incident=f"{n}", severity=("critical", "warning", "info")[n % 3], host=f"{n}")
        for n in range(999)
    ]
    crowd.append(replace(FIRING, id="r", incident="r", reason="resolved"))
    subject = digest_view(tuple(replace(one, simulated=True) for one in crowd)).subject
    assert subject.startswith("[SIMULATED] [333 CRITICAL")
    assert subject.endswith("1000 alerts on 1000 hosts")
    assert len(subject) <= SUBJECT_LIMIT


def test_hostile_names_break_nothing():
    """Any user of a box could forge a header or the list of the others' alerts by the name of a program."""
    mail = parsed(NIGHT)
    assert mail.defects == []
    assert mail["Bcc"] is None
    assert "<script>" not in mail.get_body(("html",)).get_content()
    data = compose_digest(NIGHT, SETTINGS, AT).data
    assert data.isascii()
    assert max(map(len, data.split(b"\r\n"))) <= 998


def test_headers_for_threads_and_filters():
    """Replies would open threads of their own, and filters miss the mail."""
    mail = parsed(BURST)
    assert mail["Message-ID"] == f"<{BURST[0].id}.digest@example.com>"
    long = replace(SETTINGS, from_="a@a-very-long-name-of-a-department.of-a-company.example.com")
    assert len(compose_digest(BURST, long, AT).message_id) <= LONGEST_MESSAGE_ID
    assert (mail["X-Gpuwarden-Reason"], mail["X-Gpuwarden-Severity"]) == ("digest", "critical")
    assert mail["X-Gpuwarden-Incidents"] == "9"
    assert mail["In-Reply-To"] is None
    assert parsed(BRIEF, root_message_id="<a@b>")["References"] == "<a@b>"
    assert parsed(NIGHT)["X-Gpuwarden-Simulated"] is None
