r"""Which series a rule means: label matchers as in PromQL, written as YAML text.

``{gpu: "0"}`` equals, ``"!0"`` differs, ``"=~0|1"`` matches, ``"!~0|1"`` does not match. A label that a series does not
have is empty text, so ``""`` means "absent" and ``"!"`` means "present". Expressions are anchored at both ends and a
dot matches a newline, as in Prometheus.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from alerts.expressions import ExpressionError, compile_expression
from alerts.promql import quote

Operator = Literal["=", "!=", "=~", "!~"]
_INVERSE: Mapping[Operator, Operator] = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}


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
            ExpressionError: it does not mean the same to Prometheus; the message says why.
        """
        if self.operator in {"=~", "!~"}:
            object.__setattr__(self, "_expression", compile_expression(self.value))

    def __str__(self) -> str:
        """Print as PromQL."""
        return f"{self.label}{self.operator}{quote(self.value)}"

    @property
    def inverse(self) -> "Matcher":
        """The matcher of all other series."""
        return Matcher(self.label, _INVERSE[self.operator], self.value)

    def accepts(self, value: str) -> bool:
        """Whether a series with this label value is meant."""
        if self._expression is None:
            return (value == self.value) is (self.operator == "=")
        return (self._expression.fullmatch(value) is not None) is (self.operator == "=~")


def parse_matcher(label: str, text: str) -> Matcher:
    """Read one entry of ``where``.

    Raises:
        ExpressionError: its expression is not one that Prometheus reads as we do, or the label is the metric's name.
    """
    if label == "__name__":
        message = "is the metric's own name and no label of its series"
        raise ExpressionError(message, "leave it out and write 'metric'")
    if "\ufffd" in text:
        message = "has the replacement character U+FFFD, which Prometheus cannot read in a rule"
        raise ExpressionError(message, "write '=~' with a dot in its place")
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
