"""The values of a series in a rule test: one sample after another, as promtool writes them: see ``NOTATION``.

Only ``_`` and ``stale`` mean another thing to promtool, which bridges a sample that is merely missing for five minutes.
Where scrapes write the series, as here, Prometheus learns at once that one is gone; so ``written`` puts ``stale``.
"""

import math
import re
from collections.abc import Sequence
from itertools import groupby

from gpuwarden.errors import UserInputError

NOTATION = {
    "`0.5`, `-1e3`, `Inf`, `NaN`": "one sample",
    "`0.5x2`": "a sample, and the same 2 times more: three samples",
    "`1+2x3`, `9-1x3`": "a sample, and 3 times more one that is by so much larger or smaller: four samples",
    "`_`, `_x3`": "no sample, once or 3 times: the target answered without the series",
    "`stale`": "as `_`",
}
"""How values are written, and what is meant; Markdown for the reference page."""

MOST_VALUES = 10_000
"""Of one series."""

_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_ITEM = re.compile(
    r"(?P<gone>_)(?:x(?P<gaps>[0-9]{1,9}))?|(?P<stale>stale)|(?P<word>[+-]?(?:[iI][nN][fF]|[nN][aA][nN]))"
    rf"|(?P<first>[+-]?{_NUMBER})(?:(?P<step>[+-]{_NUMBER})?x(?P<times>[0-9]{{1,9}}))?"
)
_REPEATED_WORD = re.compile(r"(?P<word>stale|[+-]?inf|nan)x[0-9]+", re.IGNORECASE)


class ValuesError(UserInputError, ValueError):
    """A text does not list values; ``hint`` says what to write, where that is known."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.hint = hint
        super().__init__(message)


def parse_values(text: str) -> tuple[float | None, ...]:
    """The samples in order, None where there is none.

    Raises:
        ValuesError: the text is not a list of values, or a longer one than ``MOST_VALUES``.
    """
    found: list[float | None] = []
    for word in text.split():
        item = _ITEM.fullmatch(word)
        if item is None:
            raise _refusal(word)
        if len(found) + int(item["times"] or item["gaps"] or 0) >= MOST_VALUES:
            message = f"are more than {MOST_VALUES} values"
            raise ValuesError(message)
        found.extend(_samples(item))
    if not found:
        message = "hold no value"
        raise ValuesError(message, "write 0.5x10, or _ for a series without a sample")
    return tuple(found)


def _samples(item: re.Match[str]) -> list[float | None]:
    if item["gone"]:
        return [None] * int(item["gaps"] or 1)
    if item["stale"]:
        return [None]
    if item["word"]:
        return [float(item["word"])]
    value, step = float(item["first"]), float(item["step"] or 0)
    samples: list[float | None] = [value]
    for _ in range(int(item["times"] or 0)):
        # Added up one by one as promtool does, so that both arrive at the same number.
        value += step
        samples.append(value)
    return samples


def _refusal(word: str) -> ValuesError:
    shown = word[:50]
    if found := _REPEATED_WORD.fullmatch(word):
        hint = "write stale _x5" if found["word"].lower() == "stale" else "write it as often as it is meant"
        return ValuesError(f"{shown!r} repeats a word, and only numbers and _ can be repeated", hint)
    return ValuesError(f"{shown!r} is not a value", "write 0.5, 0.5x10, 0+1x10, _, stale, NaN, Inf")


def written(samples: Sequence[float | None]) -> str:
    """The samples for promtool, shortened where they repeat; what is gone is stale, so that nothing is bridged."""
    words: list[str] = []
    seen = False
    for text, run in groupby(map(_text, samples)):
        count = len(list(run))
        if text == "_":
            rest = count - seen
            words.extend((["stale"] if seen else []) + ([f"_x{rest}"] if rest else []))
        elif text[-1].isalpha():
            words.extend([text] * count)
        else:
            words.append(f"{text}x{count - 1}" if count > 1 else text)
        seen = text != "_"
    return " ".join(words)


def _text(sample: float | None) -> str:
    if sample is None:
        return "_"
    if math.isnan(sample):
        return "NaN"
    if math.isinf(sample):
        return "Inf" if sample > 0 else "-Inf"
    return repr(sample).removesuffix(".0")
