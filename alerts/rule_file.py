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
    """The keys that say which series are judged, and against what. The docstrings stand in the reference page."""

    where: Mapping[str, str] = field(default_factory=dict[str, str])
    """Which series: label and text. `"0"` equals, `"!0"` differs, `"=~0|1"` and `"!~0|1"` are expressions. In an
    override: which of the rule's series it changes. With `absent`, `job` and `instance` pick targets, other labels what
    is sought. Targets, with `absent` and on `up`, are those of the job `gpuwarden` unless the rule names another."""
    over: Mapping[str, Duration] | None = None
    """What is compared instead of the last value, as `{max: 10m}`: of a gauge `max`, `min` or `avg`, of a counter
    `increase` or `rate` (per second)."""
    predict: Duration | None = None
    """Compare what a gauge would be after this time, by a straight line through the last quarter of it."""
    quantile: float | None = None
    """Of a histogram, with `over: {increase: 10m}`: compare what this share of its observations stayed below."""
    least_count: float | None = None
    """Observations that a quantile needs to say anything; 10 where nothing is written."""
    above: float | None = None
    """Fires above this number, in the metric's unit: 0.9 of a ratio is 90 %."""
    below: float | None = None
    """Fires below this number."""
    equals: float | None = None
    """Fires at this number; of what is yes or no, 1 or 0."""
    absent: bool | None = None
    """`true`: fires for each target that answers without such a series."""
    within: Duration | None = None
    """Fires while a time stamp is younger than this."""
    older: Duration | None = None
    """Fires while a time stamp is older than this."""
    clear: float | None = None
    """With `above` or `below`: what fires ends only past this number. `null` in an override takes it away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition(Terms):
    """The keys of an ``alert`` entry."""

    alert: str
    """A new rule's name."""
    enabled: bool = True
    """`false`: judged only where an override says `enabled: true`. In an override: switches off, or on."""
    metric: str = ""
    """The series that is judged."""
    expr: str = ""
    """In place of a metric and comparison: any PromQL, judged by Prometheus only."""
    unit: Unit | None = None
    """The unit of another exporter's metric."""
    for_: Duration = _AT_ONCE
    """How long it must be true before the alert fires."""
    keep_firing_for: Duration = _AT_ONCE
    """How long it must be false before the alert ends."""
    when_gone: WhenGone | None = None
    """What a firing alert does when its target answers without the series: `hold`, or `end`. Without it, `end` where
    series come and go with processes (a label `pid`), else `hold`; what fires of a card ends when it is forgotten."""
    severity: Severity
    """`critical`, `warning` or `info`."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the alert carries besides its series' labels, for routing. Where a series has a label of the same name, or
    `severity`, that one is called `exported_NAME` in Prometheus's alert."""
    muted_by: tuple[str, ...] = ()
    """Rules that say more: while one of them fires on the same thing, this one tells nobody."""
    summary: str
    """One sentence, the subject of the mail. `{{ value }}` and the like are filled in."""
    action: str = ""
    """What to do about it, in one or two sentences."""
    why: str = ""
    """Why the rule exists; for this page and `rules explain`."""
    skip_when: str = ""
    """When somebody would not want it; likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override(Terms):
    """The keys of an ``override`` entry; None means "as it was", except for ``clear``: see ``Entry.clears``."""

    override: str
    """The name of the rule that is changed; what is not written stays as it was."""
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
