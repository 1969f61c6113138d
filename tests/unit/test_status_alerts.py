import json

import pytest

from exporter.status.address import parse_url
from exporter.status.alerts import MOST_KEPT, AlertsError, read_answer

FULL = {
    "labels": {
        "alertname": "GpuMemoryAlmostFull",
        "severity": "critical",
        "gpu": "0",
        "uuid": "GPU-a",
        "instance": "b:1",
    },
    "annotations": {"summary": "GPU 0 is full", "simulated": "yes"},
    "state": "firing",
    "activeAt": "2026-05-28T20:26:40.123456789Z",
    "value": "9.6e-01",
}
BARE = {"labels": {"alertname": "A"}, "annotations": {}, "state": "pending"}


def answer(*alerts, **more):
    return json.dumps({"status": "success", "data": {"alerts": list(alerts)}, **more}).encode()


def test_what_a_prometheus_answers_is_read_and_the_gravest_comes_first():
    """The page would show none of the alerts, or the least of them on top."""
    read = read_answer(200, answer(BARE, {**FULL, "labels": {"alertname": "B", "severity": "info"}}, FULL))

    assert [(alert.name, alert.firing) for alert in read.alerts] == [
        ("GpuMemoryAlmostFull", True),
        ("B", True),
        ("A", False),
    ]
    first = read.alerts[0]
    assert (first.summary, first.severity, first.uuid, first.simulated) == ("GPU 0 is full", "critical", "GPU-a", True)
    assert first.active_at == pytest.approx(1_780_000_000.123456)
    assert read.alerts[2].active_at is None


def test_the_watchdog_is_no_news():
    """A page over a Prometheus would never be calm."""
    assert read_answer(200, answer({**BARE, "labels": {"alertname": "Watchdog"}})).alerts == ()


def test_warnings_and_remarks_come_along():
    """That a target cannot be read would be lost on the way."""
    read = read_answer(200, answer(warnings=["cannot read x", 7, ""], infos=["no post yet"]))

    assert read.remarks == ("cannot read x", "no post yet")
    assert len(read_answer(200, answer(warnings=["x"] * 50)).remarks) == 5


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"", "HTTP 200, and no list of alerts"),
        (200, b"<html>log in</html>", "HTTP 200, and no list of alerts"),
        (200, b"[]", "HTTP 200, and no list of alerts"),
        (200, b"[" * 100_000, "HTTP 200, and no list of alerts"),
        (404, answer(), "HTTP 404, and no list of alerts"),
        (503, b'{"status": "error", "error": "no round\\nyet"}', "HTTP 503: no round yet"),
        (200, b'{"status": "error", "error": 5}', "HTTP 200, and no list of alerts"),
        (200, b'{"status": "success"}', "the answer holds no list of alerts"),
        (200, b'{"status": "success", "data": {"alerts": {}}}', "the answer holds no list of alerts"),
        (200, answer(7), "an alert without labels"),
        (200, answer({"labels": {}}), "an alert without annotations"),
        (200, answer({"labels": [], "annotations": {}}), "an alert without labels"),
    ],
)
def test_what_is_no_list_of_alerts_is_never_an_empty_one(status, body, said):
    """A login page, or an alerter that does not work, would read as "no alert fires"."""
    with pytest.raises(AlertsError) as caught:
        read_answer(status, body)
    assert str(caught.value) == said


def test_hostile_texts_are_cut_and_cleaned_and_only_so_many_are_kept():
    """Whoever can name an alert could break the page or fill the exporter's memory."""
    evil = {
        "labels": {"alertname": "x" * 10_000, "severity": 5, "gpu": ["0"]},
        "annotations": {"summary": "a\u202eb\nc\x00\ud800", "description": None},
        "state": [],
        "activeAt": "99999-01-01",
    }
    read = read_answer(200, answer(*[evil] * (MOST_KEPT + 7)))

    assert (len(read.alerts), read.more) == (MOST_KEPT, 7)
    assert len(read.alerts[0].name) == 300
    assert read.alerts[0].summary == "ab c\ufffd"
    assert (read.alerts[0].severity, read.alerts[0].gpu, read.alerts[0].active_at) == ("", "", None)


@pytest.mark.parametrize(
    ("text", "host", "port", "prefix", "shown"),
    [
        ("http://127.0.0.1:9401", "127.0.0.1", 9401, "", "http://127.0.0.1:9401"),
        ("https://box/prometheus/", "box", 443, "/prometheus", "https://box/prometheus"),
        ("http://[::1]:9090/?x#y", "::1", 9090, "", "http://[::1]:9090"),
        ("http://me:s%40cret@box:1", "box", 1, "", "http://box:1"),
    ],
)
def test_a_url_is_taken_apart_and_its_password_shown_nowhere(text, host, port, prefix, shown):
    """The password would stand on a page that anybody in the office may open."""
    address = parse_url(text)

    assert (address.host, address.port, address.prefix, address.shown) == (host, port, prefix, shown)
    assert address.authorization == ("Basic bWU6c0BjcmV0" if "@" in text else "")


@pytest.mark.parametrize(
    "text", ["", "box:9401", "ftp://box", "http://", "http://a b", "http://b\u00f6x", "http://x:y"]
)
def test_what_is_no_url_is_refused(text):
    """The mistake would show only as alerts that stay unknown."""
    with pytest.raises(ValueError):
        parse_url(text)


def test_an_alert_of_this_box_is_kept_among_those_of_hundreds_of_boxes():
    """Behind a Prometheus of a whole fleet, the card in front of the user would look calm."""
    elsewhere = {**FULL, "labels": {"alertname": "A", "severity": "critical", "uuid": "GPU-elsewhere"}}
    mine = {**FULL, "labels": {"alertname": "Z", "severity": "info", "uuid": "GPU-mine"}}
    read = read_answer(200, answer(*[elsewhere] * 250, mine), frozenset({"GPU-mine"}))

    assert "GPU-mine" in {alert.uuid for alert in read.alerts}
    assert (len(read.alerts), read.more, read.more_firing) == (MOST_KEPT, 151, 151)
