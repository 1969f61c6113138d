import asyncio
from dataclasses import replace

import pytest

from alerts.evidence.links import LinkSettings
from alerts.evidence.local import Recorder
from alerts.evidence.setup import evidence_stage
from alerts.in_force import InForce, Terms
from alerts.posted_identity import find_rule
from alerts.rules import SHIPPED, load_rules
from alerts.series import label_set
from alerts.settings import AlerterSettings, PrometheusSettings
from tests.golden.example_mails import FIRING
from tests.unit.test_evidence import answering
from tests.unit.test_evidence_range import OWN, matrix

RULES = load_rules(SHIPPED, [])
ALERT = replace(FIRING, labels=label_set(OWN))


def told(settings, recorder=None):
    """The alert with its evidence, and its picture."""

    async def story():
        stage = evidence_stage(InForce(Terms(settings, RULES)), recorder)
        stage._seconds = 60.0
        await stage.prepare()
        (found,) = await stage.enrich([ALERT])
        picture = await stage.picture_of(found)
        await stage.close()
        return found, picture

    return asyncio.run(story())


@pytest.fixture
def settings(tmp_path):
    """Those of an alerter that judges a machine of a network."""
    links = LinkSettings(grafana="https://grafana.example.com")
    return AlerterSettings(state=str(tmp_path), targets=("http://box:9400/metrics",), links=links)


def test_a_box_by_itself_draws_what_it_has_read(settings):
    """The first user, who has no Prometheus, would have mails without pictures."""
    recorder, rule = Recorder(), find_rule(RULES, ALERT.alertname, dict(ALERT.labels))
    for number in range(9):
        recorder.take({ALERT.labels: (rule, 0.5 + number / 20)}, ALERT.at - 270 + 30 * number)
    found, picture = told(settings, recorder)

    assert picture.startswith(b"\x89PNG")
    assert found.trend.startswith("rising")
    assert [link.title for link in found.links] == ["Dashboard in Grafana", "Status page"]


def test_behind_alertmanager_the_readings_are_prometheus_s(settings):
    """Whoever has the whole stack would have mails without pictures."""
    with answering(matrix((OWN, [0.5, 0.7, 0.8, 0.96]))) as (url, queries):
        behind = replace(settings, judge="alertmanager", prometheus=PrometheusSettings(url))
        found, picture = told(behind)

    assert picture.startswith(b"\x89PNG")
    assert any(query.startswith("max_over_time") for query in queries)
    assert [link.title for link in found.links] == ["Dashboard in Grafana"]


def test_an_alertmanager_alone_has_links(settings):
    """Without Prometheus no mail would go out."""
    found, picture = told(replace(settings, judge="alertmanager"))
    assert (picture, found.trend) == (None, "")
    assert found.links
