from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.evidence.links import MODELS, WALL, LinkSettings, links_of, pages_of
from dashboards import models, wall
from tests.golden.example_mails import FIRING

GRAFANA = LinkSettings(grafana="https://grafana.example.com/sub/")


def test_the_dashboard_opens_at_the_time_of_the_alert():
    """Whoever reads the mail in the morning would see the morning."""
    (link,) = links_of(FIRING, GRAFANA, {})
    parts = urlsplit(link.url)
    query = parse_qs(parts.query)

    assert (parts.netloc, parts.path) == ("grafana.example.com", "/sub/d/gpuwarden-wall")
    assert int(query["from"][0]) == (FIRING.at - 3600) * 1000
    assert int(query["to"][0]) > FIRING.at * 1000
    assert query["var-instance"] == ["127.0.0.1:9400"]


def test_the_dashboard_that_is_linked_to_is_the_one_that_comes_with_it():
    """The link would open a page that says that there is no such dashboard."""
    assert (WALL, MODELS) == (wall.UID, models.UID)


def test_an_alert_about_a_model_leads_to_the_models():
    """Who is told that a model is slow would look at a wall that does not show it."""
    (link,) = links_of(replace(FIRING, labels=(*FIRING.labels, ("model", "gpt2-small"))), GRAFANA, {})
    parts = urlsplit(link.url)

    assert parts.path == "/sub/d/gpuwarden-models"
    assert parse_qs(parts.query)["var-model"] == ["gpt2-small"]


def test_a_dashboard_of_ones_own_is_kept():
    """Somebody with a better dashboard would be sent to ours."""
    (link,) = links_of(FIRING, LinkSettings(grafana="https://g.example.com/d/mine/gpus?orgId=2"), {})
    assert link.url.startswith("https://g.example.com/d/mine/gpus?orgId=2&from=")


def test_the_status_page_is_that_of_the_alerts_machine():
    """With several machines the mail would lead to the wrong one."""
    pages = pages_of(
        ["http://me:secret@gpubox:9400/metrics", "http://127.0.0.1:9400/metrics", "http://a:1/other/metrics"]
    )
    assert pages == {"gpubox:9400": "http://gpubox:9400/"}
    alert = replace(FIRING, labels=(("instance", "gpubox:9400"),))
    assert [link.url for link in links_of(alert, LinkSettings(), pages)] == ["http://gpubox:9400/"]
    assert links_of(FIRING, LinkSettings(), pages) == ()


def test_a_status_page_can_be_given_for_all_machines():
    """Behind Prometheus, where targets have inner names, no mail could lead to a status page."""
    settings = LinkSettings(status="http://{{ host }}:9400/?of={{ instance }}")
    (link,) = links_of(FIRING, settings, {})
    assert link.url == "http://gpubox:9400/?of=127.0.0.1:9400"


@given(st.text(max_size=50), st.text(max_size=2000))
def test_what_comes_from_outside_stays_a_part_of_the_address(host, gpu):
    """A label could lead the reader to somebody else's site."""
    alert = replace(FIRING, host=host, labels=(("gpu", gpu), ("instance", "box")))
    settings = LinkSettings(grafana="https://g.example.com", status="https://s.example.com/{{ host }}")
    for link in links_of(alert, settings, {}):
        assert urlsplit(link.url).netloc in {"g.example.com", "s.example.com"}
        assert link.url.isascii()
        assert len(link.url) <= 1500


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        (LinkSettings(), []),
        (LinkSettings(grafana="https://g.example.com", status="http://{{ host }}:9400/"), []),
        (LinkSettings(grafana="javascript:alert(1)", status="gpubox:9400"), ["grafana", "status"]),
        (LinkSettings(grafana="", status="ftp://x/"), ["grafana", "status"]),
    ],
)
def test_only_addresses_of_the_web_are_taken(settings, keys):
    """A mistake in the settings would be a link that does nothing, or worse."""
    assert [key for key, _, _ in settings.problems()] == keys
