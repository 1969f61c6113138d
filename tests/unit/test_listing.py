import asyncio
import json
import math
from dataclasses import replace

import httpx
import pytest

from alerts import listing as module
from alerts.composer import Composer
from alerts.decisions import Decisions
from alerts.listing import MOST_LISTED, listing
from alerts.outbox import Outbox
from alerts.posts import Posts
from alerts.rounds import Rounds
from alerts.rules import SHIPPED, load_rules
from alerts.service import Service
from alerts.state import AlertKey, State
from alerts.store import Store
from alerts.web import application
from tests.fakes.alertmanager_posts import payload, posted
from tests.golden.example_mails import SETTINGS
from tests.in_force import in_force

RULES = load_rules(SHIPPED, [])
LABELS = (("gpu", "2"), ("instance", "box:9400"), ("job", "gpuwarden"), ("uuid", "GPU-a"))
FULL = AlertKey("GpuMemoryAlmostFull", LABELS)
FIRING = State(phase="firing", active_at=1_780_000_000.5, fired_at=1_780_000_060, value=0.961, seen_at=1_780_000_070)
PENDING = replace(FIRING, phase="pending", fired_at=None)


def rounds(decisions):
    return Rounds(decisions, decisions._in_force)


def ask(store, decider_of, story=None):
    terms = in_force(RULES, mail=SETTINGS, targets=("http://127.0.0.1:1/metrics",))
    decisions = Decisions(store, terms)
    decider = decider_of(decisions)
    composer = Composer(store, decisions.told, terms, lambda: None)
    service = Service(terms, store, decisions, decider, composer, Outbox(store, None))
    transport = httpx.ASGITransport(application(service))

    async def visit():
        async with httpx.AsyncClient(transport=transport, base_url="http://alerter") as client:
            await (story(decider) if story else asyncio.sleep(0))
            return await client.get("/api/v1/alerts")

    return asyncio.run(visit())


def test_an_alert_reads_as_its_rule_says_in_the_shape_of_prometheus():
    """A page that shows the alerts of a Prometheus could not show ours, or would show numbers without words."""
    (alert,) = listing({FULL: FIRING}, RULES)["data"]["alerts"]

    assert alert == {
        "labels": {**dict(LABELS), "alertname": "GpuMemoryAlmostFull", "severity": "critical"},
        "annotations": {"summary": alert["annotations"]["summary"], "action": alert["annotations"]["action"]},
        "state": "firing",
        "activeAt": "2026-05-28T20:26:40.500000Z",
        "value": "0.961",
    }
    assert "GPU 2" in alert["annotations"]["summary"]
    assert "96.1 %" in alert["annotations"]["summary"]


def test_the_rules_labels_are_listed_as_prometheus_lists_them():
    """A page that picks alerts by team would find those of a Prometheus and not ours."""
    rule = replace(RULES[0], alert="Ecc", metric="gpu_ecc_errors_total", labels=(("team", "vision"),))
    (alert,) = listing({AlertKey("Ecc", (("gpu", "2"), ("severity", "corrected"))): FIRING}, [rule])["data"]["alerts"]

    assert alert["labels"] == {
        "alertname": "Ecc",
        "exported_severity": "corrected",
        "gpu": "2",
        "severity": rule.severity,
        "team": "vision",
    }


def test_what_fires_comes_before_what_waits_and_what_is_too_much_is_counted():
    """The one alert that matters would be behind a thousand others, or the answer too large to be read."""
    waiting = {AlertKey("GpuMemoryAlmostFull", (("uuid", f"GPU-{n}"),)): PENDING for n in range(MOST_LISTED)}
    answer = listing({**waiting, FULL: FIRING}, RULES)

    assert [alert["state"] for alert in answer["data"]["alerts"]] == ["firing", *["pending"] * (MOST_LISTED - 1)]
    assert answer["warnings"] == ["1 more alerts are not listed"]


def test_an_alert_without_a_rule_or_a_number_is_listed_by_its_labels():
    """An alert of somebody else's rule would be missing, or would break the whole answer."""
    hostile = AlertKey("Disk\nFull\ud800", (("severity", "page"), ("text", "x" * 5000)))
    odd = replace(FIRING, value=math.nan, active_at=math.inf, simulated=True)
    (alert,) = json.loads(json.dumps(listing({hostile: odd}, RULES), allow_nan=False))["data"]["alerts"]

    assert alert["labels"]["alertname"] == "Disk Full\ufffd"
    assert alert["labels"]["severity"] == "page"
    assert len(alert["labels"]["text"]) == module.LONGEST_LABEL
    assert (alert["value"], alert["activeAt"]) == ("NaN", "1970-01-01T00:00:00Z")
    assert alert["annotations"] == {"simulated": "yes"}


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinity_is_written_as_prometheus_writes_it(value):
    """A reader of Prometheus's answers would not take the number."""
    (alert,) = listing({FULL: replace(FIRING, value=value)}, RULES)["data"]["alerts"]

    assert alert["value"] == ("+Inf" if value > 0 else "-Inf")


def test_an_alerter_that_has_not_looked_yet_lists_nothing(tmp_path):
    """A page would say that no alert fires while nobody has looked."""
    with Store.open(tmp_path) as store:
        answer = ask(store, rounds)

    assert answer.status_code == 503
    assert answer.json() == {"status": "error", "errorType": "unavailable", "error": "no round yet"}


def test_a_target_that_cannot_be_read_is_a_warning(tmp_path):
    """A page would say that no alert fires of a box that nobody can see."""

    async def once(rounds):
        refusing = httpx.MockTransport(lambda _: httpx.Response(500))
        async with httpx.AsyncClient(transport=refusing) as client:
            await rounds.run_once(client)

    with Store.open(tmp_path) as store:
        answer = ask(store, rounds, once).json()

    assert answer["warnings"] == ["cannot read http://127.0.0.1:1/metrics"]
    assert [alert["labels"]["alertname"] for alert in answer["data"]["alerts"]] == ["TargetDown"]
    assert answer["data"]["alerts"][0]["state"] == "pending"


def test_what_alertmanager_posted_is_listed_too(tmp_path):
    """In the Docker stack the page would never show an alert."""
    with Store.open(tmp_path) as store:
        before = ask(store, Posts).json()
        after = ask(store, Posts, lambda posts: posts.receive(payload(posted()))).json()

    assert before == {"status": "success", "data": {"alerts": []}, "infos": ["no post yet"]}
    (alert,) = after["data"]["alerts"]
    assert alert["labels"]["alertname"] == "GpuMemoryAlmostFull"
    assert alert["annotations"]["summary"]
