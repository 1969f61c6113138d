import json
import math

import pytest

from alerts.webhook import (
    CUT,
    LONGEST_LABELS,
    MOST_LABELS,
    UNNAMED,
    BadPostError,
    parse_post,
    parse_time,
    parse_value,
)
from tests.fakes.alertmanager_posts import RECORDED, payload, posted


def test_a_recorded_payload_is_read():
    """Nothing that Alertmanager posts would become a mail."""
    post = parse_post(RECORDED)
    over, firing = post.alerts

    assert post.truncated == 1
    assert (over.status, firing.status) == ("resolved", "firing")
    assert firing.alertname == "GpuMemoryAlmostFull"
    assert firing.labels == (
        ("gpu", "1"),
        ("instance", "exporter:9400"),
        ("job", "gpuwarden"),
        ("severity", "critical"),
        ("uuid", "GPU-1"),
    )
    assert firing.annotations["summary"] == "GPU 1 memory is 95.0 % full 显存"
    assert firing.value == 0.9512345
    assert firing.started_at == pytest.approx(1795444346.371230, abs=1e-5)
    assert firing.ended_at is None
    assert over.ended_at == pytest.approx(1795444348.892672, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.95", 0.95),
        ("1e+06", 1e6),
        ("-5", -5.0),
        ("+Inf", math.inf),
        ("-Inf", -math.inf),
        ("NaN", None),
        ("", None),
        ("95 %", None),
        ("1_000", None),
        (" 1", None),
        ("1e9999", None),
        ("٣", None),
        ("0x10", None),
        ("9" * 65, None),
        ("infinity", None),
    ],
)
def test_a_value_is_a_number_as_prometheus_prints_it(text, value):
    """A mail would state a number that nobody measured."""
    assert parse_value(text) == value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-23T14:32:26Z", 1795444346.0),
        ("2026-11-23T22:32:26.5+08:00", 1795444346.5),
        ("2026-11-23T14:32:26.123456789Z", 1795444346.123456),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-12:00", 253402343999.0),
        ("2026-11-23T14:32:26", None),
        ("yesterday", None),
        ("", None),
        (17, None),
        (None, None),
        ("2" * 100_000, None),
    ],
)
def test_a_time_is_read_or_is_none(text, seconds):
    """A strange time stamp would stop an alert, or date it to the year 1."""
    assert parse_time(text) == (None if seconds is None else pytest.approx(seconds, abs=1e-5))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"9" * 10_000, "not JSON"),
        (b"[]", "the body is not a JSON object"),
        (b"{}", "version is 'None'"),
        (payload(version="5"), "version is '5', not '4'"),
        (payload(version=4), "version is '4', not '4'"),
        (payload(alerts=None), "no list of alerts"),
        (payload(alerts=["x"]), "alerts[0] is not a JSON object"),
        (payload(posted(), posted("pending")), "alerts[1].status is 'pending'"),
        (payload(alerts=[{"status": "firing"}]), "alerts[0] has no labels"),
        (payload(alerts=[{"status": "firing", "labels": {"a": 1}}]), "alerts[0].labels holds something that is not t"),
        (payload(alerts=[{"status": "firing", "labels": "a"}]), "alerts[0].labels is not a JSON object"),
        (payload(alerts=[{"status": "firing", "labels": {"a": "b"}, "annotations": [1]}]), "annotations is not a JSON"),
    ],
)
def test_what_is_not_a_payload_is_refused_with_a_reason(body, said):
    """A misconfigured Alertmanager would be answered as if all were well."""
    with pytest.raises(BadPostError) as caught:
        parse_post(body)

    assert said in str(caught.value)


def test_unknown_keys_are_ignored_and_missing_ones_tolerated():
    """The next version of Alertmanager would stop the mails."""
    bare = {"status": "firing", "labels": {"alertname": "A", "empty": ""}, "routeLabels": {}}
    body = json.dumps({"version": "4", "notification_reason": "new", "alerts": [bare]}).encode()
    (alert,) = parse_post(body).alerts

    assert (alert.alertname, alert.labels, alert.annotations) == ("A", (), {})
    assert (alert.started_at, alert.ended_at, alert.value) == (None, None, None)


@pytest.mark.parametrize("truncated", [-1, None, "many", True, 1.5])
def test_a_strange_count_of_truncated_alerts_is_none(truncated):
    """A wrong count would stop the alerts that did come."""
    assert parse_post(payload(posted(), truncatedAlerts=truncated)).truncated == 0


def test_an_alert_without_a_name_has_one():
    """The mail's subject would be empty."""
    (alert,) = parse_post(payload(posted(alertname=None))).alerts

    assert alert.alertname == UNNAMED


def test_an_alert_that_comes_twice_counts_as_it_came_last():
    """One payload would open and close an incident at once."""
    (alert,) = parse_post(payload(posted(), posted("resolved"))).alerts

    assert alert.status == "resolved"


def test_half_a_character_is_replaced():
    """A label with half a surrogate pair would stop the query for evidence and the mail."""
    body = payload(posted(gpu="\ud800x"))
    assert b"\\ud800" in body
    (alert,) = parse_post(body).alerts

    assert dict(alert.labels)["gpu"] == "?x"


@pytest.mark.parametrize(
    "more",
    [
        {"z": "y" * LONGEST_LABELS},
        {"z" * LONGEST_LABELS: "y"},
        {f"a{number}": "y" for number in range(MOST_LABELS)},
        {f"a{number}" * 200: "y" * 1000 for number in range(100)},
        {"alertname": "y" * LONGEST_LABELS},
    ],
)
def test_labels_of_any_size_are_cut_and_the_alerts_stay_apart(more):
    """Whoever can post would fill the memory, or one alert would hide another."""
    first, second = parse_post(payload(posted(**more), posted(**more, zz="other"))).alerts

    for alert in (first, second):
        assert len(alert.alertname) + sum(len(name) + len(text) for name, text in alert.labels) <= LONGEST_LABELS + 100
        assert {"gpu", "uuid", "job", "instance", "severity", CUT} <= dict(alert.labels).keys()
    assert first.labels != second.labels
    assert parse_post(payload(posted(**dict(reversed(more.items()))))).alerts[0].labels == first.labels


def test_labels_within_bounds_stay_as_they_are():
    """An alert would lose labels by which people know it."""
    more = {f"label_{number}": "y" * 40 for number in range(MOST_LABELS - 6)}
    post = parse_post(payload(posted(**more)))

    assert more.items() <= dict(post.alerts[0].labels).items()
    assert post.cut == 0
