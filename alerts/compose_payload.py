"""What a command gets on its standard input: a mail in JSON, the same bytes each time. Pure.

Subject and text are taken from the final mail, so that a phone says what the inbox says, whichever mail it is. The keys
are a promise: new ones may come, none changes its meaning.
"""

import email
import email.policy
import json
import math
from dataclasses import replace
from typing import Any

from alerts.channels import COMMAND_PREFIX
from alerts.compose_digest import DIGEST
from alerts.notify.digest import Group, pieces_of
from alerts.notify.notification import AGES, RANKS, Notification
from alerts.transport import Message
from gpuwarden.units import format_value

VERSION = 1
MOST_ALERTS = 100
"""Of a digest; its text names every incident."""


def with_payload(message: Message, notification: Notification) -> Message:
    """``message`` with the payload, where a command is among the recipients."""
    if not _tells_commands(notification):
        return message
    return replace(message, payload=compose_payload(message, notification))


def with_digest_payload(message: Message, group: Group, at: float) -> Message:
    """The same of a digest made ``at`` (Unix seconds)."""
    return replace(message, payload=digest_payload(message, group, at)) if _tells_commands(group[0]) else message


def _tells_commands(notification: Notification) -> bool:
    return any(recipient.startswith(COMMAND_PREFIX) for recipient in notification.recipients)


def compose_payload(message: Message, notification: Notification) -> bytes:
    """ASCII JSON on one line, with a line end."""
    return _final(message, {**_alert(notification), "simulated": notification.simulated})


def digest_payload(message: Message, group: Group, at: float) -> bytes:
    """The same for a digest of ``at`` (Unix seconds): the keys of one alert are those of all, or empty.

    ``alerts`` has the latest of each incident, the gravest first, up to ``MOST_ALERTS``.
    """
    alerts = [_alert(piece[-1]) for piece in pieces_of(group)]
    hosts = {one.host for one in group}
    own: dict[str, Any] = {
        **dict.fromkeys(("alertname", "action", "value_text", "unit", "incident"), ""),
        "severity": min(group, key=lambda one: RANKS[one.severity]).severity,
        "reason": DIGEST,
        "summary": message.subject,
        "host": group[0].host if len(hosts) == 1 else "",
        "labels": {},
        "value": None,
        "at": _number(at),
        "started_at": _number(min(one.started_at for one in group)),
        "simulated": any(one.simulated for one in group),
        "alerts": alerts[:MOST_ALERTS],
        "alert_count": len(alerts),
    }
    return _final(message, own)


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
    }


def _final(message: Message, said: dict[str, Any]) -> bytes:
    first = {"version": VERSION, "subject": message.subject, "text": _text(message.data)}
    document = {**first, **said, "message_id": message.message_id}
    return json.dumps(_encodable(document), allow_nan=False).encode("ascii") + b"\n"


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
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType] -- JSON
    if isinstance(value, list):
        return [_encodable(item) for item in value]  # pyright: ignore[reportUnknownVariableType] -- as above
    return value
