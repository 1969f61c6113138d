import json
import math
from dataclasses import replace

from alerts.compose_digest import compose_digest
from alerts.compose_mail import compose
from alerts.compose_payload import compose_payload, with_payload
from alerts.compose_plain import compose_plain
from tests.golden.example_mails import FIRING, RESOLVED, SETTINGS

TOLD = replace(FIRING, recipients=("ann@example.com", "command:push"))


def payload_of(notification, write=compose):
    return json.loads(compose_payload(write(notification, SETTINGS), (notification,)))


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
    assert compose_payload(message, (TOLD,)) == compose_payload(message, (TOLD,))


def test_no_value_breaks_the_json():
    """Without it a NaN or a hostile name would make JSON that no program reads."""
    odd = replace(TOLD, value=math.nan, labels=(("process", "a\ud800\x00\u202e\n"),), summary="\ud800")
    assert payload_of(odd)["value"] is None
    assert payload_of(replace(TOLD, value=None))["value_text"] == ""
    assert payload_of(replace(TOLD, value=math.inf))["value"] is None
    raw = compose_payload(compose(odd, SETTINGS), (odd,))
    assert raw.isascii()
    assert raw.count(b"\n") == 1


def test_the_plain_mail_has_a_payload_too():
    """Without it an alert that cannot be written as a full mail would not reach a phone."""
    assert "GPU 2 memory is 96.1 % full" in payload_of(TOLD, compose_plain)["text"]


def test_only_commands_get_a_payload():
    """Without it every mail would be stored twice."""
    message = compose(FIRING, SETTINGS)
    assert with_payload(message, (FIRING,)) is message
    told = replace(RESOLVED, recipients=("command:push",))
    assert json.loads(with_payload(compose(told, SETTINGS), (told,)).payload)["reason"] == "resolved"


def test_a_digest_names_each_alert():
    """Without it a phone would hear of one alert where a mail names five."""
    other = replace(TOLD, id="b" * 20, incident="b" * 20, severity="warning", alertname="GpuHot")
    message = compose_digest((other, TOLD), SETTINGS, TOLD.at)
    payload = json.loads(compose_payload(message, (other, TOLD)))
    assert (payload["reason"], payload["severity"], payload["alert_count"]) == ("digest", "critical", 2)
    assert [alert["alertname"] for alert in payload["alerts"]] == ["GpuMemoryAlmostFull", "GpuHot"]
    assert payload["subject"] == payload["summary"] == message.subject
    assert "GPU 2 memory is 96.1 % full" in payload["text"]


def test_a_storm_stays_within_bounds():
    """Without it a thousand alerts at once would be a payload that no service takes."""
    storm = tuple(replace(TOLD, id=f"{number:a>20}", incident=f"{number:a>20}") for number in range(250))
    payload = json.loads(compose_payload(compose_digest(storm, SETTINGS, TOLD.at), storm))
    assert (len(payload["alerts"]), payload["alert_count"]) == (100, 250)
