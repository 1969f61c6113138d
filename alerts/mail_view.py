"""What a mail says, as plain strings: every value printed by unit, every text from outside made harmless.

The templates place these strings and decide nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from alerts.clean_text import one_line
from alerts.mail_facts import facts_of
from alerts.mail_subject import subject_of
from alerts.notify.mute_command import mute_command
from alerts.notify.notification import Holder, Link, Notification
from alerts.worst import goes_down
from gpuwarden.units import format_value

_TEXT_LIMIT = 400
_LABEL_LIMIT = 200
_LABELS_SHOWN = 20
_SUGGESTION_LINES, _DEEPEST = 10, 8
_TAKEN_WHOLE = frozenset({"gpu_memory_used_ratio", "gpu_memory_used_peak_ratio"})
"""Of a card's memory, which some servers take almost whole when they start."""
_HOLDERS_SHOWN = 10
_LONGEST_URL = 2000

COLOURS = {"critical": "#b42318", "warning": "#b54708", "info": "#175cd3", "resolved": "#067647"}


@dataclass(frozen=True, slots=True)
class HolderRow:
    """One process in the table of holders; ``memory`` with its unit."""

    process: str
    pid: str
    user: str
    container: str
    memory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailView:
    """``facts`` are (name, text) in the order of reading; ``more_holders`` is one sentence or empty.

    ``normal`` introduces ``suggestion``, the lines of a YAML text, which may be none. ``mute`` is a shell command or
    empty; it is one line and must stay as it is. ``picture`` is the address of a
    picture of the readings, empty where there is none, and ``alt`` says what is to be seen on it.
    """

    subject: str
    badge: str
    colour: str
    summary: str
    action: str
    host: str
    simulated: bool
    facts: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    holders: tuple[HolderRow, ...]
    more_holders: str
    normal: str
    suggestion: tuple[str, ...]
    mute: str
    links: tuple[Link, ...]
    picture: str
    alt: str


def view_of(notification: Notification, picture: str = "") -> MailView:
    """The strings of the mail about ``notification``, without the facts that an alert of a foreign rule cannot have.

    ``picture`` is the address of its picture, as the mail or a page refers to it.
    """
    resolved = notification.reason == "resolved"
    badge = badge_of(notification)
    summary = one_line(notification.summary, _TEXT_LIMIT) or one_line(notification.alertname, _TEXT_LIMIT)
    host = one_line(notification.host, _LABEL_LIMIT) or "unknown host"
    return MailView(
        subject=subject_of(badge, summary, host, notification),
        badge=badge,
        colour=COLOURS["resolved" if resolved else notification.severity],
        summary=summary,
        action=one_line(notification.action, 2 * _TEXT_LIMIT),
        host=host,
        simulated=notification.simulated,
        facts=facts_of(notification),
        labels=_labels(notification),
        holders=tuple(_holder_row(holder) for holder in _largest(notification)),
        more_holders=_more_holders(notification),
        normal=_normal(notification),
        suggestion=tuple(_suggestion(notification)),
        mute=mute_command(notification),
        links=tuple(_links(notification)),
        picture=picture,
        alt=_alt(notification) if picture else "",
    )


def badge_of(notification: Notification) -> str:
    """The first word of the mail: how grave it is, or that it is over."""
    if notification.reason == "resolved":
        return "RESOLVED"
    more = {"repeat": ", still", "flapping": ", flapping"}.get(notification.reason, "")
    return f"{notification.severity.upper()}{more}"


def _links(notification: Notification) -> Iterator[Link]:
    for link in notification.links:
        url = one_line(link.url, _LONGEST_URL).replace(" ", "%20")
        # Whoever wrote it: nothing else is opened from a mail.
        if url.startswith(("http://", "https://")) and not url.endswith("…"):
            yield Link(one_line(link.title, _LABEL_LIMIT), url)


def _alt(notification: Notification) -> str:
    """The picture in words."""
    parts = [one_line(notification.metric, _LABEL_LIMIT)]
    if notification.value is not None:
        parts.append(f"now {format_value(notification.value, notification.unit)}")
    if notification.peak is not None:
        worst = "lowest" if goes_down(notification.comparison, notification.threshold) else "highest"
        parts.append(f"{worst} {format_value(notification.peak, notification.unit)}")
    if notification.unit != "bool":
        limit = format_value(notification.threshold, notification.unit)
        parts.append(f"limit {notification.comparison} {limit}")
    return f"Picture of the last readings of {', '.join(parts)}"


def _labels(notification: Notification) -> tuple[tuple[str, str], ...]:
    metric = [("metric", notification.metric)] if notification.metric else []
    shown = [("rule", notification.alertname), *metric, *notification.labels]
    return tuple((one_line(name, _LABEL_LIMIT), one_line(value, _LABEL_LIMIT)) for name, value in shown[:_LABELS_SHOWN])


def _largest(notification: Notification) -> list[Holder]:
    return sorted(notification.holders, key=lambda holder: -holder.memory_bytes)[:_HOLDERS_SHOWN]


def _holder_row(holder: Holder) -> HolderRow:
    return HolderRow(
        process=one_line(holder.process, 80) or "?",
        pid=one_line(holder.pid, 20) or "?",
        user=one_line(holder.user, 40) or "?",
        container=one_line(holder.container, 40),
        memory=format_value(holder.memory_bytes, "bytes"),
    )


def _more_holders(notification: Notification) -> str:
    rest = sorted(notification.holders, key=lambda holder: -holder.memory_bytes)[_HOLDERS_SHOWN:]
    held = format_value(sum(holder.memory_bytes for holder in rest), "bytes")
    return f"and {len(rest)} more, holding {held}" if rest else ""


def _normal(notification: Notification) -> str:
    example = " (vLLM, for one, takes 90 % of a card by design)" if notification.metric in _TAKEN_WHOLE else ""
    return f"If this is normal here{example}, put this into your rules file (alerter.rules, or --rules):"


def _suggestion(notification: Notification) -> Iterator[str]:
    for line in notification.suggestion.split("\n")[:_SUGGESTION_LINES] if notification.suggestion else ():
        text = one_line(line, _TEXT_LIMIT)
        yield f"{' ' * min(len(line) - len(line.lstrip(' ')), _DEEPEST)}{text}"
