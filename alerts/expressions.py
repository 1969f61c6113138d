r"""Regular expressions of ``where``: the language in which RE2, Prometheus's engine, and Python's ``re`` mean the same.

Prometheus compiles the whole rule file or none of it, so one expression that it cannot read leaves nobody judging. What
only one engine knows, or both read differently (``a{,5}``, ``\u0041``), is therefore refused. An expression is a row of
tokens, and only those in ``_TOKEN`` are taken; groups that are not closed, ranges that run backwards and the like are
left to Python, which is as strict there as RE2. What remains is said in Python's words: RE2's ``\s`` has no vertical
tab, its ``$`` stands at the very end and its ``\B`` holds in an empty text; ``\d``, ``\w``, ``\s`` and ``\b`` know
ASCII only.

RE2 repeats nothing more than 1000 times, the factors of nested repeats multiplied (golang.org/s/re2syntax).
"""

import re
import warnings
from collections.abc import Iterable

from gpuwarden.errors import UserInputError

_LONGEST = 1000
_DEEPEST = 100
_MOST_REPEATS = 1000
_MOST_OPEN = 3

_ESCAPE = r"\\(?:[^0-9A-Za-z\x80-\U0010ffff]|x[0-9A-Fa-f]{2}|[afnrtvdDwWsS])"
_IN_CLASS = rf"\[(?>\^?\]?)(?:{_ESCAPE}|\[(?!:)|[^\[\]\\])*"
_NUMBER = r"(?:0|[1-9][0-9]{0,3})"
_TOKEN = re.compile(
    rf"(?P<escape>{_ESCAPE}|\\[AbB])"
    rf"|(?P<class>{_IN_CLASS}\])"
    r"|(?P<flags>\(\?[is]+\))"
    r"|(?P<open>\((?:\?P<[A-Za-z_][A-Za-z0-9_]*>|\?[is]*(?:-[is]+)?:|(?!\?)))"
    r"|(?P<close>\))"
    rf"|(?P<repeat>(?:[*+?]|\{{(?P<least>{_NUMBER})(?P<comma>,(?P<most>{_NUMBER})?)?\}})\??)"
    r"|(?P<plain>\{(?![0-9]*(?:,[0-9]*)?\})|[^\\\[(){*+?])",
    re.DOTALL,
)
_HINTS = (
    (r"\\[Zz]", "leave it out: an expression is anchored at both ends"),
    (r"\\[0-9]", "write the group again, or \\xHH for a character"),
    (r"\\[^\x00-\x7f]", "leave out the backslash"),
    (r"\\.?", "write the character itself, or its code as \\xHH"),
    (r"\(\?P<", "a group's name has letters, digits and underscores of ASCII"),
    (r"\(\?(?:[=!>(#]|<[=!]|P=)", "say it with a second rule or label, or with '!~'"),
    (r"\(\?.?", "only the flags i and s are the same in both"),
    (rf"[*+?]|\{{{_NUMBER}(?:,{_NUMBER}?)?\}}", "a repeat cannot be repeated: put the first one in (?:...)"),
    (r"\{,[0-9]*\}?", "write {0,...}"),
    (r"\{[0-9,]*\}?", f"write numbers from 0 to {_MOST_REPEATS}, without zeros before them"),
    (r"\[:", "write the characters, or \\[ for the bracket itself"),
)
_AS_PYTHON = {r"\B": r"(?!\b)", r"\s": r"[\t\n\f\r ]", r"\S": r"[\S\v]", "$": r"\Z"}
_CLASS_AS_PYTHON = {r"\s": r"\t\n\f\r ", r"\S": r"\S\v"}


