"""The readings behind a picture, from a real Prometheus that has an hour of them."""

import asyncio
import subprocess
import time
from dataclasses import replace

import httpx
import pytest

from alerts.evidence.points import peak_of
from alerts.evidence.prometheus_range import PrometheusSeries, range_query
from alerts.rules import SHIPPED, load_rules
from alerts.series import label_set
from tests.e2e.running import CLIENT
from tests.e2e.test_alertmanager import free_port, program, running
from tests.golden.example_mails import FIRING
from tests.polling import wait_until

pytestmark = pytest.mark.prometheus

RULES = load_rules(SHIPPED, [])
OWN = {"instance": "box:9400", "job": "gpuwarden", "gpu": "0", "uuid": "GPU-a"}
STEP = 15
MINUTES = 180


@pytest.fixture(scope="module")
def now():
    """When the readings end."""
    return float(int(time.time()) // 60 * 60)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory, now):
    """The URL of a Prometheus with three hours of two cards, of which the first fills up, and of its throttling."""
    folder = tmp_path_factory.mktemp("prometheus")
    lines = ["# TYPE gpu_memory_used_ratio gauge"]
    labels = [
        ",".join(f'{name}="{text}"' for name, text in (OWN | {"gpu": gpu, "uuid": uuid}).items())
        for gpu, uuid in (("0", "GPU-a"), ("1", "GPU-b"))
    ]
    stamps = [now - STEP * number for number in range(MINUTES * 60 // STEP, -1, -1)]
    for number, card in enumerate(labels):
        lines += [f"gpu_memory_used_ratio{{{card}}} {value_at(at - now) - number / 10} {at}" for at in stamps]
    lines.append("# TYPE gpu_throttle_seconds counter")
    lines += [
        f'gpu_throttle_seconds_total{{{labels[0]},reason="hw_thermal"}} {max(0.0, at - now + 1200) / 2} {at}'
        for at in stamps
    ]
    (folder / "readings.txt").write_text("\n".join([*lines, "# EOF", ""]))
    (folder / "prometheus.yml").write_text("global: {}\n")
    subprocess.run(
        [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", "readings.txt", "data"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    port = free_port()
    flags = (f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.path=data", "--config.file=prometheus.yml")
    with running(folder, "prometheus", *flags):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(url), 30, lambda: (folder / "prometheus.log").read_text()[-2000:])
        yield url


def answers(url):
    try:
        return CLIENT.get(f"{url}/-/ready").status_code == 200
    except httpx.HTTPError:
        return False


def value_at(before):
    """The readings of the first card, by seconds before the end: a spike two hours ago, full for ten minutes."""
    return 0.99 if before == -7200 else 0.95 if before >= -600 else 0.5


def points_of(url, notification):
    return asyncio.run(PrometheusSeries(url, lambda: RULES, 10.0).points_of([notification]))[notification.id]


def test_the_hour_before_an_alert_is_found(prometheus, now):
    """Behind Prometheus the picture would be missing, or that of the card beside it."""
    alert = replace(FIRING, at=now, started_at=now - 600, labels=label_set(OWN))
    points = points_of(prometheus, alert)

    assert len(points.times) == pytest.approx(225, abs=3)
    assert points.times[-1] - points.times[0] > 3500
    assert set(points.values) == {0.5, 0.95}
    assert peak_of(points, alert) == 0.95


def test_the_peak_of_an_incident_is_found_between_the_points(prometheus, now):
    """The one bad second of three hours would be missing from the mail that ends them."""
    alert = replace(FIRING, at=now, started_at=now - 9000, labels=label_set(OWN))
    points = points_of(prometheus, alert)
    assert max(points.values) == 0.99
    assert peak_of(points, alert) == 0.99


def test_what_a_window_makes_of_a_series_is_found(prometheus, now):
    """A picture about heat would show a counter that only grows, far above its threshold."""
    alert = replace(
        FIRING,
        at=now,
        started_at=now - 600,
        alertname="GpuThermalThrottling",
        metric="gpu_throttle_seconds_total",
        labels=label_set(OWN | {"reason": "hw_thermal"}),
        threshold=0.1,
        reading="per second, average of the last 5 min",
    )
    points = points_of(prometheus, alert)
    assert max(points.values) == pytest.approx(0.5, abs=0.02)
    assert min(points.values) == 0.0


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.comparison != "absent"], ids=lambda rule: rule.alert)
def test_what_is_asked_of_each_shipped_rule_is_promql(prometheus, now, rule):
    """The mails of a rule would never have a picture."""
    alert = replace(FIRING, alertname=rule.alert, metric=rule.metric, labels=label_set(OWN | {"xid": '7"9'}))
    form = {"query": range_query(rule, alert, 15.0), "start": now - 60, "end": now, "step": 15}
    assert CLIENT.post(f"{prometheus}/api/v1/query_range", data=form).status_code == 200
