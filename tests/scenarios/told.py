"""What a road told its people: mails as they came, without what must differ, to be held beside those of another road.

1. Mails are compared in the order in which they came, for each recipient.
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
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from itertools import zip_longest
from pathlib import Path

from tests.fakes.smtp.stages import Recorded, recorded

_HEADERS = ("X-Gpuwarden-Severity", "X-Gpuwarden-Simulated", "Importance", "From", "To")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+")
_BEGAN = re.compile(r"^(?:Since|From) +(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (\S+)", re.MULTILINE)
_LASTED = re.compile(r"^(Lasted +).+$|\([^()]+ before this mail\)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Told:
    """One mail to one person.

    ``answers`` is the number of the earlier mail to the same person whose thread it goes into, None for a new thread,
    -1 for the thread of a mail that never came. ``came`` and ``began`` are in seconds since the scenario began.
    """

    alert: str
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
        thread = "a thread of its own" if self.answers is None else f"answers mail {self.answers + 1}"
        marks = [f"{name}: {value}" for name, value in self.headers]
        return [f"{self.alert} {self.reason}, {thread}", f"Subject: {self.subject}", *marks, *self.text.splitlines()]


def told(folder: Path, recipient: str, start: float) -> list[Told]:
    """The mails to ``recipient`` that a server has accepted into ``folder``; ``start`` in Unix seconds."""
    found: list[Told] = []
    numbers: dict[str, int] = {}
    for path, mail in zip(sorted((folder / "mails").glob("*.json")), recorded(folder), strict=False):
        if mail.recipients == (recipient,):
            message = _parsed(mail)
            found.append(_told(message, numbers, path.stat().st_mtime - start, start))
            numbers.setdefault(str(message["Message-ID"]), len(found) - 1)
    return found


def differences(one: Sequence[Told], other: Sequence[Told], names: tuple[str, str], tolerance: float) -> list[str]:
    """What tells the two roads apart, in lines for a person; nothing where they told the same."""
    lines: list[str] = []
    for number, (left, right) in enumerate(zip_longest(one, other), 1):
        if left is None or right is None:
            extra, name = (left, names[0]) if right is None else (right, names[1])
            lines.append(f"mail {number} came by {name} only: {extra.alert} {extra.reason}: {extra.subject}")
            continue
        lines += difflib.unified_diff(
            left.words, right.words, f"mail {number} by {names[0]}", f"mail {number} by {names[1]}", n=0, lineterm=""
        )
        for what, first, second in (("came", left.came, right.came), ("dates it from", left.began, right.began)):
            if abs(first - second) > tolerance:
                lines.append(f"mail {number} {what} {first:.1f} s by {names[0]}, {second:.1f} s by {names[1]}")
    return lines


def _parsed(mail: Recorded) -> EmailMessage:
    return email.message_from_bytes(mail.data, policy=email.policy.default)


def _told(message: EmailMessage, numbers: dict[str, int], came: float, start: float) -> Told:
    text = message.get_body(("plain",)).get_content()
    root = message["In-Reply-To"]
    found = _BEGAN.search(text)
    return Told(
        alert=str(message["X-Gpuwarden-Alert"]),
        reason=str(message["X-Gpuwarden-Reason"]),
        subject=str(message["Subject"]),
        headers=tuple((name, str(message[name])) for name in _HEADERS if message[name] is not None),
        answers=None if root is None else numbers.get(str(root), -1),
        text=_MOMENT.sub("(a moment)", _LASTED.sub(r"\1(a while)", text)),
        came=came,
        began=_local(found[1]) - start if found else 0.0,
    )


def _local(moment: str) -> float:
    return dt.datetime.fromisoformat(moment).astimezone().timestamp()
