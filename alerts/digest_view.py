"""What a digest says, as plain strings: one row for each incident, the gravest first. Pure.

A row tells of an incident what the mails of its own would have told: what, where, since when or from when to when, the
value against the threshold. The subject counts by severity what fires; it stays within ``SUBJECT_LIMIT``.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from alerts.clean_text import one_line
from alerts.mail_facts import facts_of
from alerts.mail_subject import SUBJECT_LIMIT
from alerts.mail_view import COLOURS, view_of
from alerts.notify.digest import Group, pieces_of
from alerts.notify.mute_command import mute_command
from alerts.notify.notification import RANKS, Notification
from gpuwarden.units import format_timestamp, format_value

_LABEL_LIMIT, _STORY_LIMIT = 200, 400
_TOLD_IN_A_ROW = frozenset({"Value", "Value now", "Threshold", "Missing", "Published", "Over", "Flapping"})
SIMULATED = "SIMULATED: these are demonstration readings, no real card is concerned."
_PARTLY_SIMULATED = "SIMULATED: what is marked so are demonstration readings, no real card is concerned."


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestRow:
    """One incident; ``rule`` names its rule, its series and why it was told, ``mute`` is a shell command or empty."""

    badge: str
    colour: str
    summary: str
    host: str
    when: str
    reading: str
    rule: str
    mute: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestView:
    """``simulated`` is the warning over it, empty where the readings are real."""

    subject: str
    badge: str
    colour: str
    title: str
    lead: str
    simulated: str
    rows: tuple[DigestRow, ...]
    footer: str


def digest_view(group: Group) -> DigestView:
    """The strings of the mail about ``group``."""
    pieces = pieces_of(group)
    rows = tuple(map(_row, pieces))
    marked = sum(one.simulated for one in group)
    count = Counter(_word(piece) for piece in pieces)
    return DigestView(
        subject=_subject(pieces, rows, count, simulated=marked > 0),
        badge=rows[0].badge if len(rows) == 1 else ", ".join(f"{number} {word}" for word, number in _ordered(count)),
        colour=rows[0].colour,
        title=rows[0].summary if len(rows) == 1 else _title(rows),
        lead=_lead(group, len(rows)),
        simulated=(SIMULATED if marked == len(group) else _PARTLY_SIMULATED) if marked else "",
        rows=rows,
        footer=f"gpuwarden on {rows[0].host}" if len(rows) == 1 else "gpuwarden: several alerts in one mail",
    )


def _word(piece: Group) -> str:
    return "RESOLVED" if piece[-1].reason == "resolved" else piece[-1].severity.upper()


def _ordered(count: Counter[str]) -> Iterator[tuple[str, int]]:
    """Severities, the gravest first, then what is over."""
    for word in (*(severity.upper() for severity in RANKS), "RESOLVED"):
        if count[word]:
            yield word, count[word]


def _title(rows: Sequence[DigestRow]) -> str:
    hosts = {row.host for row in rows}
    return f"{len(rows)} alerts on {f'{len(hosts)} hosts' if len(hosts) > 1 else hosts.pop()}"


def _subject(pieces: Sequence[Group], rows: Sequence[DigestRow], count: Counter[str], *, simulated: bool) -> str:
    if len(pieces) == 1:
        single = view_of(replace(_told(pieces[0]), reason=pieces[0][-1].reason)).subject
        end = f", over after {_lasted(pieces[0][-1])}" if _word(pieces[0]) == "RESOLVED" else ""
        return f"{single}{end}" if len(single) + len(end) <= SUBJECT_LIMIT else single
    mark, title = "[SIMULATED] " if simulated else "", _title(rows)
    badges = [f"{number} {word}" for word, number in _ordered(count)]
    while len(badges) > 1 and len(f"{mark}[{', '.join(badges)}] {title}") > SUBJECT_LIMIT:
        badges.pop()
    return one_line(f"{mark}[{', '.join(badges)}] {title}", SUBJECT_LIMIT)


def _told(piece: Group) -> Notification:
    """The notification whose words name the incident best: of what came and went, those of when it fired."""
    return piece[0 if _word(piece) == "RESOLVED" else -1]


def _lead(group: Group, incidents: int) -> str:
    until = max(one.held_until for one in group)
    if until:
        return f"Held back by the quiet hours until {format_timestamp(until)}."
    if incidents == 1:
        return "All of this happened before a mail could tell of it."
    span = max(one.at for one in group) - min(one.at for one in group)
    within = f"within {format_value(span, 'seconds')}" if span else "at once"
    return f"Much happened {within}, so it is told in one mail. The gravest comes first."


def _row(piece: Group) -> DigestRow:
    last, told = piece[-1], _told(piece)
    word, view = _word(piece), view_of(told)
    mark = "[SIMULATED] " if last.simulated else ""
    labels = ", ".join(f"{name}={value}" for name, value in told.labels if name not in {"instance", "job", "uuid"})
    reasons = ", ".join(one.reason for one in piece)
    return DigestRow(
        badge=f"{mark}{word}",
        colour=COLOURS[word.lower()],
        summary=view.summary,
        host=view.host,
        when=_when(last),
        reading=one_line(", ".join(_reading(piece)), _STORY_LIMIT),
        rule=one_line(f"{told.alertname} ({reasons}) {labels}", _LABEL_LIMIT),
        mute=mute_command(last),
    )


def _when(last: Notification) -> str:
    since = format_timestamp(last.started_at)
    if last.reason != "resolved":
        return f"since {since}"
    return f"fired {since}, over {format_timestamp(last.at)}, after {_lasted(last)}"


def _lasted(last: Notification) -> str:
    return format_value(max(0.0, last.at - last.started_at), "seconds")


def _reading(piece: Group) -> Iterator[str]:
    """What was read, in the words of the facts, and the worst of it where that is known."""
    last = piece[-1]
    facts = [(name, text) for name, text in facts_of(last) if name in _TOLD_IN_A_ROW]
    yield from (f"{'it flaps:' if name == 'Flapping' else name.lower()} {text}" for name, text in facts)
    peak = next((one.peak for one in reversed(piece) if one.peak is not None), None)
    fired_at = piece[0].value if len(piece) > 1 and piece[0].value is not None else None
    if peak is not None:
        yield f"peak {format_value(peak, last.unit)}"
    elif fired_at is not None and last.reason == "resolved" and last.unit != "bool":
        yield f"when it fired {format_value(fired_at, last.unit)}"
