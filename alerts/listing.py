"""``GET /api/v1/alerts``: what is pending and firing now, in the shape of Prometheus's answer to the same path.

So whoever shows alerts (the exporter's status page, a script) asks an alerter and a Prometheus alike.

1. While the alerter does not do its work, or has not looked yet, the answer is 503 with the reason and no list: an old
   list, or an empty one, would read as "all is well".
2. What cannot be read now is a warning beside the list; when Alertmanager last posted is a remark (``infos``).
3. The firing and graver come first; what goes beyond ``MOST_LISTED`` is left out, and a warning says how many.
4. Where a rule is known, the texts are its own, with the last known reading, as in the mail.
"""

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alerts.alert_labels import in_alert
from alerts.clean_text import one_line
from alerts.notify.due import texts
from alerts.notify.notification import RANKS
from alerts.notify.page_facts import LONGEST_LABEL
from alerts.posted_identity import find_rule
from alerts.rounds import Rounds
from alerts.rule import Rule
from alerts.service import Service
from alerts.state import AlertKey, State

MOST_LISTED = 1000

_MOST_LABELS = 40
_LONGEST_TEXT = 1000


def listing_route(service: Service) -> Route:
    """The route over a running service."""

    async def alerts(_: Request) -> Response:
        trouble = service.unhealthy() or service.decider.unready
        if trouble:
            refusal = {"status": "error", "errorType": "unavailable", "error": trouble}
            return JSONResponse(refusal, HTTPStatus.SERVICE_UNAVAILABLE)
        kind = "warnings" if isinstance(service.decider, Rounds) else "infos"
        return JSONResponse(listing(service.decisions.states, service.decisions.rules, {kind: service.decider.remarks}))

    return Route("/api/v1/alerts", alerts)


def listing(
    states: Mapping[AlertKey, State], rules: Sequence[Rule], remarks: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """The answer's document; ``remarks`` are lists of texts, by the name under which Prometheus has such."""
    found = [(key, state, find_rule(rules, key.alertname, dict(key.labels))) for key, state in states.items()]
    found.sort(key=lambda item: (item[1].phase != "firing", _rank(item[0], item[2]), item[0]))
    said = {name: list(lines) for name, lines in (remarks or {}).items()}
    if len(found) > MOST_LISTED:
        said.setdefault("warnings", []).append(f"{len(found) - MOST_LISTED} more alerts are not listed")
    alerts = [_alert(key, state, rule) for key, state, rule in found[:MOST_LISTED]]
    return {"status": "success", "data": {"alerts": alerts}, **{name: lines for name, lines in said.items() if lines}}


def _alert(key: AlertKey, state: State, rule: Rule | None) -> dict[str, Any]:
    labels = _harmless(key.labels[:_MOST_LABELS])
    shown = _as_posted(labels, rule)
    value = None if math.isnan(state.value) else state.value
    summary, action = texts(rule, value, state.host or labels.get("instance", ""), labels) if rule else ("", "")
    annotations = {
        "summary": one_line(summary, _LONGEST_TEXT),
        "action": one_line(action, _LONGEST_TEXT),
        "simulated": "yes" if state.simulated else "",
    }
    return {
        "labels": {**shown, "alertname": one_line(key.alertname, LONGEST_LABEL)},
        "annotations": {name: text for name, text in annotations.items() if text},
        "state": state.phase,
        "activeAt": _moment(state.active_at),
        "value": "NaN" if value is None else _number(value),
    }


def _harmless(labels: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {one_line(name, LONGEST_LABEL): one_line(value, LONGEST_LABEL) for name, value in labels}


def _as_posted(labels: dict[str, str], rule: Rule | None) -> dict[str, str]:
    """With the rule's labels, which are not part of the identity, as Prometheus has them.

    What nobody has a rule for carries its own.
    """
    if rule is None:
        return labels
    return _harmless(in_alert(rule, labels.items()).items())


def _rank(key: AlertKey, rule: Rule | None) -> int:
    word = rule.severity if rule else dict(key.labels).get("severity", "")
    return next((rank for severity, rank in RANKS.items() if severity == word), len(RANKS))


def _number(value: float) -> str:
    """As Prometheus writes it: infinity has a sign."""
    return repr(value) if math.isfinite(value) else f"{'+' if value > 0 else '-'}Inf"


def _moment(seconds: float) -> str:
    """RFC 3339 in UTC; the start of time for what no calendar holds."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, OSError, ValueError):
        return "1970-01-01T00:00:00Z"
