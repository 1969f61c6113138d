import email
import email.policy
from dataclasses import replace

import pytest

from alerts.compose_mail import compose
from alerts.mail_head import LONGEST_MESSAGE_ID
from alerts.notify.notification import Link
from tests.golden.example_mails import CHINESE, FIRING, HOSTILE, PICTURED, RESOLVED, SETTINGS

PNG = b"\x89PNG and so on" * 100


def parsed(notification, settings=SETTINGS, **kwargs):
    """The mail as a reader's program sees it."""
    return email.message_from_bytes(compose(notification, settings, **kwargs).data, policy=email.policy.default)


def bodies(notification):
    """(text, html) as a person reads them."""
    mail = parsed(notification)
    return tuple(mail.get_body((kind,)).get_content().replace("\r\n", "\n") for kind in ("plain", "html"))


def test_the_same_notification_makes_the_same_bytes():
    """Without it a mail made twice after a crash would be two mails to every reader."""
    assert compose(FIRING, SETTINGS) == compose(replace(FIRING), SETTINGS)


def test_both_bodies_say_what_since_when_who_and_what_to_do():
    """Without it somebody woken by the mail would still have to log in to learn what happened."""
    for body in bodies(FIRING):
        for words in ("GPU 2 memory is 96.1 % full", "above 90.0 %", "1 min 5 s", "train_gpt.py", "4711", "9.5 GiB"):
            assert words in body
        for words in ("gpubox", "inference", "What to do", "GPU-5f3c2a10"):
            assert words in body


def test_what_has_just_happened_is_not_said_to_be_0_ms_old():
    """Each mail of a rule that waits for nothing would hold a figure that makes people doubt the others."""
    for body in bodies(replace(FIRING, started_at=FIRING.at)):
        assert "Since" in body
        assert "before this mail" not in body


def test_resolved_says_how_long_and_what_now():
    """Without it people could not tell a short peak from an hour of trouble."""
    for body in bodies(RESOLVED):
        assert "16 min 40 s" in body
        assert "41.2 %" in body
        assert "What to do" not in body


def test_yes_and_no_are_no_facts():
    """A mail about a machine that is silent says "Value no, Threshold no"."""
    down = replace(FIRING, metric="up", unit="bool", comparison="equals", threshold=0.0, value=0.0, holders=())
    for body in bodies(down):
        assert "Since" in body
        assert "Value" not in body
        assert "Threshold" not in body
    assert all("no longer reported" in body for body in bodies(replace(down, reason="resolved", value=None, gone=True)))


def test_resolved_answers_the_first_mail():
    """Without it the two mails of one incident would lie apart in the inbox."""
    root = compose(FIRING, SETTINGS).message_id
    mail = parsed(RESOLVED)
    assert (mail["In-Reply-To"], mail["References"]) == (root, root)
    assert parsed(FIRING)["References"] is None


def test_resolved_answers_the_mail_that_was_sent():
    """Without it a changed sender address would tear the thread in two."""
    assert parsed(RESOLVED, root_message_id="<old.first@old.test>")["In-Reply-To"] == "<old.first@old.test>"


def test_the_subject_tells_the_story():
    """Without it a phone's lock screen would say that something happened, but not what."""
    assert compose(FIRING, SETTINGS).subject == "[CRITICAL] GPU 2 memory is 96.1 % full on gpubox"
    assert compose(replace(FIRING, summary="gpubox is down"), SETTINGS).subject == "[CRITICAL] gpubox is down"


@pytest.mark.parametrize(("notification", "importance"), [(FIRING, "high"), (RESOLVED, None), (CHINESE, None)])
def test_only_a_critical_alert_is_important(notification, importance):
    """Without it every mail would shout, and none would be heard."""
    assert parsed(notification)["Importance"] == importance


def test_simulated_data_says_so_everywhere():
    """Without it a demonstration could make somebody drive to the office."""
    assert parsed(HOSTILE)["Subject"].startswith("[SIMULATED] ")
    assert parsed(HOSTILE)["X-Gpuwarden-Simulated"] == "yes"
    assert all("SIMULATED" in body for body in bodies(HOSTILE))
    assert parsed(FIRING)["X-Gpuwarden-Simulated"] is None
    assert not any("SIMULATED" in body for body in bodies(FIRING))


def test_machines_do_not_answer():
    """Without it two vacation responders could write to each other all night."""
    assert parsed(FIRING)["Auto-Submitted"] == "auto-generated"
    assert parsed(FIRING)["X-Auto-Response-Suppress"] == "All"


