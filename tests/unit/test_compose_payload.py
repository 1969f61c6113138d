import json
import math
from dataclasses import replace

from alerts.compose_digest import compose_digest
from alerts.compose_mail import compose
from alerts.compose_payload import compose_payload, digest_payload, with_digest_payload, with_payload
from alerts.compose_plain import compose_plain
from tests.golden.example_digests import AT, BURST, NIGHT
from tests.golden.example_mails import FIRING, RESOLVED, SETTINGS

TOLD = replace(FIRING, recipients=("ann@example.com", "command:push"))


def payload_of(notification, write=compose):
    return json.loads(compose_payload(write(notification, SETTINGS), notification))


def test_a_payload_says_what_the_mail_says():
    """Without it the phone and the inbox would tell different stories."""
    payload = payload_of(TOLD)
    assert payload["subject"] == compose(TOLD, SETTINGS).subject
    assert "GPU 2 memory is 96.1 % full" in payload["text"]
    assert "python3 train_gpt.py" in payload["text"]
    assert payload["labels"]["gpu"] == "2"
    assert (payload["severity"], payload["reason"]) == ("critical", "first")
    assert (payload["value"], payload["value_text"]) == (0.961, "96.1 %")
    assert payload["message_id"].startswith("<abcdefghijklmnopqrst.first@")
    assert payload["simulated"] is False


def test_a_payload_is_the_same_bytes_each_time():
    """Without it a retry could tell a phone something else than the first try."""
    message = compose(TOLD, SETTINGS)
    assert compose_payload(message, TOLD) == compose_payload(message, TOLD)


def test_no_value_breaks_the_json():
    """Without it a NaN or a hostile name would make JSON that no program reads."""
    odd = replace(TOLD, value=math.nan, labels=(("process", "a\ud800\x00\u202e\n"),), summary="\ud800")
    assert payload_of(odd)["value"] is None
    assert payload_of(replace(TOLD, value=None))["value_text"] == ""
    assert payload_of(replace(TOLD, value=math.inf))["value"] is None
    raw = compose_payload(compose(odd, SETTINGS), odd)
    assert raw.isascii()
    assert raw.count(b"\n") == 1


def test_the_plain_mail_has_a_payload_too():
    """Without it an alert that cannot be written as a full mail would not reach a phone."""
    assert "GPU 2 memory is 96.1 % full" in payload_of(TOLD, compose_plain)["text"]


def test_only_commands_get_a_payload():
    """Without it every mail would be stored twice."""
    message = compose(FIRING, SETTINGS)
    assert with_payload(message, FIRING) is message
    told = replace(RESOLVED, recipients=("command:push",))
    assert json.loads(with_payload(compose(told, SETTINGS), told).payload)["reason"] == "resolved"


def test_the_payload_of_a_digest_names_each_alert():
    """Without it a phone would hear of one card while the inbox names nine."""
    payload = json.loads(digest_payload(compose_digest(BURST, SETTINGS, AT), BURST, AT))
    assert payload["subject"] == payload["summary"] == "[2 CRITICAL, 7 WARNING] 9 alerts on 4 hosts"
    assert (payload["reason"], payload["severity"], payload["host"], payload["value"]) == (
        "digest",
        "critical",
        "",
        None,
    )
    assert payload_of(TOLD).keys() < payload.keys()
    assert [one["summary"] for one in payload["alerts"]][:2] == [BURST[0].summary, BURST[1].summary]
    assert len(payload["alerts"]) == 9
    assert (
        json.loads(digest_payload(compose_digest(NIGHT, SETTINGS, AT), NIGHT, AT))["alerts"][-1]["reason"] == "resolved"
    )


def test_only_commands_need_the_payload_of_a_digest():
    """Without it the state would hold each digest twice."""
    message = compose_digest(BURST, SETTINGS, AT)
    assert with_digest_payload(message, BURST, AT) == message
    told = (replace(BURST[0], recipients=TOLD.recipients), *BURST[1:])
    assert with_digest_payload(message, told, AT).payload
