"""What the store keeps as text: alert keys, states and notifications, to JSON and back without loss.

ASCII JSON carries everything that a label can hold, lone surrogates, NaN and infinities included.
"""

import json

import cattrs

from alerts.notify.notification import Notification
from alerts.series import LabelSet
from alerts.state import AlertKey, State

_converter = cattrs.Converter()


def dump_key(key: AlertKey) -> str:
    """The same text for the same key, always: it is the row's identity."""
    return json.dumps([key.alertname, key.labels])


def load_key(text: str) -> AlertKey:
    """The key that ``dump_key`` wrote."""
    alertname, labels = json.loads(text)
    return AlertKey(str(alertname), _converter.structure(labels, LabelSet))


def dump_state(state: State) -> str:
    """One state as JSON."""
    return json.dumps(_converter.unstructure(state))


def load_state(text: str) -> State:
    """The state that ``dump_state`` wrote; fields that are newer than the text have their defaults."""
    return _converter.structure(json.loads(text), State)


def dump_notification(notification: Notification) -> str:
    """One notification as JSON."""
    return json.dumps(_converter.unstructure(notification))


def load_notification(text: str) -> Notification:
    """The notification that ``dump_notification`` wrote; fields that are newer than the text have their defaults."""
    return _converter.structure(json.loads(text), Notification)
