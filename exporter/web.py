"""The exporter's HTTP side: /metrics, /-/healthy, /-/ready and the status page at /. It serves and never measures.

It is a plain ASGI application: a table of five paths needs no framework, and a scrape gets its bytes with nothing
between it and the page.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple

from exporter.page import Form, Page
from exporter.snapshot import Snapshot
from exporter.status.front import StatusPage

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_PLAIN = "text/plain; charset=utf-8"

Scope = Mapping[str, Any]
Application = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


class Answer(NamedTuple):
    """What a path says to a request; the length is added on the way out."""

    body: bytes
    content_type: str = _PLAIN
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


def application(page: Callable[[], Page], front: StatusPage) -> Application:
    """The ASGI application; ``page`` gives what to serve at the time of a request, ``front`` is what people see."""
    routes: dict[str, Callable[[Scope], Answer]] = {
        "/metrics": lambda scope: _metrics(page(), scope),
        "/-/healthy": lambda _: Answer(b"gpuwarden exporter is healthy\n"),
        "/-/ready": lambda _: _ready(page().snapshot),
        "/status": lambda _: Answer(f"{status_line(page().snapshot)}\n".encode(errors="replace")),
        "/": lambda scope: _front(front, scope),
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


def _front(front: StatusPage, scope: Scope) -> Answer:
    body, content_type, headers = front.render(scope["query_string"].decode("latin-1"))
    return Answer(body, content_type, headers=tuple((name.encode(), value.encode()) for name, value in headers.items()))


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


def status_line(snapshot: Snapshot) -> str:
    """How many cards answer and what else there is to say, in one line."""
    answering = sum(gpu.up for gpu in snapshot.gpus)
    kind = "simulated GPUs" if snapshot.simulated else "GPUs"
    cards = [f"{answering} of {len(snapshot.gpus)} {kind} answer"] if snapshot.gpus else []
    host = ["the host is watched"] if snapshot.host else ["the host cannot be read"]
    return "; ".join([*cards, *host, *(health.detail for health in snapshot.sources if health.detail)])
