"""The page as one HTML document: pure, from the view model.

It is whole without JavaScript and asks for nothing else: style and script stand in it, and its policy lets in nothing
but these two, by their hash. Without JavaScript the browser loads it anew every few seconds; with it, a small script
puts in what is new, so that nothing flickers, and says so when the exporter does not answer any more.
"""

import base64
import hashlib
from dataclasses import dataclass
from urllib.parse import quote

from exporter.status.alert_markup import alerts
from exporter.status.card_markup import card
from exporter.status.markup import Html, own, tag
from exporter.status.model import Level, Model, Status
from exporter.status.parts import bar, facts, foreign, note, opened, table
from gpuwarden.catalog import PEAK_WINDOW_SECONDS

RELOAD_SECONDS = 5
"""Without JavaScript."""

_COLOURS: dict[Level, str] = {"": "#0072b2", "info": "#0072b2", "warning": "#e69f00", "critical": "#d55e00"}
_LINKS = (("/metrics", "metrics"), ("/-/healthy", "healthy"), ("/-/ready", "ready"), ("/status", "one line"))
_FEW_CARDS = 2
_NO_CARD = tag("p", "No card is known.", class_="absent")
_PEAKS = f"A tick on a bar is the peak of the last {PEAK_WINDOW_SECONDS} s."


@dataclass(frozen=True, slots=True)
class Assets:
    """The style and the script, as they stand in every page."""

    style: str
    script: str

    @property
    def policy(self) -> str:
        """The Content-Security-Policy that lets these in and nothing else."""
        return "; ".join(
            [
                "default-src 'none'",
                f"style-src '{_hash(self.style)}'",
                f"script-src '{_hash(self.script)}'",
                "connect-src 'self'",
                "img-src data:",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            ]
        )

    @property
    def build(self) -> str:
        """Changes with either, so that an open page of an older exporter loads itself anew."""
        return hashlib.sha256(f"{self.style}\0{self.script}".encode()).hexdigest()[:12]


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def document(status: Status, assets: Assets, *, still: bool = False) -> str:
    """The page; ``still`` does not refresh itself."""
    body = tag(
        "body",
        tag("p", id="gone", role="alert", hidden=True),
        _main(status, still=still),
        None if still else tag("script", own(assets.script)),
    )
    page = tag("html", _head(status, assets, still=still), body, lang="en", data_build=assets.build)
    return f"<!doctype html>\n{page}\n"


def _head(status: Status, assets: Assets, *, still: bool) -> Html:
    reload = tag("noscript", tag("meta", http_equiv="refresh", content=str(RELOAD_SECONDS)))
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("title", status.title),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href=_icon(status.level)),
        None if still else reload,
        tag("style", own(assets.style)),
    )


def _icon(level: Level) -> str:
    """The tab shows how things stand."""
    square = f'<rect width="16" height="16" rx="4" fill="{_COLOURS[level]}"/>'
    bars = '<path d="M4 12V8M8 12V4M12 12V6" stroke="#fff" stroke-width="2"/>'
    picture = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">{square}{bars}</svg>'
    return f"data:image/svg+xml,{quote(picture)}"


def _main(status: Status, *, still: bool) -> Html:
    """Everything that a refresh replaces."""
    few = len(status.cards) <= _FEW_CARDS
    cards = [card(item, number, is_open=few) for number, item in enumerate(status.cards)]
    return tag(
        "main",
        _header(status),
        alerts(status.alerts),
        tag("section", *(note(item) for item in status.troubles), class_="troubles") if status.troubles else None,
        _section("Cards", tag("div", *cards, class_="cards few" if few else "cards") if cards else _NO_CARD),
        _section("Host", *_host(status)),
        _section("Models", tag("div", *map(_model, status.models), class_="models")) if status.models else None,
        _sources(status),
        _footer(status, still=still),
    )


def _header(status: Status) -> Html:
    banner = tag("p", tag("strong", "SIMULATED DATA"), ": no real card is shown.", class_="simulated")
    verdict = [tag("span", foreign(item.text), class_=f"says {item.level}".rstrip()) for item in status.verdict]
    return tag(
        "header",
        banner if status.simulated else None,
        tag("h1", foreign(status.machine)),
        tag("p", *verdict, class_="verdict"),
        tag("p", "As of ", tag("time", status.as_of), class_="asof"),
    )


def _section(title: str, *content: Html | None) -> Html:
    return tag("section", tag("h2", title), *content)


def _host(status: Status) -> list[Html | None]:
    if not status.host:
        return [tag("p", "The host gives no readings.", class_="absent")]
    return [tag("div", *(bar(item) for item in status.host), class_="host"), facts(status.host_facts)]


def _model(item: Model) -> Html:
    rows = [[entry.what, entry.p50, entry.p90, entry.source] for entry in item.latencies]
    head = ("what", "half within", "90 % within", "how known")
    said = [tag("p", foreign(text), class_="notes") for text in item.notes]
    return tag(
        "article",
        tag("h3", foreign(item.name)),
        table(head, rows, f"How fast {item.name} answers") if rows else None,
        *said,
        class_="card",
    )


def _sources(status: Status) -> Html:
    rows = [[item.name, item.state, item.age] for item in status.sources]
    title = tag("span", tag("b", "Age of the readings"), ": ", foreign(status.age))
    return opened("sources", title, table(("source", "state", "last good reading"), rows, "Sources of readings"))


def _footer(status: Status, *, still: bool) -> Html:
    links = [tag("a", text, href=path) for path, text in _LINKS]
    way = tag("a", "refresh by itself", href="/") if still else tag("a", "hold still", href="/?still")
    return tag("footer", tag("span", f"gpuwarden {status.version}"), tag("span", _PEAKS), *links, way)
