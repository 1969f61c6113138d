"""Alertmanager's webhook payload, version 4, read into what we need of it. Pure.

The contract (Alertmanager, notify/webhook and template.Data): a JSON object with ``version: "4"``, ``truncatedAlerts``
and ``alerts[]``, each with ``status``, ``labels``, ``annotations``, ``startsAt``, ``endsAt``. Each alert has its own
status: a payload that is firing as a whole may hold resolved ones.

1. Unknown keys are ignored, since newer versions add some. A missing ``annotations``, ``startsAt``, ``endsAt`` or
   ``truncatedAlerts`` is tolerated. An alert without a status or without labels could only be guessed at: refused.
2. Times are RFC 3339 with up to nine decimals. ``endsAt`` is the year 1 while an alert fires: no time at all.
3. ``value`` in the annotations is the number as Prometheus prints it; whatever is not one is no value. NaN is what our
   rule file gives while it holds an alert without a reading, so it is none either.
4. An alert that comes twice in one payload counts as it came last.
5. Labels are remembered for as long as the alert fires, so they are bounded. Those of an alert that has more, or
   longer ones, are cut, and a digest of them all (``labels_cut``) keeps it apart from others that are cut alike. To
   refuse it would lose it: Alertmanager drops the whole post. Annotations are gone once the post is answered.
6. ``externalURL`` is the sender's name for itself: unless it was set to something else, its host and port, so it tells
   the peers of a cluster apart.
"""

import datetime as dt
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from alerts.series import LabelSet, label_set
from gpuwarden.errors import GpuwardenError

VERSION = "4"
UNNAMED = "UnnamedAlert"

MOST_LABELS = 64
LONGEST_LABELS = 4096
"""Characters of all names and values of one alert's labels together."""
CUT = "labels_cut"
_CUT_LABELS = 20
_CUT_LENGTH = 100
_KEPT = frozenset({"alertname", "severity", "job", "instance", "gpu", "uuid", "model", "source"})

Status = Literal["firing", "resolved"]

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_LONGEST_NUMBER = 64
_INFINITIES = {"+Inf": math.inf, "Inf": math.inf, "-Inf": -math.inf}
_LONGEST_TIME = 40
_LONGEST_SENDER = 200
_FIRST_YEAR = 1970


class BadPostError(GpuwardenError, ValueError):
    """The body is not a payload that we understand; sending it again would not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedAlert:
    """One alert of a payload; ``labels`` are without ``alertname``, times in Unix seconds, None where unknown."""

    alertname: str
    labels: LabelSet
    annotations: Mapping[str, str]
    status: Status
    started_at: float | None
    ended_at: float | None

    @property
    def value(self) -> float | None:
        """The reading that Prometheus put into the annotations."""
        return parse_value(self.annotations.get("value", ""))


@dataclass(frozen=True, slots=True)
class Post:
    """One payload; ``truncated`` alerts were left out of it by the sender, which calls itself ``sender``.

    The labels of ``cut`` alerts were cut here.
    """

    alerts: tuple[PostedAlert, ...]
    truncated: int = 0
    sender: str = ""
    cut: int = 0


def parse_post(body: bytes) -> Post:
    """Read a request's body.

    Raises:
        BadPostError: it is not JSON, not version 4, or its alerts are not alerts.
    """
    try:
        data: Any = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        message = f"the body is not JSON: {' '.join(str(error).split())[:200]}"
        raise BadPostError(message) from error
    payload = _object(data, "the body")
    version = payload.get("version")
    if version != VERSION:
        message = f"the payload's version is {str(version)[:20]!r}, not {VERSION!r}: is it a custom payload?"
        raise BadPostError(message)
    alerts: Any = payload.get("alerts")
    if not isinstance(alerts, list):
        message = "the payload has no list of alerts"
        raise BadPostError(message)
    found = [read_alert(item, f"alerts[{number}]") for number, item in enumerate(cast("list[Any]", alerts))]
    latest = {(alert.alertname, alert.labels): alert for alert in found}
    truncated = payload.get("truncatedAlerts")
    count = truncated if type(truncated) is int and truncated > 0 else 0
    cut = sum(any(name == CUT for name, _ in alert.labels) for alert in latest.values())
    return Post(tuple(latest.values()), count, _sender(payload.get("externalURL")), cut)


def parse_value(text: str) -> float | None:
    """Read a number as Prometheus prints it (``0.95``, ``1e+06``, ``+Inf``); None for NaN and for anything else."""
    if text in _INFINITIES:
        return _INFINITIES[text]
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def parse_time(text: object) -> float | None:
    """Unix seconds of an RFC 3339 time with a zone; None for what is none, and for what is before 1970 (Go's zero)."""
    if not isinstance(text, str) or len(text) > _LONGEST_TIME:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is None or moment.year < _FIRST_YEAR:
            return None
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None


def read_alert(item: object, where: str) -> PostedAlert:
    """Read one alert of a payload; ``where`` names it in errors.

    Raises:
        BadPostError: it is none.
    """
    alert = _object(item, where)
    status = alert.get("status")
    if not isinstance(status, str) or status not in {"firing", "resolved"}:
        message = f"{where}.status is {str(status)[:20]!r}, neither firing nor resolved"
        raise BadPostError(message)
    if not alert.get("labels"):
        message = f"{where} has no labels"
        raise BadPostError(message)
    labels = _bounded(_texts(alert["labels"], f"{where}.labels"))
    return PostedAlert(
        alertname=labels.pop("alertname", "") or UNNAMED,
        labels=label_set(labels),
        annotations=_texts(alert.get("annotations") or {}, f"{where}.annotations"),
        status=cast("Status", status),
        started_at=parse_time(alert.get("startsAt")),
        ended_at=parse_time(alert.get("endsAt")),
    )


def _bounded(labels: dict[str, str]) -> dict[str, str]:
    """The labels, cut if they are too many or too long: first those that mails and rules need, then by name."""
    if len(labels) <= MOST_LABELS and sum(len(name) + len(text) for name, text in labels.items()) <= LONGEST_LABELS:
        return labels
    named = sorted(labels.items(), key=lambda item: (item[0] not in _KEPT, item))
    digest = hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]
    return {name[:_CUT_LENGTH]: text[:_CUT_LENGTH] for name, text in named[:_CUT_LABELS]} | {CUT: digest}


def _sender(url: object) -> str:
    return _encodable(url[:_LONGEST_SENDER]) if isinstance(url, str) else ""


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        message = f"{where} is not a JSON object"
        raise BadPostError(message)
    return cast("dict[str, Any]", value)


def _texts(value: object, where: str) -> dict[str, str]:
    texts = _object(value, where)
    if not all(isinstance(text, str) for text in texts.values()):
        message = f"{where} holds something that is not text"
        raise BadPostError(message)
    return {_encodable(name): _encodable(text) for name, text in texts.items()}


def _encodable(text: str) -> str:
    """Without lone surrogates, which JSON can hold and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