class ExpressionError(UserInputError, ValueError):
    """An expression does not mean the same in RE2 and in Python; ``hint`` says what to write, where that is known."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.hint = hint
        super().__init__(message)


def compile_expression(text: str) -> re.Pattern[str]:
    """The expression for ``fullmatch``, which accepts the texts that Prometheus (3) would.

    Raises:
        ExpressionError: Prometheus would refuse it, or read it differently.
    """
    if len(text) > _LONGEST:
        message = f"is longer than {_LONGEST} characters"
        raise ExpressionError(message)
    tokens = _tokens(text)
    _check_repeats(tokens)
    if not text.isascii() or re.search(r"\\x[89a-fA-F]", text):
        _check_no_case(tokens)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of "[[a]" and set operations, which mean another thing in RE2
            re.compile(text, re.ASCII | re.DOTALL)
            return re.compile("".join(map(_as_python, tokens)), re.ASCII | re.DOTALL)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        message = f"is not a regular expression: {error}"
        raise ExpressionError(message) from error


def costs_little(text: str) -> bool:
    """Whether a text of a label's length is soon matched against it, also one that was made to take long.

    That is: at most three repeats, and neither a repeat nor an alternative within a repeat. ``text`` is an expression.
    """
    groups, last, repeats = [False], False, 0
    for token in _tokens(text):
        branches, last = last, False
        if token.lastgroup == "open":
            groups.append(False)
        elif token.lastgroup == "close" and len(groups) > 1:
            last = groups.pop()
            groups[-1] |= last
        elif token.lastgroup == "repeat" or token.group() == "|":
            if token.lastgroup == "repeat" and branches and token.group() != "?":
                return False
            repeats += token.lastgroup == "repeat" and token.group() != "?"
            groups[-1] = True
    return repeats <= _MOST_OPEN


def _tokens(text: str) -> list[re.Match[str]]:
    found: list[re.Match[str]] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        after_repeat = bool(found) and found[-1].lastgroup == "repeat"
        if token is None or (after_repeat and token.lastgroup == "repeat"):
            raise _refusal(text, at)
        found.append(token)
        at = token.end()
    return found


def _refusal(text: str, at: int) -> ExpressionError:
    """What is wrong at this place, where no token begins."""
    if read := re.match(_IN_CLASS, text[at:]):
        at += read.end()
    if at == len(text):
        return ExpressionError("is not a regular expression: a '[' is not closed")
    rest = text[at:]
    piece, hint = next((found.group(), hint) for pattern, hint in _HINTS if (found := re.match(pattern, rest)))
    return ExpressionError(f"uses {piece!r}, which Prometheus (RE2) does not know or reads differently", hint)


def _check_repeats(tokens: Iterable[re.Match[str]]) -> None:
    """Multiply the repeats that lie in each other."""
    groups, last = [1], 1
    for token in tokens:
        if token.lastgroup == "open":
            groups.append(1)
        if len(groups) > _DEEPEST:
            message = f"has groups in more than {_DEEPEST} groups"
            raise ExpressionError(message)
        last = _repeats(token, last) if token.lastgroup == "repeat" else 1
        if token.lastgroup == "close" and len(groups) > 1:
            last = groups.pop()
        if last > _MOST_REPEATS:
            message = f"repeats something {last} times, and Prometheus (RE2) at most {_MOST_REPEATS}"
            raise ExpressionError(message, "nested repeats are multiplied; * and + have no limit")
        groups[-1] = max(groups[-1], last)


def _repeats(token: re.Match[str], inner: int) -> int:
    return max(int(token["most"] or token["least"] or 1), 1) * inner


def _check_no_case(tokens: Iterable[re.Match[str]]) -> None:
    for token in tokens:
        if token.lastgroup in {"flags", "open"} and "i" in token.group().partition("-")[0].partition("P<")[0]:
            message = "uses the flag i with letters beyond ASCII, which Prometheus (RE2) would read differently"
            raise ExpressionError(message, "write both cases, as [Ää]")


def _as_python(token: re.Match[str]) -> str:
    text = token.group()
    if token.lastgroup != "class":
        return _AS_PYTHON.get(text, text)
    return re.sub(r"\\.", lambda escape: _CLASS_AS_PYTHON.get(escape.group(), escape.group()), text, flags=re.DOTALL)
