"""The part of the page about alerts: what fires, or why that is not known."""

from exporter.status.alerts import Alert, Alerts
from exporter.status.cards import level_of
from exporter.status.markup import Html, tag
from exporter.status.model import Note
from exporter.status.parts import dotted, foreign, note, opened
from exporter.status.words import ago, counted
from gpuwarden.units import format_timestamp

_SHOWN_AT_ONCE = 8


def alerts(known: Alerts) -> Html:
    """Never empty: that nothing fires is something to say, and so is that nobody knows."""
    return tag("section", tag("h2", "Alerts"), *_content(known), class_="alerts")


def _content(known: Alerts) -> list[Html | None]:
    if not known.source:
        said = "No source of alerts is set (exporter.alerts_from), so whether any fires is not known here."
        return [tag("p", said, class_="quiet")]
    if known.listed is None:
        return [_unknown(known)]
    firing = [alert for alert in known.listed if alert.firing]
    waiting = [alert for alert in known.listed if not alert.firing]
    shown, hidden = firing[:_SHOWN_AT_ONCE], firing[_SHOWN_AT_ONCE:]
    return [
        _listed(shown) if shown else None,
        opened("alerts-more", tag("span", f"{len(hidden)} more fire"), _listed(hidden)) if hidden else None,
        opened("alerts-waiting", tag("span", _waiting(len(waiting))), _listed(waiting)) if waiting else None,
        tag("p", f"{known.more} more are not shown.") if known.more else None,
        *(note(Note(remark)) for remark in known.remarks),
        tag(
            "p",
            None if shown else tag("b", "No alert fires. "),
            "According to ",
            foreign(known.source),
            _when(known),
            class_="quiet",
        ),
    ]


def _waiting(number: int) -> str:
    return (
        f"{counted(number, 'alert')} will fire if {'its condition lasts' if number == 1 else 'their conditions last'}"
    )


def _when(known: Alerts) -> str:
    said = f", {ago(known.answered_ago or 0.0)}."
    return f"{said} The last attempt failed: {known.trouble}." if known.trouble else said


def _unknown(known: Alerts) -> Html:
    age = known.answered_ago
    last = "has not answered yet" if age is None else f"last answered {ago(age)}"
    return tag(
        "div",
        tag("p", tag("strong", "Alerts unknown"), ": ", foreign(known.trouble), "."),
        tag("p", foreign(known.source), f" {last}. Alerts may be firing.", class_="quiet"),
        class_="note warning unknown",
    )


def _listed(found: list[Alert]) -> Html:
    return tag("ul", *map(_alert, found), class_="alertlist")


def _alert(alert: Alert) -> Html:
    since = "" if alert.active_at is None else f"since {format_timestamp(alert.active_at)}"
    where = (alert.name, alert.instance, since, "simulated" if alert.simulated else "")
    return tag(
        "li",
        tag("strong", alert.severity or "alert", class_="severity"),
        tag("span", foreign(alert.summary or alert.name), class_="summary"),
        tag("span", dotted(map(foreign, where)), class_="details"),
        class_=f"alert {level_of(alert)}",
    )
