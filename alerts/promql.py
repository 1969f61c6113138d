r"""PromQL as text: string literals and selectors, for every query that gpuwarden writes.

What a text holds may come from anywhere; quoted, it is one literal whatever it is. Prometheus takes no newline and no
U+FFFD in a string as they are (its lexer reads the latter as invalid UTF-8), and Go's escapes stand for both.
"""

import re
from collections.abc import Iterable, Sequence

WATCHDOG = "Watchdog"
"""The alert that always fires: as long as it arrives, rules are judged and the way to the alerter is open."""

_ESCAPED = re.compile('[\x00-\x1f\x7f"\\\\\ufffd]')
_SHORT = {"\n": r"\n", '"': r"\"", "\\": r"\\", "\ufffd": r"\ufffd"}
_AGGREGATIONS = frozenset(
    {"sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk", "count_values", "quantile"}
)
_BESIDE = frozenset({"on", "ignoring", "group_left", "group_right", "by", "without", "bool", "offset", "start", "end"})
WORDS = _AGGREGATIONS | _BESIDE | {"and", "or", "unless", "atan2", "inf", "nan", "limitk", "limit_ratio"}
"""PromQL's own words, in any case: a metric of this name is selected by ``__name__``."""
NO_LABELS = frozenset({"without", "inf", "nan"})
"""Those that cannot be a label's name in ``without (...)`` either."""

_TOKEN = re.compile(r"""#[^\n]*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|[()\[\]{}"'`]""", re.DOTALL)
_CLOSES = {")": "(", "]": "[", "}": "{"}
_QUOTES = ('"', "'", "`")


def quote(text: str) -> str:
    """A string literal of exactly this text."""
    return '"' + _ESCAPED.sub(_escape, text) + '"'


def _escape(found: re.Match[str]) -> str:
    return _SHORT.get(found.group(), f"\\x{ord(found.group()):02x}")


def selector(name: str, matchers: Iterable[object] = ()) -> str:
    """The series of one metric that satisfy all matchers, each of which prints as PromQL."""
    words = list(dict.fromkeys(map(str, matchers)))
    if name.lower() in WORDS:
        words.insert(0, f"__name__={quote(name)}")
        name = ""
    return f"{name}{{{', '.join(words)}}}" if words else name


def selected(series: Sequence[str]) -> str:
    """The first, without what is in any of the others."""
    return f"({' unless '.join(series)})" if len(series) > 1 else series[0]


def unbalanced(expression: str) -> str:
    """What is open or closed too much in an expression, empty where nothing is; Prometheus finds the rest."""
    open_: list[str] = []
    for found in _TOKEN.finditer(expression):
        token = found.group()
        if token in _CLOSES:
            if not open_ or open_.pop() != _CLOSES[token]:
                return f"has a {token!r} that closes nothing"
        elif token in _CLOSES.values():
            open_.append(token)
        elif token in _QUOTES:
            return f"has a quote {token} that is not closed"
    return f"has a {open_[-1]!r} that is not closed" if open_ else ""
