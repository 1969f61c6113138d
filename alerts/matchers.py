r"""Which series a rule means: label matchers as in PromQL, written as YAML text.

``{gpu: "0"}`` equals, ``"!0"`` differs, ``"=~0|1"`` matches, ``"!~0|1"`` does not match. A label that a series does not
have is empty text, so ``""`` means "absent" and ``"!"`` means "present". Expressions are anchored at both ends and a
dot matches a newline, as in Prometheus.

Prometheus compiles expressions with RE2, we with Python's ``re``. What RE2 cannot do (look-around, back references,
atomic groups, possessive repeats) is refused here, so that a rule means the same in the generated file; ``\d``,
``\w`` and ``\s`` know ASCII only, as in RE2.
"""

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Operator = Literal["=", "!=", "=~", "!~"]

_LONGEST = 1000
_NOT_RE2 = re.compile(r"\(\?(?:=|!|<=|<!|P=|\(|>|#)|\\[1-9]|\\Z|[*+?}]\+")
_LITERAL = re.compile(r"\\[^1-9Z]|\[(?:\\.|[^\]\\])+\]")


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label."""

    label: str
    operator: Operator
    value: str
    _expression: re.Pattern[str] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the expression.

        Raises:
            ValueError: it is not one that both RE2 and Python take; the message says why.
        """
        if self.operator in {"=~", "!~"}:
            object.__setattr__(self, "_expression", _compile(self.value))

    def __str__(self) -> str:
        """Print as PromQL."""
        value = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.label}{self.operator}"{value}"'

    def accepts(self, value: str) -> bool:
        """Whether a series with this label value is meant."""
        if self._expression is None:
            return (value == self.value) is (self.operator == "=")
        return (self._expression.fullmatch(value) is not None) is (self.operator == "=~")


def parse_matcher(label: str, text: str) -> Matcher:
    """Read one entry of ``where``.

    Raises:
        ValueError: its expression is not a valid one.
    """
    if text.startswith("=~"):
        return Matcher(label, "=~", text[2:])
    if text.startswith("!~"):
        return Matcher(label, "!~", text[2:])
    if text.startswith("!"):
        return Matcher(label, "!=", text[1:])
    return Matcher(label, "=", text)


def matches(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether every matcher accepts the series."""
    return all(matcher.accepts(labels.get(matcher.label, "")) for matcher in matchers)


def contradict(matchers: Iterable[Matcher]) -> bool:
    """Whether no series can satisfy all of them, as far as a plain ``=`` among them tells."""
    found = tuple(matchers)
    return any(
        not other.accepts(one.value)
        for one in found
        if one.operator == "="
        for other in found
        if other.label == one.label
    )


def _compile(text: str) -> re.Pattern[str]:
    if len(text) > _LONGEST:
        message = f"is longer than {_LONGEST} characters"
        raise ValueError(message)
    if refused := _NOT_RE2.search(_LITERAL.sub("", text)):
        message = f"uses {refused.group()!r}, which Prometheus (RE2) does not know"
        raise ValueError(message)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # "[[:alpha:]]" and set operations mean another thing in RE2
            return re.compile(text, re.ASCII | re.DOTALL)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        message = f"is not a regular expression: {error}"
        raise ValueError(message) from error
