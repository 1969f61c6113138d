"""What a mail says, as plain strings: every value printed by unit, every text from outside made harmless.

The templates place these strings and decide nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from alerts.clean_text import one_line
from alerts.mail_facts import NO_LONGER, facts_of
from alerts.notify.mute_command import mute_command
from alerts.notify.notification import Graver, Holder, Notification
from gpuwarden.units import format_value

_TEXT_LIMIT = 400
_LABEL_LIMIT = 200
_LABELS_SHOWN = 20
_SUGGESTION_LINES, _DEEPEST = 10, 8
_TAKEN_WHOLE = frozenset({"gpu_memory_used_ratio", "gpu_memory_used_peak_ratio"})
"""Of a card's memory, which some servers take almost whole when they start."""
_NAME_LIMIT = 60
_HOLDERS_SHOWN = 10
SUBJECT_LIMIT = 160

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
    empty; it is one line and must stay as it is.
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


def view_of(notification: Notification) -> MailView:
    """The strings of the mail about ``notification``, without the facts that an alert of a foreign rule cannot have."""
    resolved = notification.reason == "resolved"
    badge = badge_of(notification)
    summary = one_line(notification.summary, _TEXT_LIMIT) or one_line(notification.alertname, _TEXT_LIMIT)
    host = one_line(notification.host, _LABEL_LIMIT) or "unknown host"
    return MailView(
        subject=_subject(badge, summary, host, notification),
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
    )


def badge_of(notification: Notification) -> str:
    """The first word of the mail: how grave it is, or that it is over."""
    if notification.reason == "resolved":
        return "RESOLVED"
    more = {"repeat": ", still", "flapping": ", flapping"}.get(notification.reason, "")
    return f"{notification.severity.upper()}{more}"


def _subject(badge: str, summary: str, host: str, notification: Notification) -> str:
    marks = f"[SIMULATED] [{badge}]" if notification.simulated else f"[{badge}]"
    story = summary if host in summary else f"{summary} on {host}"
    end = _end(notification)
    return one_line(f"{one_line(f'{marks} {story}', SUBJECT_LIMIT - len(end))}{end}", SUBJECT_LIMIT)


def _end(notification: Notification) -> str:
    """Why it is over, or less than it was: a card that was taken out is not one that answers again."""
    if notification.graver:
        return _fell(notification.graver, notification)
    return f", {NO_LONGER}" if notification.gone else ""


def _fell(graver: Graver, notification: Notification) -> str:
    """The same number lower down, or another thing that was hidden until now."""
    if graver.severity != notification.severity and graver.metric == notification.metric:
        return f", no longer {graver.severity}"
    return f", {one_line(graver.alertname, _NAME_LIMIT)} is over"


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
