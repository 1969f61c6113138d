"""A silence as Alertmanager's API (v2) has it, in JSON, to ours and back. Pure.

What comes may come from anybody who reaches the port: sizes are bounded, and an expression is taken only if it means
the same as in rules (``expressions``) and costs little on any label (``costs_little``). At least one matcher must ask
for a label that is there, as with Alertmanager, so that nobody silences everything by mistake.
"""

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from alerts.clean_text import one_line
from alerts.expressions import ExpressionError, costs_little
from alerts.matchers import Matcher, Operator
from alerts.notify.silence import Silence
from alerts.webhook import parse_time
from gpuwarden.errors import UserInputError

MOST_MATCHERS = 20
LONGEST_SILENCE_SECONDS = 10 * 365 * 86400.0

_LONGEST_NAME, _LONGEST_VALUE = 200, 1000
_LONGEST_AUTHOR, _LONGEST_COMMENT = 200, 1000
_OPERATORS: Mapping[tuple[bool, bool], Operator] = {
    (False, True): "=",
    (False, False): "!=",
    (True, True): "=~",
    (True, False): "!~",
}


class BadSilenceError(UserInputError, ValueError):
    """What was sent is no silence that can be kept; the message is one line."""


def parse_silence(document: object, now: float, identity: str) -> Silence:
    """The silence that ``document`` asks for at ``now`` (Unix seconds), under ``identity`` unless it has its own id.

    Raises:
        BadSilenceError
    """
    asked = read_silence(document, identity)
    if asked.ends_at <= asked.starts_at or asked.ends_at <= now:
        when = "before it begins" if asked.ends_at <= asked.starts_at else "already"
        message = f"the silence would be over {when}"
        raise BadSilenceError(message)
    if asked.ends_at - now > LONGEST_SILENCE_SECONDS:
        message = "a silence lasts ten years at most"
        raise BadSilenceError(message)
    return replace(asked, updated_at=now)


def read_silence(document: object, identity: str) -> Silence:
    """The silence in ``document``, whenever it is; see ``parse_silence``.

    Raises:
        BadSilenceError
    """
    if not isinstance(document, dict):
        message = "a silence is a JSON object"
        raise BadSilenceError(message)
    asked = cast("dict[str, Any]", document)
    starts, ends = (parse_time(asked.get(key)) for key in ("startsAt", "endsAt"))
    if starts is None or ends is None:
        message = "startsAt and endsAt must be times with a zone, 2026-12-24T18:00:00Z"
        raise BadSilenceError(message)
    return Silence(
        id=_text(asked.get("id") or identity, "id", _LONGEST_AUTHOR),
        matchers=_matchers(asked.get("matchers")),
        starts_at=starts,
        ends_at=ends,
        updated_at=parse_time(asked.get("updatedAt")) or starts,
        created_by=one_line(_text(asked.get("createdBy") or "", "createdBy", None), _LONGEST_AUTHOR),
        comment=one_line(_text(asked.get("comment") or "", "comment", None), _LONGEST_COMMENT),
    )


def document_of(silence: Silence, now: float) -> dict[str, Any]:
    """The silence as it stands at ``now`` (Unix seconds)."""
    state = "active" if silence.is_active(now) else "expired" if silence.has_ended(now) else "pending"
    return {
        "id": silence.id,
        "status": {"state": state},
        "updatedAt": _moment(silence.updated_at),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "startsAt": _moment(silence.starts_at),
        "endsAt": _moment(silence.ends_at),
        "matchers": [
            {
                "name": matcher.label,
                "value": matcher.value,
                "isRegex": matcher.operator in {"=~", "!~"},
                "isEqual": matcher.operator in {"=", "=~"},
            }
            for matcher in silence.matchers
        ],
    }


def asking(
    matchers: list[tuple[str, Operator, str]], starts_at: float, ends_at: float, *, by: str, comment: str
) -> Any:
    """What is posted to have a silence; times in Unix seconds."""
    found = {operator: pair for pair, operator in _OPERATORS.items()}
    return {
        "matchers": [
            {"name": name, "value": value, "isRegex": found[operator][0], "isEqual": found[operator][1]}
            for name, operator, value in matchers
        ],
        "startsAt": _moment(starts_at),
        "endsAt": _moment(ends_at),
        "createdBy": by,
        "comment": comment,
    }


def operator_of(matcher: Mapping[str, Any]) -> Operator:
    """The operator of a matcher in JSON; ``isEqual`` is newer than the rest."""
    return _OPERATORS[bool(matcher.get("isRegex", False)), bool(matcher.get("isEqual", True))]


def _matchers(asked: object) -> tuple[Matcher, ...]:
    found = cast("list[object]", asked) if isinstance(asked, list) else []
    if not 0 < len(found) <= MOST_MATCHERS:
        message = f"a silence has one to {MOST_MATCHERS} matchers"
        raise BadSilenceError(message)
    matchers = tuple(_matcher(item) for item in found)
    if all(matcher.accepts("") for matcher in matchers):
        message = "at least one matcher must ask for a label that is there, or the silence would cover everything"
        raise BadSilenceError(message)
    return matchers


def _matcher(item: object) -> Matcher:
    if not isinstance(item, dict):
        message = "a matcher is a JSON object"
        raise BadSilenceError(message)
    asked = cast("dict[str, Any]", item)
    name = _text(asked.get("name"), "a matcher's name", _LONGEST_NAME)
    value = _text(asked.get("value"), f"the value for {name!r}", _LONGEST_VALUE)
    operator = operator_of(asked)
    try:
        matcher = Matcher(name, operator, value)
    except ExpressionError as error:
        message = f"{name}{operator}{value!r}: the expression {error}{f' ({error.hint})' if error.hint else ''}"
        raise BadSilenceError(message) from error
    if operator in {"=~", "!~"} and not costs_little(value):
        message = f"{name}{operator}{value!r}: at most three repeats, and none of them, and no |, within another"
        raise BadSilenceError(message)
    if not name:
        message = "a matcher has no name"
        raise BadSilenceError(message)
    return matcher


def _text(value: object, what: str, longest: int | None) -> str:
    if not isinstance(value, str) or (longest is not None and len(value) > longest):
        message = f"{what} is not a text" + (f" of at most {longest} characters" if longest else "")
        raise BadSilenceError(message)
    return value.encode("utf-8", "replace").decode("utf-8")


def _moment(seconds: float) -> str:
    """RFC 3339 in UTC, to the millisecond, as Alertmanager writes it."""
    whole = math.floor(seconds * 1000) / 1000
    return dt.datetime.fromtimestamp(whole, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
