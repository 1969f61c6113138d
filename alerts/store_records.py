"""What the store keeps as text: alert keys, states and notifications, to JSON and back without loss.

ASCII JSON carries everything that a label can hold, lone surrogates, NaN and infinities included. A row that does not
say what it should (a damaged disk, a hand in the file) raises ``UnreadableRecordError`` and concerns only itself.
"""

import json
from typing import Any, TypeVar

import cattrs

from alerts.notify.flap import Flap
from alerts.notify.notification import Notification
from alerts.series import LabelSet
from alerts.state import AlertKey, State
from gpuwarden.errors import GpuwardenError

T = TypeVar("T")

_converter = cattrs.Converter()


class UnreadableRecordError(GpuwardenError, ValueError):
    """A stored row is not what the store writes; the message is one line."""


def dump_key(key: AlertKey) -> str:
    """The same text for the same key, always: it is the row's identity."""
    return json.dumps([key.alertname, key.labels])


def load_key(text: str | bytes) -> AlertKey:
    """The key that ``dump_key`` wrote; raises UnreadableRecordError."""
    alertname, labels = _structure(text, tuple[str, LabelSet])
    return AlertKey(alertname, labels)


def dump_state(state: State) -> str:
    """One state as JSON."""
    return json.dumps(_converter.unstructure(state))


def load_state(text: str | bytes) -> State:
    """The state that ``dump_state`` wrote; fields newer than the text have defaults; raises UnreadableRecordError."""
    return _structure(text, State)


def dump_flap(flap: Flap) -> str:
    """What is remembered of an alert that came and went, as JSON."""
    return json.dumps(_converter.unstructure(flap))


def load_flap(text: str | bytes) -> Flap:
    """What ``dump_flap`` wrote, new fields with defaults; raises UnreadableRecordError."""
    return _structure(text, Flap)


def dump_notification(notification: Notification) -> str:
    """One notification as JSON."""
    return json.dumps(_converter.unstructure(notification))


def load_notification(text: str | bytes) -> Notification:
    """The notification that ``dump_notification`` wrote, new fields with defaults; raises UnreadableRecordError."""
    return _structure(text, Notification)


def _structure(text: str | bytes, shape: type[T]) -> T:
    try:
        document: Any = json.loads(text)
        return _converter.structure(document, shape)
    except Exception as error:  # whatever a damaged text makes the parsers raise
        reasons = cattrs.transform_error(error) if isinstance(error, cattrs.BaseValidationError) else [str(error)]
        message = f"it cannot be read: {' '.join('; '.join(reasons).split())[:300]}"
        raise UnreadableRecordError(message) from error
