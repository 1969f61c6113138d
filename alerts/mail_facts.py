"""The facts of a mail, (name, text) in the order of reading: what was read, against what, since when. Pure.

A fact that nobody can know is left out: an alert of a foreign rule has no threshold, an age or a missing series has no
value. A number that is not the series' own last value is called what it is (``reading_words``).
"""

from collections.abc import Iterable, Iterator

from alerts.clean_text import one_line
from alerts.notify.notification import AGES, Graver, Notification
from alerts.reading_words import span_words
from alerts.worst import goes_down
from gpuwarden.units import format_timestamp, format_value

_TEXT_LIMIT = 400
_NAME_LIMIT = 200

NO_LONGER = "no longer reported"
"""What can be said of a series that has ended for good."""

Fact = tuple[str, str]


def facts_of(notification: Notification) -> tuple[Fact, ...]:
    """The facts of the mail about ``notification``; their texts are one line each."""
    found = _resolved(notification) if notification.reason == "resolved" else _firing(notification)
    return tuple((name, one_line(text, _TEXT_LIMIT)) for name, text in found if text)


def _firing(notification: Notification) -> Iterator[Fact]:
    yield from _reading(notification, "Value")
    if notification.peak != notification.value:
        yield from _peak(notification)
    yield "Trend", notification.trend
    if notification.graver:
        yield "Over", _over(notification.graver)
    if notification.reason == "repeat":
        yield "Still", f"firing for {_lasted(notification)}, since {format_timestamp(notification.started_at)}"
    else:
        yield ("Still" if notification.graver else "Since"), _since(notification)
    yield "Flapping", _flapping(notification)
    yield "Decided", format_timestamp(notification.at)


def _resolved(notification: Notification) -> Iterator[Fact]:
    yield from _reading(notification, "Value now")
    yield from _peak(notification)
    yield "Lasted", _lasted(notification)
    yield "Flapping", _flapping(notification)
    yield "From", format_timestamp(notification.started_at)
    yield "Until", format_timestamp(ended_at(notification))


def _reading(notification: Notification, name: str) -> Iterable[Fact]:
    """What was read and against what."""
    if notification.comparison == "absent":
        over = notification.reason == "resolved" and notification.value is not None
        return [("Published" if over else "Missing", notification.reading or notification.metric)]
    gone = [(name, NO_LONGER)] if notification.gone else []
    if notification.unit == "bool" and notification.metric:
        # Yes or no beside yes or no says less than the summary.
        return gone
    if notification.comparison in AGES:
        return [*gone, ("Happened", _happened(notification)), ("Alarm", _alarm(notification))]
    return [(name, _value(notification)), ("Threshold", _threshold(notification))]


def _happened(notification: Notification) -> str:
    if notification.value is None:
        return ""
    age = max(0.0, notification.value)
    return f"{format_timestamp(notification.at - age)}{_before(age)}"


def _before(seconds: float) -> str:
    """How long ago that was; of what has just happened, nothing: "0 ms before this mail" helps nobody."""
    return f" ({format_value(seconds, 'seconds')} before this mail)" if seconds >= 1 else ""


def _alarm(notification: Notification) -> str:
    than = "older than" if notification.comparison == "older" else "within"
    alarm = f"{than} {span_words(notification.threshold)}"
    return f"{alarm}; no mail tells when that is over" if notification.comparison == "within" else alarm


def _value(notification: Notification) -> str:
    if notification.value is not None:
        value = format_value(notification.value, notification.unit)
        return f"{value} ({notification.reading})" if notification.reading else value
    if notification.gone:
        return NO_LONGER
    # Whether a window has a result now was not asked.
    return "no reading" if notification.metric and not notification.reading else ""


def _peak(notification: Notification) -> Iterator[Fact]:
    """The worst reading since it began."""
    if notification.peak is not None and notification.metric:
        name = "Lowest" if goes_down(notification.comparison, notification.threshold) else "Peak"
        yield name, format_value(notification.peak, notification.unit)


def _threshold(notification: Notification) -> str:
    if not notification.metric:
        return ""
    word = "" if notification.comparison == "equals" else f"{notification.comparison} "
    return f"{word}{format_value(notification.threshold, notification.unit)}"


def _since(notification: Notification) -> str:
    since = f"{format_timestamp(notification.started_at)}{_before(notification.at - notification.started_at)}"
    return f"{notification.severity} since {since}" if notification.graver else since


def _lasted(notification: Notification) -> str:
    return format_value(max(0.0, ended_at(notification) - notification.started_at), "seconds")


def ended_at(notification: Notification) -> float:
    """One that came and went was over before that was told."""
    waited = notification.lasting if notification.flaps and notification.reason == "resolved" else 0.0
    return notification.at - waited


def _rounded(span: float) -> str:
    """A span to the minute, where it is that long."""
    minutes = round(span / 60)
    return span_words(60.0 * minutes if minutes else max(0.0, span))


def _flapping(notification: Notification) -> str:
    if not notification.flaps:
        return ""
    if notification.reason == "flapping":
        span = _rounded(notification.at - notification.flaps_since)
        rest = f"from now on only a state that lasts {span_words(notification.lasting)} is told"
        return f"fired {notification.flaps} times in {span}; {rest}"
    state = "over" if notification.reason == "resolved" else "firing without a break"
    span = _rounded(notification.at - notification.lasting - notification.flaps_since)
    lasting = _rounded(notification.lasting)
    return f"fired {notification.flaps} times in {span}; {state} for {lasting} now, so it flaps no more"


def _over(graver: Graver) -> str:
    lasted = format_value(max(0.0, graver.ended_at - graver.started_at), "seconds")
    return f"{graver.severity} after {lasted} ({one_line(graver.alertname, _NAME_LIMIT)})"
