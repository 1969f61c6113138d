"""What a rules file may say: the shape of its entries, before anything is known about metrics.

A file is a mapping with one key, ``rules``, a list. An entry with ``alert`` defines a rule, one with ``override``
changes a rule that was defined before it, in the shipped rules or in an earlier file or line.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from alerts.notify.notification import Comparison, Severity
from gpuwarden.documents import Document, DocumentError, Mistake, Path, key_text, nearest
from gpuwarden.structure import structure_data
from gpuwarden.units import Duration, Unit

COMPARISONS: tuple[Comparison, ...] = ("above", "below", "equals", "absent", "within", "older")

WhenGone = Literal["hold", "end"]
"""What becomes of a firing alert whose target answers without its series."""

_AT_ONCE = Duration(0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The keys that say which series are judged, and against what."""

    where: Mapping[str, str] = field(default_factory=dict[str, str])
    over: Mapping[str, Duration] | None = None
    predict: Duration | None = None
    quantile: float | None = None
    least_count: float | None = None
    above: float | None = None
    below: float | None = None
    equals: float | None = None
    absent: bool | None = None
    within: Duration | None = None
    older: Duration | None = None
    clear: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition(Terms):
    """The keys of an ``alert`` entry."""

    alert: str
    enabled: bool = True
    metric: str = ""
    expr: str = ""
    unit: Unit | None = None
    for_: Duration = _AT_ONCE
    keep_firing_for: Duration = _AT_ONCE
    when_gone: WhenGone = "hold"
    severity: Severity
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    muted_by: tuple[str, ...] = ()
    summary: str
    action: str = ""
    why: str = ""
    skip_when: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override(Terms):
    """The keys of an ``override`` entry; None means "as it was", except for ``clear``: see ``Entry.clears``."""

    override: str
    enabled: bool | None = None
    for_: Duration | None = None
    keep_firing_for: Duration | None = None
    when_gone: WhenGone | None = None
    severity: Severity | None = None
    labels: Mapping[str, str] | None = None
    muted_by: tuple[str, ...] | None = None
    summary: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of the list.

    ``faulty`` are the keys whose shape is wrong, which was reported; ``content`` was then read without them, so that
    its other keys can still be checked, and is None where too little is left.
    ``clears`` says that the key ``clear`` was written, also as ``clear: null``, which takes the hysteresis away.
    """

    document: Document
    path: Path
    content: Definition | Override | None
    defines: str | None
    faulty: frozenset[str] = frozenset()
    clears: bool = False

    def mistake(self, key: str, message: str, hint: str = "") -> Mistake:
        """A mistake about one key of the entry, or about the entry where ``key`` is empty."""
        steps = tuple(key.split(".", 1)) if key else ()
        return self.document.mistake((*self.path, *steps), message, hint)

    @property
    def place(self) -> str:
        """File and line, for a mistake elsewhere that refers to this entry."""
        return f"{self.document.file}:{self.document.line(self.path)}"


def entries(document: Document, mistakes: list[Mistake]) -> Iterator[Entry]:
    """Read every entry of a file; what is wrong with a shape goes to ``mistakes``."""
    data = document.data
    if not isinstance(data, dict):
        mistakes.append(document.mistake((), "a rules file is a mapping with the key 'rules'"))
        return
    found = cast("dict[Any, Any]", data)
    mistakes.extend(
        document.mistake((str(key),), "is not a known key", nearest(str(key), ["rules"]) or "known here: rules")
        for key in found
        if key != "rules"
    )
    items: Any = found.get("rules")
    if not isinstance(items, list):
        mistakes.append(document.mistake(("rules",), "must be a list" if "rules" in found else "is missing"))
        return
    for index, item in enumerate(cast("list[Any]", items)):
        yield _entry(document, ("rules", index), item, mistakes)


def _entry(document: Document, path: Path, item: Any, mistakes: list[Mistake]) -> Entry:
    keys = cast("dict[Any, Any]", item) if isinstance(item, dict) else {}
    name = keys.get("alert")
    defines = name if isinstance(name, str) else None
    if ("alert" in keys) is ("override" in keys):
        mistakes.append(document.mistake(path, "needs either 'alert' (a new rule) or 'override' (changes to one)"))
        return Entry(document, path, None, defines, frozenset({"alert"}))
    kind = Override if "override" in keys else Definition
    content: Definition | Override | None = None
    faulty: frozenset[str] = frozenset()
    try:
        content = structure_data(kind, keys, document.locate, path)
    except DocumentError as error:
        mistakes.extend(error.mistakes)
        faulty = _keys_at_fault(error, path)
        content = _without(kind, keys, faulty, document, path)
    return Entry(document, path, content, defines, faulty, "clear" in keys)


def _keys_at_fault(error: DocumentError, path: Path) -> frozenset[str]:
    within = f"{key_text(path)}."
    found = (item.key.removeprefix(within) for item in error.mistakes)
    return frozenset(re.split(r"[.\[]", key, maxsplit=1)[0] for key in found)


def _without(
    kind: type[Definition | Override], keys: dict[Any, Any], faulty: frozenset[str], document: Document, path: Path
) -> Definition | Override | None:
    stand_ins = {"severity": "info", "summary": "-"} if kind is Definition else {}
    unit = {"unit": "count"} if "unit" in faulty else {}
    rest = stand_ins | unit | {key: value for key, value in keys.items() if str(key) not in faulty}
    try:
        return structure_data(kind, rest, document.locate, path)
    except DocumentError:
        return None
