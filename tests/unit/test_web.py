import asyncio

import httpx
import pytest

from exporter.latency.observations import Observations
from exporter.page import PageMaker
from exporter.snapshot import Gpu, Snapshot, SourceHealth
from exporter.status.front import StatusPage
from exporter.web import OPENMETRICS, TEXT, application

HEALTHY = SourceHealth("host", up=True, read_at=0.0, duration_seconds=0, succeeded_at=1.0)
LOST = Gpu(index="0", uuid="GPU-a", read_at=0.0, up=False, info={"name": "<b>RTX</b>"})
NO_DRIVER = SourceHealth(
    "nvml", up=False, read_at=0.0, duration_seconds=0, succeeded_at=None, detail="no NVIDIA driver"
)


def get(path, *sources, gpus=(), simulated=False, headers=None, method="GET"):
    snapshot = Snapshot(gpus, None, sources, simulated)
    maker = PageMaker(lambda: snapshot, Observations(), interval=1, version="1", monotonic=lambda: 0.0)
    transport = httpx.ASGITransport(application(maker.page, StatusPage(lambda: maker.page().snapshot, "1")))

    async def visit():
        async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(visit())


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", TEXT),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", OPENMETRICS),
        ("application/openmetrics-text;q=0,text/plain", TEXT),
    ],
)
def test_the_scraper_gets_the_format_that_it_asks_for(accept, content_type):
    """A scraper would fail on a format that it cannot read."""
    response = get("/metrics", HEALTHY, headers={"accept": accept, "accept-encoding": "gzip"})

    assert response.headers["content-type"] == content_type
    assert response.headers["content-encoding"] == "gzip"
    assert response.text.endswith("# EOF\n") == (content_type == OPENMETRICS)


def test_no_compression_where_none_is_asked_for():
    """A plain client would get bytes that it cannot read."""
    response = get("/metrics", HEALTHY, headers={"accept-encoding": "identity"})

    assert "content-encoding" not in response.headers
    assert response.text.startswith("# HELP")


@pytest.mark.parametrize("path", ["/metrics", "/", "/status", "/-/healthy", "/-/ready"])
def test_head_says_what_get_would_without_the_body(path):
    """A load balancer that looks with HEAD would take a living exporter for dead."""
    whole, head = get(path, HEALTHY), get(path, HEALTHY, method="HEAD")

    assert (head.status_code, head.content) == (200, b"")
    assert set(head.headers) == set(whole.headers)
    assert int(head.headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/metrics", 405), ("PUT", "/", 405), ("GET", "/x", 404)]
)
def test_what_is_not_served_is_refused_by_its_number(method, path, status):
    """A client with a wrong address or method would take an empty answer for a reading."""
    response = get(path, HEALTHY, method=method)

    assert response.status_code == status
    assert ("allow" in response.headers) == (status == 405)


def test_ready_means_that_something_was_read():
    """An orchestrator would send traffic to an exporter that has nothing to show."""
    assert get("/-/ready", HEALTHY).status_code == 200
    assert get("/-/ready").status_code == 503
    assert get("/-/healthy").status_code == 200


def test_the_status_page_says_what_is_wrong_and_what_is_simulated_and_escapes_names():
    """A person would not see why no card is shown, or take a demo for the truth."""
    answer = get("/", HEALTHY, NO_DRIVER, gpus=(LOST,), simulated=True)

    assert "SIMULATED DATA" in answer.text
    assert "no NVIDIA driver" in answer.text
    assert "&lt;b&gt;RTX&lt;/b&gt;" in answer.text
    assert "LOST" in answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_status_page_can_be_held_still():
    """A person who reads with a screen reader could not stop the page from loading itself anew."""
    assert "http-equiv" in get("/", HEALTHY).text
    assert "http-equiv" not in get("/?still", HEALTHY).text
