r"""How much work a regular expression can make, so that nobody can stop the exporter by the name of a program.

Python tries the ways in which an expression can match one after the other, holding the whole process meanwhile. The
names that are matched come from outside, and one that was made for it sends ``(a+)+`` on more ways than there are
seconds. Names end at 128 characters (labels.py); ``ways`` is an upper bound of what an expression can try on these: a
repetition counts as many ways as it has lengths, what stands in a row multiplies, alternatives add up. A repetition of
something that can itself match in several ways has no useful bound.

Only the structure is read here; ``re`` itself says whether an expression is one.
"""

import math
import re

from exporter.processes.labels import MAX_LABEL

_LENGTHS = MAX_LABEL + 1
MOST_WAYS = 16 * _LENGTHS**3
"""Three of ``.*`` in a row, and some alternatives: milliseconds, and only for a name not seen before."""

_FEW = 4
_TOKEN = re.compile(
    r"""(?P<comment>\(\?\#[^)]*\))
    | (?P<verbose>\(\?[aiLmsu]*x)
    | (?P<open>\((?:\?(?:P<\w+>|P=\w+|\(\w+\)|<?[=!]|>|[aiLmsux-]*:?))?)
    | (?P<close>\)) | (?P<or>\|)
    | (?P<repeat>(?:[*+?]|\{\d+(?:,\d*)?\}|\{,\d*\})[+?]?)
    | (?P<one>\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.)""",
    re.VERBOSE | re.DOTALL,
)


def ways(expression: str) -> float:
    """An upper bound of the ways in which ``expression`` can match a name; infinite where there is none."""
    stack: list[tuple[float, float]] = []
    alternatives, row, last = 0.0, 1.0, 1.0
    for token in _TOKEN.finditer(expression):
        match token.lastgroup:
            case "open":
                stack.append((alternatives, row * last))
                alternatives, row, last = 0.0, 1.0, 1.0
            case "close" if stack:
                inside = alternatives + row * last
                (alternatives, row), last = stack.pop(), inside
            case "or":
                alternatives, row, last = alternatives + row * last, 1.0, 1.0
            case "repeat":
                last = _repeated(token[0], last)
            case "one":
                row, last = row * last, 1.0
            case "verbose":  # what is a comment there cannot be told from here
                return math.inf
            case _:
                pass
    return alternatives + row * last


def _repeated(quantifier: str, inside: float) -> float:
    if quantifier[0] == "?":
        return inside + 1
    least, comma, most = quantifier.strip("{}*+?").partition(",")
    exactly = quantifier[0] == "{" and not comma
    times = int(least) if exactly else int(most or MAX_LABEL)
    lengths = 1 if exactly else max(1, min(times, MAX_LABEL) - int(least or 0) + 1)
    if inside == 1:
        return lengths
    return lengths * inside**times if times <= _FEW else math.inf
