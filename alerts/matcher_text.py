r"""Label matchers as people type them for ``amtool`` and ``gpuwarden silence``: ``gpu=2``, ``model=~"gpt.*"``. Pure.

Alertmanager's grammar (pkg/labels, classic): a name, one of ``=``, ``!=``, ``=~``, ``!~``, and a value, which may stand
in double quotes. ``\\``, ``\"`` and ``\n`` are the escapes, with quotes or without.
"""

import re

from alerts.matchers import Operator
from gpuwarden.errors import UserInputError

_MATCHER = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!=|!~|=)\s*(.*?)\s*", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r'\\(["\\n])')
_OPERATORS: dict[str, Operator] = {"=": "=", "!=": "!=", "=~": "=~", "!~": "!~"}


class MatcherError(UserInputError, ValueError):
    """A text is no matcher."""


def read_matcher(text: str) -> tuple[str, Operator, str]:
    """Label, operator and value of ``text``.

    Raises:
        MatcherError: it is no matcher.
    """
    found = _MATCHER.fullmatch(text)
    if found is None:
        message = f"{text[:200]!r} is not a matcher: write gpu=2, gpu!=2, model=~gpt.* or model!~gpt.*"
        raise MatcherError(message)
    name, operator, value = found.groups()
    quoted = _QUOTED.fullmatch(value)
    if quoted is None and value.startswith('"'):
        message = f"{text[:200]!r}: the value's quotes do not match"
        raise MatcherError(message)
    value = _ESCAPE.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], quoted[1] if quoted else value)
    return name, _OPERATORS[operator], value


def write_matcher(name: str, operator: str, value: str) -> str:
    """The text of a matcher, with its value in quotes."""
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{name}{operator}"{escaped}"'
