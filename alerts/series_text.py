"""Series as text, ``name{label="value"}``: read from a person's file, written for another program."""

import re
from collections.abc import Mapping

from alerts.promql import quote, selector
from gpuwarden.errors import UserInputError

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"""\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')\s*""")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}


class SeriesTextError(UserInputError, ValueError):
    """A text is not ``name{label="value"}``; ``hint`` says what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.hint = hint
        super().__init__(message)


def parse_series(text: str) -> tuple[str, dict[str, str]]:
    """Name and labels.

    Raises:
        SeriesTextError: the text is not a series.
    """
    found = _NAME.match(text)
    if found is None:
        message = f"{text[:100]!r} is not a series"
        raise SeriesTextError(message, 'write name{label="value"}')
    rest = text[found.end() :].strip()
    if not rest:
        return found.group(), {}
    if not (rest.startswith("{") and rest.endswith("}") and len(rest) > 1):
        message = f"{rest[:100]!r} after the name is not a list of labels"
        raise SeriesTextError(message, 'write {label="value"}')
    return found.group(), _labels(rest[1:-1])


def _labels(text: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    at = 0
    while text[at:].strip():
        found = _LABEL.match(text, at)
        after = text[found.end() : found.end() + 1] if found else ""
        if found is None or after not in {"", ","}:
            message = f"{text[at : at + 100].strip()!r} is not a label"
            raise SeriesTextError(message, 'write label="value"')
        if found[1] in labels:
            message = f"label {found[1][:100]!r} is given twice"
            raise SeriesTextError(message)
        labels[found[1]] = _ESCAPE.sub(_unescaped, found[2][1:-1])
        at = found.end() + 1
    return labels


def _unescaped(found: re.Match[str]) -> str:
    escape = found[1]
    if len(escape) > 1:
        return chr(int(escape[1:], 16))
    if escape not in _ESCAPED:
        message = f"'\\{escape}' is not an escape"
        raise SeriesTextError(message, 'write \\\\, \\" or \\n')
    return _ESCAPED[escape]


def series_text(name: str, labels: Mapping[str, str]) -> str:
    """The series, with its labels in order."""
    return selector(name, [f"{label}={quote(labels[label])}" for label in sorted(labels)])
