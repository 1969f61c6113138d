"""The exporter's HTTP side: /metrics, /-/healthy, /-/ready and a landing page. It serves and never measures.

It is a plain ASGI application: a table of five paths needs no framework, and a scrape gets its bytes with nothing
between it and the page.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple

from exporter.page import Form, Page
from exporter.snapshot import Snapshot
from gpuwarden.units import format_value

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_PLAIN = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"

Scope = Mapping[str, Any]
Application = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


class Answer(NamedTuple):
    """What a path says to a request; the length is added on the way out."""

    body: bytes
    content_type: str = _PLAIN
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


def application(page: Callable[[], Page], version: str) -> Application:
    """The ASGI application; ``page`` gives what to serve at the time of a request."""
    routes: dict[str, Callable[[Scope], Answer]] = {
        "/metrics": lambda scope: _metrics(page(), scope),
        "/-/healthy": lambda _: Answer(b"gpuwarden exporter is healthy\n"),
        "/-/ready": lambda _: _ready(page().snapshot),
        "/status": lambda _: Answer(f"{status_line(page().snapshot)}\n".encode(errors="replace")),
        "/": lambda _: Answer(
            _landing(page().snapshot, version).encode(errors="replace"),
            _HTML,
            headers=((b"cache-control", b"no-store"),),
        ),
    }

    async def answer(scope: Scope, _: object, send: Callable[[Any], Awaitable[None]]) -> None:
        route = routes.get(scope["path"])
        if route is None:
            found = Answer(b"there is no such page\n", status=404)
        elif scope["method"] in {"GET", "HEAD"}:
            found = route(scope)
        else:
            found = Answer(b"only GET and HEAD\n", status=405, headers=((b"allow", b"GET, HEAD"),))
        own = (b"content-type", found.content_type.encode()), (b"content-length", b"%d" % len(found.body))
        await send({"type": "http.response.start", "status": found.status, "headers": [*own, *found.headers]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else found.body})

    return answer


def not_ready(snapshot: Snapshot) -> str:
    """Why a scrape would bring nothing yet, empty when some source has been read."""
    return "" if any(health.up for health in snapshot.sources) else "no source has been read yet"


def _ready(snapshot: Snapshot) -> Answer:
    problem = not_ready(snapshot)
    return Answer(f"{problem or 'ready'}\n".encode(), status=503 if problem else 200)


_VARY = ((b"vary", b"accept, accept-encoding"),)
_FORMS: dict[tuple[bool, bool], tuple[Form, str, tuple[tuple[bytes, bytes], ...]]] = {
    (False, False): ("text", TEXT, _VARY),
    (False, True): ("text_compressed", TEXT, (*_VARY, (b"content-encoding", b"gzip"))),
    (True, False): ("openmetrics", OPENMETRICS, _VARY),
    (True, True): ("openmetrics_compressed", OPENMETRICS, (*_VARY, (b"content-encoding", b"gzip"))),
}
"""By whether OpenMetrics and gzip are accepted."""


def _metrics(page: Page, scope: Scope) -> Answer:
    asked = scope["headers"]
    openmetrics = _accepts(_header(asked, b"accept"), "application/openmetrics-text")
    compressed = _accepts(_header(asked, b"accept-encoding"), "gzip")
    form, content_type, headers = _FORMS[openmetrics, compressed]
    return Answer(page.body(form), content_type, headers=headers)


def _header(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str:
    return b",".join([value for name, value in headers if name == wanted]).decode("latin-1")


def _accepts(header: str, wanted: str) -> bool:
    """Whether the header names ``wanted`` and does not refuse it with q=0 (RFC 9110, section 12.4.2)."""
    for entry in header.split(","):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        if name == wanted:
            weights = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
            return not weights or weights[0].strip("0.") != ""
    return False


_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})


def _escaped(text: str) -> str:
    """As ``html.escape``, whose module brings half a megabyte of character names with it."""
    return text.translate(_ESCAPES)


def _landing(snapshot: Snapshot, version: str) -> str:
    rows = "".join(f"<li>{_escaped(line)}</li>" for line in lines(snapshot))
    banner = "<p><strong>SIMULATED DATA: no real card is shown.</strong></p>" if snapshot.simulated else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>gpuwarden</title>'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        "<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}</style></head>"
        f"<body><h1>gpuwarden exporter {_escaped(version)}</h1>{banner}<ul>{rows}</ul>"
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