def test_html_from_outside_is_text():
    """Without it a process name could load a picture, a form or a script in the reader's mail program."""
    _, html = bodies(HOSTILE)
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;/td&gt;&lt;img" in html
    assert "{{ 7 * 7 }}" in html


def test_the_html_fetches_nothing():
    """Without it opening the mail would tell somebody else's server that it was opened."""
    _, html = bodies(FIRING)
    assert "http://" not in html
    assert "https://" not in html
    assert "url(" not in html


@pytest.mark.parametrize(
    ("sender", "ending"),
    [
        ("a@example.com", "@example.com>"),
        (f"a@{'mail.' * 20}example.com", "@mail.mail.mail.example.com>"),
        (f"a@{'x' * 60}.com", "@com>"),
        (f"a@{'x' * 60}", "@gpuwarden.invalid>"),
        ("", "@localhost>"),
    ],
)
def test_message_ids_stay_short(sender, ending):
    """Without it Python would encode the id of a long domain in References, and Outlook would lose the thread."""
    settings = replace(SETTINGS, from_=sender)
    message = compose(RESOLVED, settings)
    assert message.message_id.endswith(ending)
    for name in ("Message-ID", "In-Reply-To", "References"):
        line = next(line for line in message.data.decode("ascii").split("\r\n") if line.startswith(f"{name}: "))
        assert len(line.removeprefix(f"{name}: ")) <= LONGEST_MESSAGE_ID


def test_names_with_commas_stay_one_recipient():
    """Without it a comma in a display name could turn a part of it into an address."""
    recipients = ('"Meyer, Ann" <ann@example.com>', '"李雷, a" <bob@example.com>')
    addresses = parsed(replace(FIRING, recipients=recipients))["To"].addresses
    assert [address.addr_spec for address in addresses] == ["ann@example.com", "bob@example.com"]


def test_a_value_of_nothing_is_said():
    """Without it an alert about missing readings would show a made-up number."""
    assert all("no reading" in body for body in bodies(replace(FIRING, value=None)))


def test_many_holders_are_summed():
    """Without it a card with a thousand processes would make an endless mail, or one that hides most of them."""
    assert all("and 4 more, holding 4.0 GiB" in body for body in bodies(HOSTILE))


def test_the_picture_is_part_of_the_html_and_the_text_is_whole_without_it():
    """A reader of text would miss a number, or mail programs would show the picture as an attachment."""
    mail = parsed(PICTURED, picture=PNG)
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
    ]
    related, image = [part for part in mail.walk() if part.get_content_type() in {"multipart/related", "image/png"}]
    assert related.get_param("type") == "text/html"
    assert image.get_content() == PNG
    assert image.get_content_disposition() == "inline"
    html = mail.get_body(("html",)).get_content()
    assert f'src="cid:{image["Content-ID"].strip("<>")}"' in html
    assert len(image["Content-ID"]) <= 78
    assert 'alt="Picture of the last readings of gpu_memory_used_ratio, now 96.1 %, highest 97.4 %, limit above' in html


def test_without_a_picture_the_mail_is_as_it_was():
    """A mail without a picture would show a broken one."""
    for mail in (parsed(PICTURED), parsed(PICTURED, picture=b"")):
        assert [part.get_content_type() for part in mail.walk()][1:] == ["text/plain", "text/html"]
        assert "<img" not in mail.get_body(("html",)).get_content()


def test_peak_and_trend_are_facts():
    """People could not tell a card that fills from one that stays, nor how bad it was once it is over."""
    for body in bodies(PICTURED):
        for words in ("97.4 %", "rising 23.1 percentage points in 10 min"):
            assert words in body
    for body in bodies(replace(RESOLVED, peak=0.982)):
        assert "98.2 %" in body
    text, _ = bodies(replace(FIRING, comparison="below", peak=0.01))
    assert "Lowest     1.0 %" in text
    assert all("Peak" not in body for body in bodies(replace(FIRING, peak=FIRING.value)))


def test_links_lead_on_and_nowhere_else():
    """A label could make the mail open something else than a page."""
    bad = (Link("x", "javascript:alert(1)"), Link("y", 'https://a/"><script>'), Link("z", "https://b/" + "c" * 5000))
    text, html = bodies(replace(FIRING, links=bad))
    assert "javascript" not in text + html
    assert "<script" not in html
    assert "ccc" not in html
    text, html = bodies(PICTURED)
    assert "Status page: http://gpubox:9400/" in text
    assert 'href="http://gpubox:9400/"' in html
