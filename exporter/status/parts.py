"""The pieces that the page is made of, as markup."""

from collections.abc import Iterable

from exporter.status.markup import Child, Html, join, own, tag
from exporter.status.model import NO_READING, Bar, Level, Note

_WORDS: dict[Level, str] = {"critical": "Critical: ", "warning": "Warning: ", "info": "Note: ", "": ""}
"""Colour never speaks alone."""
_DOT = own("&nbsp;&middot; ")


def foreign(text: str) -> Child:
    """A name from outside, which cannot turn the reading direction of what stands beside it; ASCII turns nothing."""
    return text if text.isascii() else tag("bdi", text)


def dotted(parts: Iterable[Child]) -> Html:
    """Parts of one line, with a dot between them."""
    found = [part for part in parts if part]
    return join(part for number, known in enumerate(found) for part in ((_DOT, known) if number else (known,)))


def bar(item: Bar, *, small: bool = False) -> Html:
    """A reading: its name, its value, how far it is, and what there is to say of it."""
    missing = " absent" if item.value == NO_READING else ""
    notes = tag("span", "; ".join(item.notes), class_="notes") if item.notes else None
    peaked = tag("span", item.peaked, class_="peaked") if item.peaked else None
    return tag(
        "div",
        tag(
            "div",
            tag("span", foreign(item.label), class_="label"),
            notes if small else None,
            tag("span", item.value, class_="value"),
            class_="line",
        ),
        None if item.share is None else _meter(item),
        tag("div", notes, peaked, class_="line under") if not small and (notes or peaked) else None,
        class_=f"reading{' small' if small else ''}{missing}",
    )


def _meter(item: Bar) -> Html:
    """Drawn by attributes alone: the page's policy allows no inline style."""
    now = f"{(item.share or 0.0) * 100:.1f}"
    said = "; ".join([item.value, *item.notes, *([item.peaked] if item.peaked else [])])
    return tag(
        "svg",
        tag("rect", class_="fill", width=f"{now}%", height="100%", rx="3"),
        None if item.peak is None else _tick(item.peak),
        class_="meter",
        role="meter",
        aria_label=f"{item.label}, up to {item.limit}" if item.limit else item.label,
        aria_valuemin="0",
        aria_valuemax="100",
        aria_valuenow=now,
        aria_valuetext=said,
    )


def _tick(peak: float) -> Html:
    where = f"{peak * 100:.1f}%"
    return tag("line", class_="peak", x1=where, x2=where, y1="-2", y2="100%")


def note(item: Note, element: str = "p") -> Html:
    """One sentence, as loud as it is meant."""
    word = tag("strong", _WORDS[item.level]) if item.level else None
    return tag(element, word, foreign(item.text), class_=f"note {item.level}".rstrip())


def notes(items: Iterable[Note]) -> Html | None:
    """Sentences as a list, nothing where there is none."""
    made = [note(item, "li") for item in items]
    return tag("ul", *made, class_="notelist") if made else None


def facts(pairs: Iterable[tuple[str, str]]) -> Html | None:
    """Names and values side by side."""
    made = [tag("div", tag("dt", foreign(name)), tag("dd", foreign(value))) for name, value in pairs]
    return tag("dl", *made, class_="facts") if made else None


def opened(identity: str, title: Html, *content: Html | None, is_open: bool = False) -> Html:
    """What can be opened; ``identity`` keeps it open over a refresh."""
    return tag("details", tag("summary", title, id=f"{identity}-summary"), *content, id=identity, open=is_open)


def table(head: Iterable[str], rows: Iterable[Iterable[str]], caption: str) -> Html:
    """A table whose first column names the row."""
    titles = tag("tr", *(tag("th", title, scope="col") for title in head))
    body = [
        tag("tr", tag("th", foreign(first), scope="row"), *(tag("td", foreign(cell)) for cell in rest))
        for first, *rest in rows
    ]
    return tag("table", tag("caption", caption), tag("thead", titles), tag("tbody", *body))
