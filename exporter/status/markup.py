"""The one place where text becomes markup.

``tag`` takes text and markup apart by type: every ``str`` is text and is escaped, only what ``tag`` itself made is
taken as it is. Joining the two with ``+`` or an f-string gives text again, so a mistake shows on the page as ``&lt;``
and never as an element.
"""

from collections.abc import Iterable
from typing import Literal

# Control characters but tab and line feed, which no HTML document may hold, become the replacement character. The table
# is our own, since the module ``html`` brings half a megabyte of character names with it.
_FORBIDDEN = dict.fromkeys((*range(9), 11, 12, 13, *range(14, 32), *range(127, 160)), "\ufffd")
_ESCAPES = _FORBIDDEN | str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})


class Html(str):
    """Markup, made by this module only."""

    __slots__ = ()


Child = str | Html | None
_EMPTY = frozenset({"meta", "link", "br"})


def tag(name: str, /, *children: Child, **attributes: str | bool | None) -> Html:
    """An element; ``class_`` and ``aria_label`` are written ``class`` and ``aria-label``, None and False not at all."""
    given = ""
    for key, value in attributes.items():
        if value is not None and value is not False:
            given += _attribute(key, value)
    if name in _EMPTY:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """Text and markup one after the other."""
    return Html("".join([child if type(child) is Html else _escaped(child) for child in children if child]))


def own(markup: str) -> Html:
    """Our own constant, such as the text of a stylesheet; never anything that came from outside."""
    return Html(markup)


def _attribute(key: str, value: str | Literal[True]) -> str:
    name = key.removesuffix("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{_escaped(str(value))}"'


def _escaped(text: str) -> str:
    if text.isalnum():  # most texts are, and this is most of what a page costs
        return text
    return text.translate(_ESCAPES)
