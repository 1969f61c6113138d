"""What a child's pipes brought, made into things that can be relied on; pure, and bounded whatever comes.

On standard output the workload writes JSON objects, one a line, that bear ``MARKER``. Everything else there is somebody
else's: it is passed over, as is a line of ours in which something has the wrong type. A line without end is given up at
a limit, and what follows counts again from the next line end on.
"""

import json
import math
import re
import typing
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MARKER = "gpuwarden_workload"
"""As in exporter/workload/lines.py, which nobody imports."""

MOST_OF_A_LINE = 64 * 2**10
"""Bytes; a result has two or three thousand."""
MOST_OF_A_DETAIL = 500
LAST_WORDS_BYTES = 2 * 2**10
_TOLD = frozenset(("ok", "oom", "error", "refused"))
_NO_FIGURES: Mapping[str, object] = {}


class Lines:
    """Cuts what arrives in pieces into lines."""

    def __init__(self) -> None:
        self._begun = bytearray()
        self._given_up = False

    def add(self, piece: bytes) -> Iterator[bytes]:
        """The lines that ``piece`` completes, without those that are too long."""
        *ended, rest = piece.split(b"\n")
        for part in ended:
            self._keep(part)
            if not self._given_up:
                yield bytes(self._begun)
            self._begun, self._given_up = bytearray(), False
        self._keep(rest)

    def _keep(self, part: bytes) -> None:
        self._given_up = self._given_up or len(self._begun) + len(part) > MOST_OF_A_LINE
        if self._given_up:
            self._begun.clear()
        else:
            self._begun += part


class LastWords:
    """The end of what came on standard error."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._bytes = 0

    def add(self, piece: bytes) -> None:
        """Keep it as long as it is among the last."""
        self._pieces.append(piece[-LAST_WORDS_BYTES:])
        self._bytes += len(self._pieces[-1])
        while self._bytes - len(self._pieces[0]) >= LAST_WORDS_BYTES:
            self._bytes -= len(self._pieces.popleft())

    @property
    def text(self) -> str:
        """As one line."""
        return clean(b"".join(self._pieces)[-LAST_WORDS_BYTES:].decode(errors="replace"), LAST_WORDS_BYTES)


@dataclass(frozen=True, slots=True)
class Result:
    """What the workload told of its run; ``spec`` has all keys, the defaults too."""

    outcome: str
    reason: str
    detail: str
    figures: Mapping[str, object]
    spec: Mapping[str, object]


def said(line: bytes) -> Mapping[str, object] | None:
    """The workload's own line with its ``event``, or None."""
    if MARKER.encode() not in line:
        return None
    try:
        document: object = json.loads(line)
    # JSON that is nested deeper than this Python's stack.
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or MARKER not in document:
        return None
    found = typing.cast("dict[str, object]", document)
    if not isinstance(found.get("event"), str):
        return None
    return {key: _finite(value) for key, value in found.items() if key != MARKER}


def result(line: Mapping[str, object]) -> Result | None:
    """A line of the event ``result``, or None where it cannot be relied on."""
    outcome, figures = line.get("outcome"), _mapping(line.get("figures"))
    if not isinstance(outcome, str) or outcome not in _TOLD or (outcome == "ok" and not figures):
        return None
    reason = _word(line.get("reason")) if outcome != "ok" else ""
    return Result(outcome, reason, clean(line.get("detail", "")), figures, _mapping(line.get("spec")))


def clean(text: object, most: int = MOST_OF_A_DETAIL) -> str:
    """A text as one line of printable characters, the last ``most`` of them."""
    if not isinstance(text, str):
        return ""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[-most:]


def _word(reason: object) -> str:
    """A reason becomes a label: it is one word, or ``unnamed``."""
    return reason if isinstance(reason, str) and re.fullmatch(r"[A-Za-z_]\w{0,63}", reason, re.ASCII) else "unnamed"


def _mapping(value: object) -> Mapping[str, object]:
    return typing.cast("dict[str, object]", value) if isinstance(value, dict) else _NO_FIGURES


def _finite(value: object) -> object:
    """JSON has no word for a number that is none, but Python's reader takes NaN, and 1e999."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in typing.cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [_finite(each) for each in typing.cast("list[object]", value)]
    return value
