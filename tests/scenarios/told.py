"""What a road told its people: mails as they came, without what must differ, to be held beside those of another road.

1. The mails of one alert to one person are compared in the order in which they came. That mails of different alerts
   come in the same order follows from 3; two that are due at the same moment may change places.
2. Compared word by word: subject, our headers, importance, the whole text. Identifiers are replaced by what they say:
   which earlier mail this one answers. Moments and durations in the text are replaced by a mark.
3. What was replaced is not let go: when a mail came, and since when it says that its condition has been true, must be
   the same on both roads but for ``tolerance``.
"""

import datetime as dt
import difflib
import email
import email.policy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from tests.fakes.smtp.stages import Recorded, recorded

_HEADERS = ("X-Gpuwarden-Severity", "X-Gpuwarden-Simulated", "Importance", "From", "To")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+")
_BEGAN = re.compile(r"^(?:Since|From) +(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \S+", re.MULTILINE)
_SAMPLED = re.compile(r"^(?:Peak|Lowest|Trend) .*\n", re.MULTILINE)
"""What depends on the moments at which each road reads."""
_LASTED = re.compile(r"^(Lasted +).+$|\([^()]+ before this mail\)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Told:
    """One mail to one person.

    ``number`` counts the mails of this alert to this person from 1. ``answers`` is the number of that one in whose
    thread it stands, None for a thread of its own, 0 for that of another alert or of a mail that never came. ``came``
    and ``began`` are in seconds since the scenario began.
    """

    alert: str
    number: int
    reason: str
    subject: str
    headers: tuple[tuple[str, str], ...]
    answers: int | None
    text: str
    came: float
    began: float

    @property
    def words(self) -> list[str]:
        """Everything that must be the same on every road."""
        thread = "a thread of its own" if self.answers is None else f"answers mail {self.answers}"
        marks = [f"{name}: {value}" for name, value in self.headers]
        return [
            f"{self.alert} {self.number}: {self.reason}, {thread}",
            f"Subject: {self.subject}",
            *marks,
            *self.text.splitlines(),
        ]


def told(folder: Path, recipient: str, start: float) -> list[Told]:
    """The mails to ``recipient`` that a server has accepted into ``folder``; ``start`` in Unix seconds."""
    found: list[Told] = []
    threads: dict[tuple[str, str], int] = {}
    for path, mail in zip(sorted((folder / "mails").glob("*.json")), recorded(folder), strict=False):
        if mail.recipients == (recipient,):
            message = _parsed(mail)
            alert = str(message["X-Gpuwarden-Alert"])
            number = 1 + sum(one.alert == alert for one in found)
            threads.setdefault((alert, str(message["Message-ID"])), number)
            root = message["In-Reply-To"]
            answers = None if root is None else threads.get((alert, str(root)), 0)
            found.append(_told(message, alert, number, answers, came=path.stat().st_mtime, start=start))
    return found


def differences(one: Sequence[Told], other: Sequence[Told], names: tuple[str, str], tolerance: float) -> list[str]:
    """What tells the two roads apart, in lines for a person; nothing where they told the same."""
    left, right = ({(mail.alert, mail.number): mail for mail in mails} for mails in (one, other))
    lines: list[str] = []
    for key in sorted(left.keys() | right.keys()):
        if key in left and key in right:
            lines += _apart(left[key], right[key], names, tolerance)
        else:
            mail, name = (left[key], names[0]) if key in left else (right[key], names[1])
            lines.append(f"only by {name}, after {mail.came:.1f} s: {mail.alert} {mail.reason}: {mail.subject}")
    return lines


def _apart(left: Told, right: Told, names: tuple[str, str], tolerance: float) -> Iterator[str]:
    titles = [f"{left.alert} {left.number} by {name}" for name in names]
    yield from difflib.unified_diff(left.words, right.words, *titles, n=0, lineterm="")
    for what, first, second in (("came", left.came, right.came), ("dates it from", left.began, right.began)):
        if abs(first - second) > tolerance:
            yield f"{titles[0]} {what} {first:.1f} s, by {names[1]} {second:.1f} s"


def _parsed(mail: Recorded) -> EmailMessage:
    return email.message_from_bytes(mail.data, policy=email.policy.default)


def _told(message: EmailMessage, alert: str, number: int, answers: int | None, *, came: float, start: float) -> Told:
    text = message.get_body(("plain",)).get_content()
    began = _BEGAN.search(text)
    return Told(
        alert=alert,
        number=number,
        reason=str(message["X-Gpuwarden-Reason"]),
        subject=str(message["Subject"]),
        headers=tuple((name, str(message[name])) for name in _HEADERS if message[name] is not None),
        answers=answers,
        text=_MOMENT.sub("(a moment)", _LASTED.sub(r"\1(a while)", _SAMPLED.sub("", text))),
        came=came - start,
        began=_local(began[1]) - start if began else 0.0,
    )


def _local(moment: str) -> float:
    return dt.datetime.fromisoformat(moment).astimezone().timestamp()
