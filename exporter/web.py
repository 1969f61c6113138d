"""The exporter's HTTP side: /metrics, /-/healthy, /-/ready and a landing page. It serves and never measures."""

import html
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from exporter.page import Page
from exporter.snapshot import Snapshot
from gpuwarden.units import format_value

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def application(page: Callable[[], Page], version: str) -> Starlette:
    """The ASGI application; ``page`` gives what to serve at the time of a request."""

    async def metrics(request: Request) -> Response:
        return _metrics(page(), request.headers.get("accept", ""), request.headers.get("accept-encoding", ""))

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("gpuwarden exporter is healthy\n")

    async def ready(_: Request) -> Response:
        problem = not_ready(page().snapshot)
        return PlainTextResponse(f"{problem or 'ready'}\n", status_code=503 if problem else 200)

    async def landing(_: Request) -> Response:
        return HTMLResponse(_landing(page().snapshot, version), headers={"cache-control": "no-store"})

    async def status(_: Request) -> Response:
        return PlainTextResponse(f"{status_line(page().snapshot)}\n")

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/-/healthy", healthy),
            Route("/-/ready", ready),
            Route("/status", status),
            Route("/", landing),
        ]
    )


def not_ready(snapshot: Snapshot) -> str:
    """Why a scrape would bring nothing yet, empty when some source has been read."""
    return "" if any(health.up for health in snapshot.sources) else "no source has been read yet"


def _metrics(page: Page, accept: str, accept_encoding: str) -> Response:
    openmetrics = _accepts(accept, "application/openmetrics-text")
    compressed = _accepts(accept_encoding, "gzip")
    if openmetrics:
        body = page.openmetrics_compressed if compressed else page.openmetrics
    else:
        body = page.text_compressed if compressed else page.text
    headers = {"content-type": OPENMETRICS if openmetrics else TEXT, "vary": "accept, accept-encoding"}
    if compressed:
        headers["content-encoding"] = "gzip"
    return Response(body, headers=headers)


def _accepts(header: str, wanted: str) -> bool:
    """Whether the header names ``wanted`` and does not refuse it with q=0 (RFC 9110, section 12.4.2)."""
    for entry in header.split(","):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        if name == wanted:
            weights = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
            return not weights or weights[0].strip("0.") != ""
    return False


def _landing(snapshot: Snapshot, version: str) -> str:
    rows = "".join(f"<li>{html.escape(line)}</li>" for line in lines(snapshot))
    banner = "<p><strong>SIMULATED DATA: no real card is shown.</strong></p>" if snapshot.simulated else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>gpuwarden</title>'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        "<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}</style></head>"
        f"<body><h1>gpuwarden exporter {html.escape(version)}</h1>{banner}<ul>{rows}</ul>"
        '<p><a href="/metrics">/metrics</a> <a href="/-/healthy">/-/healthy</a> <a href="/-/ready">/-/ready</a></p>'
        "</body></html>\n"
    )


def status_line(snapshot: Snapshot) -> str:
    """How many cards answer and what else there is to say, in one line."""
    answering = sum(gpu.up for gpu in snapshot.gpus)
    kind = "simulated GPUs" if snapshot.simulated else "GPUs"
    cards = [f"{answering} of {len(snapshot.gpus)} {kind} answer"] if snapshot.gpus else []
    host = ["the host is watched"] if snapshot.host else ["the host cannot be read"]
    return "; ".join([*cards, *host, *(health.detail for health in snapshot.sources if health.detail)])


def lines(snapshot: Snapshot) -> list[str]:
    """One line per card, then one per source that has a trouble to tell."""
    cards = [
        f"GPU {gpu.index} {gpu.info.get('name', '')}: "
        + (
            _card(gpu.memory_used_ratio, gpu.utilization_ratio, gpu.temperature_celsius)
            if gpu.up
            else "does not answer"
        )
        for gpu in snapshot.gpus
    ]
    return cards + [f"{health.source}: {health.detail}" for health in snapshot.sources if health.detail]


def _card(memory: float | None, utilization: float | None, temperature: float | None) -> str:
    shown = {
        "memory": None if memory is None else format_value(memory, "ratio"),
        "utilization": None if utilization is None else format_value(utilization, "ratio"),
        "temperature": None if temperature is None else format_value(temperature, "celsius"),
    }
    return ", ".join(f"{name} {text}" for name, text in shown.items() if text) or "no readings"
