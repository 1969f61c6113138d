"""Alerts as the page shows them, read from the answer of an alerter or a Prometheus. Pure.

What comes back is foreign: every text is cut and cleaned, only so many alerts are kept, and an answer that is not of
Prometheus's shape is an error, never an empty list.
"""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from exporter.processes.labels import clean_label
from gpuwarden.errors import GpuwardenError

MOST_KEPT = 100

_WATCHDOG = "Watchdog"
"""Fires always, to prove that rules are judged; no news for a person."""
_LONGEST_TEXT = 300
_MOST_REMARKS = 5
_RANKS = {"critical": 0, "warning": 1, "info": 2}


class AlertsError(GpuwardenError, ValueError):
    """An answer that is no list of alerts; the message is one line for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert that fires or waits (pending); ``active_at`` in Unix seconds, texts empty where nothing is known."""

    name: str
    severity: str = ""
    firing: bool = True
    summary: str = ""
    active_at: float | None = None
    gpu: str = ""
    uuid: str = ""
    instance: str = ""
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """What is known of alerts at one moment.

    ``source`` is where they come from, empty when none is set. ``listed`` is None while they are unknown; ``more`` were
    left out of it, of which ``more_firing`` fire. ``answered_ago`` is the age of the last good answer in seconds, None
    before the first.
    """

    source: str = ""
    listed: tuple[Alert, ...] | None = None
    more: int = 0
    more_firing: int = 0
    remarks: tuple[str, ...] = ()
    answered_ago: float | None = None
    trouble: str = ""


NO_SOURCE = Alerts()
"""Nobody is asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: alerts, firing and graver ones first, how many more there were and fired, and what it remarked."""

    alerts: tuple[Alert, ...]
    more: int
    more_firing: int
    remarks: tuple[str, ...]


def read_answer(status: int, body: bytes, own: frozenset[str] = frozenset()) -> Answer:
    """Read an answer to ``GET /api/v1/alerts``; of too many, alerts of the cards with ``own`` UUIDs are kept first.

    It may take a second for megabytes, so it is not for the event loop.

    Raises:
        AlertsError: it is a refusal, or not of that shape.
    """
    document = _document(body)
    if status != 200 or document.get("status") != "success":  # noqa: PLR2004 -- HTTP's OK
        said = clean_label(_text(document.get("error")), _LONGEST_TEXT)
        message = f"HTTP {status}: {said}" if said else f"HTTP {status}, and no list of alerts"
        raise AlertsError(message)
    data = document.get("data")
    entries = cast("Mapping[str, Any]", data).get("alerts") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        message = "the answer holds no list of alerts"
        raise AlertsError(message)
    found = [entry for entry in cast("list[Any]", entries) if _mapping(entry, "labels").get("alertname") != _WATCHDOG]
    found.sort(key=lambda entry: (_mapping(entry, "labels").get("uuid") not in own, *_rank(entry)))
    kept, left = found[:MOST_KEPT], found[MOST_KEPT:]
    alerts = sorted(map(_alert, kept), key=_shown)
    return Answer(tuple(alerts), len(left), sum(map(_fires, left)), _remarks(document))


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    return cast("Mapping[str, Any]", document) if isinstance(document, dict) else {}


def _alert(entry: Mapping[str, Any]) -> Alert:
    labels, annotations = _mapping(entry, "labels"), _mapping(entry, "annotations")
    return Alert(
        name=_label(labels, "alertname") or "(no name)",
        severity=_label(labels, "severity"),
        firing=_fires(entry),
        summary=_label(annotations, "summary") or _label(annotations, "description"),
        active_at=_moment(_text(entry.get("activeAt"))),
        gpu=_label(labels, "gpu"),
        uuid=_label(labels, "uuid"),
        instance=_label(labels, "instance"),
        simulated=bool(_label(annotations, "simulated")),
    )


def _fires(entry: Mapping[str, Any]) -> bool:
    return entry.get("state") != "pending"


def _mapping(entry: Any, key: str) -> Mapping[str, Any]:
    found = cast("Mapping[str, Any]", entry).get(key) if isinstance(entry, dict) else None
    if not isinstance(found, dict):
        message = f"an alert without {key}"
        raise AlertsError(message)
    return cast("Mapping[str, Any]", found)


def _label(texts: Mapping[str, Any], name: str) -> str:
    return clean_label(_text(texts.get(name)), _LONGEST_TEXT)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _remarks(document: Mapping[str, Any]) -> tuple[str, ...]:
    lists = (document.get("warnings"), document.get("infos"))
    lines = [line for lines in lists if isinstance(lines, list) for line in cast("list[Any]", lines)[:_MOST_REMARKS]]
    cleaned = (clean_label(_text(line), _LONGEST_TEXT) for line in lines)
    return tuple(line for line in cleaned if line)[:_MOST_REMARKS]


def _moment(text: str) -> float | None:
    try:
        moment = dt.datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _shown(alert: Alert) -> tuple[bool, int, str, str]:
    return not alert.firing, _RANKS.get(alert.severity, len(_RANKS)), alert.name, alert.summary


def _rank(entry: Mapping[str, Any]) -> tuple[bool, int, str]:
    """Raw, so that what is left out need not be cleaned."""
    labels = _mapping(entry, "labels")
    severity = _RANKS.get(_text(labels.get("severity")), len(_RANKS))
    return not _fires(entry), severity, _text(labels.get("alertname"))[:_LONGEST_TEXT]
