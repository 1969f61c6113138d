"""What a command gets on its standard input: a mail in JSON, the same bytes each time. Pure.

Subject and text are taken from the final mail, so that a phone says what the inbox says, whichever mail it is. The keys
are a promise: new ones may come, none changes its meaning.
"""

import email
import email.policy
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from alerts.channels import COMMAND_PREFIX
from alerts.compose_digest import DIGEST
from alerts.notify.digest import RANKS, pieces_of
from alerts.notify.notification import AGES, Notification
from alerts.transport import Message
from gpuwarden.units import format_value

VERSION = 1
MOST_ALERTS = 100


def with_payload(message: Message, told: Sequence[Notification]) -> Message:
    """``message``, which tells of ``told``, with the payload, where a command is among the recipients."""
    if not any(recipient.startswith(COMMAND_PREFIX) for recipient in told[0].recipients):
        return message
    return replace(message, payload=compose_payload(message, told))


def compose_payload(message: Message, told: Sequence[Notification]) -> bytes:
    """ASCII JSON on one line, with a line end.

    What is told of several alerts at once has the gravest severity, the reason ``digest`` and its subject as summary;
    ``alerts`` has the latest of each, the gravest first.
    """
    last = [piece[-1] for piece in pieces_of(told)]
    alerts = [_alert(notification) for notification in last[:MOST_ALERTS]]
    alike = {"summary": message.subject, "reason": DIGEST, "incident": told[0].id, "action": ""}
    document: dict[str, Any] = {
        "version": VERSION,
        "subject": message.subject,
        "text": _text(message.data),
        **(alerts[0] if len(told) == 1 else alike),
        "severity": min(told, key=lambda notification: RANKS[notification.severity]).severity,
        "message_id": message.message_id,
        "simulated": any(notification.simulated for notification in told),
        "alerts": alerts,
        "alert_count": len(last),
    }
    return json.dumps(_encodable(document), allow_nan=False).encode("ascii") + b"\n"


def _alert(notification: Notification) -> dict[str, Any]:
    return {
        "severity": notification.severity,
        "reason": notification.reason,
        "alertname": notification.alertname,
        "summary": notification.summary,
        "action": notification.action,
        "host": notification.host,
        "labels": dict(notification.labels),
        "value": _number(notification.value),
        "value_text": _printed(notification),
        "unit": notification.unit,
        "at": _number(notification.at),
        "started_at": _number(notification.started_at),
        "incident": notification.incident,
        "simulated": notification.simulated,
    }


def _text(data: bytes) -> str:
    mail = email.message_from_bytes(data, policy=email.policy.default)
    body = mail.get_body(("plain",))
    return "" if body is None else str(body.get_content()).replace("\r\n", "\n").strip()


def _number(value: float | None) -> float | None:
    """JSON has neither NaN nor infinity."""
    return value if value is not None and math.isfinite(value) else None


def _printed(notification: Notification) -> str:
    if notification.value is None:
        return ""
    return format_value(notification.value, "seconds" if notification.comparison in AGES else notification.unit)


def _encodable(value: Any) -> Any:
    """Without lone surrogates, over which readers of JSON stumble."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_encodable(item) for item in value]  # pyright: ignore[reportUnknownVariableType] -- JSON
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType] -- JSON
    return value
