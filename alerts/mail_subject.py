"""The subject of a mail: what happened and where, within what a phone's lock screen shows. Pure.

The marks (SIMULATED, the severity) come first and the host is always named; what does not fit is the end of the rule's
summary, which stands whole in the mail. So a summary should say first what the matter is. Why an alert is over, or less
than it was, is said in full where there is room, else in one word.
"""

import re

from alerts.clean_text import one_line
from alerts.notify.notification import Graver, Notification

SUBJECT_LIMIT = 60

_HOST_LIMIT, _NAME_LIMIT = 20, 24
_CUT = "…"
_FEWEST = 12
"""Characters of the summary that are kept, however long the rest is."""
_SMALL = re.compile(
    r"a|above|an|and|any|are|as|at|be|been|below|but|by|for|from|had|has|have|in|is|it|its|no|not|of|on|or|than|that|the"
    r"|to|was|which|will|with|would",
    re.IGNORECASE,
)
"""Words with which nothing ends."""
_UNITS = re.compile(r"(?:%|°C|W|[KMGTP]?i?B|[kMG]?Hz|kWh|ms|s|min|h|d)[,.;:]?(?: |$)")
_NUMBER = re.compile(r"-?[0-9.]+$")
_ADDRESS = re.compile(r"[0-9.:]+|\[.*")


def subject_of(badge: str, summary: str, host: str, notification: Notification) -> str:
    """The subject; the texts are one line each."""
    marks = f"[SIMULATED] [{badge}] " if notification.simulated else f"[{badge}] "
    room = SUBJECT_LIMIT - len(marks)
    stories = [f"{_story(summary, host, room - len(end))}{end}" for end in _ends(notification)]
    whole = (story for story in stories if len(story) <= room and _CUT not in story)
    return one_line(f"{marks}{next(whole, stories[-1])}", SUBJECT_LIMIT)


def _story(summary: str, host: str, room: int) -> str:
    """What happened on which host."""
    place = f" on {_short(host)}"
    for where in ("" if _short(host) in summary else place, place):
        story = _cut(summary, max(_FEWEST, room - len(where)))
        if where or _short(host) in story:
            break
    return f"{story}{where}"


def _short(host: str) -> str:
    """A host's own name where the whole is long."""
    name = host if len(host) <= _HOST_LIMIT or _ADDRESS.fullmatch(host) else host.partition(".")[0]
    return one_line(name, _HOST_LIMIT)


def _cut(text: str, limit: int) -> str:
    """At most ``limit`` characters, ended after a word that can stand at an end."""
    if len(text) <= limit:
        return text
    words = text[:limit].rpartition(" ")[0].split(" ")
    rest = text[len(" ".join(words)) + 1 :]
    if _UNITS.match(rest) and _NUMBER.search(words[-1]):
        words.pop()
    while words and _SMALL.fullmatch(words[-1]):
        words.pop()
    kept = " ".join(words).rstrip(" ,;:(-")
    # A language without spaces has no words to cut at.
    return f"{kept}{_CUT}" if len(kept) >= _FEWEST // 2 else one_line(text, limit)


def _ends(notification: Notification) -> tuple[str, ...]:
    """Why it is over, or less than it was, from long to short: a card that was taken out does not answer again."""
    if notification.graver:
        return _fell(notification.graver, notification)
    return (", no longer reported", ", gone") if notification.gone else ("",)


def _fell(graver: Graver, notification: Notification) -> tuple[str, ...]:
    """The same number lower down, or another thing that was hidden until now."""
    if graver.severity != notification.severity and graver.metric == notification.metric:
        return f", no longer {graver.severity}", f", was {graver.severity}"
    return f", {one_line(graver.alertname, _NAME_LIMIT)} is over", ", another is over"
