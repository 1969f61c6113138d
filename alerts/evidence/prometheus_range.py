"""The readings of some alerts over the last hours, by the HTTP API of Prometheus.

For a rule on a series' own value, the worst value of each step is asked for, so that no peak falls between two steps;
for any other rule, what its generated expression compares. One query brings one alert's picture; only as many alerts as
a batch has pictures are asked about. All queries have one short deadline: what has not come by then is left out.
"""

import asyncio
import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import httpx

from alerts.clean_text import one_line
from alerts.evidence.local import series_of
from alerts.evidence.points import MOST_POINTS, Points, shown_from
from alerts.evidence.prometheus import DEADLINE_SECONDS, EvidenceError, ask, parse_answer
from alerts.matchers import Matcher
from alerts.notify.notification import Notification
from alerts.notify.page_facts import LONGEST_LABEL
from alerts.posted_identity import find_rule
from alerts.prometheus_expressions import reading
from alerts.promql import selector
from alerts.rule import TARGET_LABELS, Rule, labels_of
from alerts.worst import goes_down
from gpuwarden.units import Duration, format_duration

SHORTEST_STEP = 15.0
_AT_ONCE = 4
_log = logging.getLogger(__name__)


class PrometheusSeries:
    """Asks the Prometheus at ``url``; ``rules`` gives those in force."""

    def __init__(self, url: str, rules: Callable[[], Sequence[Rule]], deadline: float = DEADLINE_SECONDS) -> None:
        self._url = f"{url.rstrip('/')}/api/v1"
        self._rules = rules
        self._deadline = deadline

    async def points_of(self, notifications: Sequence[Notification]) -> Mapping[str, Points]:
        """The readings of each, by the notification's id; never raises for what Prometheus does."""
        found: dict[str, Points] = {}
        turns, rules = asyncio.Semaphore(_AT_ONCE), self._rules()

        async def look_up(client: httpx.AsyncClient, notification: Notification) -> None:
            rule = find_rule(rules, notification.alertname, dict(notification.labels))
            if rule is None or rule.expr or rule.comparison == "absent" or not notification.metric:
                return
            try:
                async with turns:
                    found[notification.id] = await self._points(client, rule, notification)
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, EvidenceError) as failure:
                _log.debug("no readings of %s: %s", notification.alertname, failure)

        try:
            async with (
                asyncio.timeout(self._deadline),
                httpx.AsyncClient(timeout=None, trust_env=False) as client,  # noqa: S113 -- the deadline is for all
            ):
                await asyncio.gather(*(look_up(client, item) for item in notifications))
        except TimeoutError:
            _log.debug("not all readings came within %g s", self._deadline)
        return found

    async def _points(self, client: httpx.AsyncClient, rule: Rule, notification: Notification) -> Points:
        start, end, step = shown_from(notification), notification.at, step_of(notification)
        form = {"query": range_query(rule, notification, step), "start": f"{start:.3f}", "end": f"{end:.3f}"}
        body = await ask(client, f"{self._url}/query_range", {**form, "step": f"{step:g}"})
        points = parse_matrix(body, notification, step)
        if notification.started_at >= start or not rule.compares_last_value:
            return points
        query = range_query(rule, notification, math.ceil(end - notification.started_at))
        body = await ask(client, f"{self._url}/query", {"query": query, "time": f"{end:.3f}"})
        found = [sample.value for samples in parse_answer(body).values() for sample in samples]
        return replace(points, worst_before=found[0] if len(found) == 1 and math.isfinite(found[0]) else None)


def step_of(notification: Notification) -> float:
    """Whole seconds between two points."""
    return max(SHORTEST_STEP, float(math.ceil((notification.at - shown_from(notification)) / (MOST_POINTS - 1))))


def range_query(rule: Rule, notification: Notification, step: float) -> str:
    """What the rule compares of the alert's series, each point the worst of its step where that can be asked for."""
    where = _whose(rule, notification)
    if not rule.compares_last_value:
        return reading(rule, where)
    function = "min" if goes_down(rule.comparison, rule.threshold) else "max"
    return f"{function}_over_time({selector(rule.metric, where)}[{format_duration(Duration(step))}])"


def _whose(rule: Rule, notification: Notification) -> tuple[Matcher, ...]:
    """Of a foreign metric only the target is sure: an alert may have labels that its series has not."""
    known = labels_of(rule.metric) or TARGET_LABELS
    return tuple(Matcher(name, "=", text) for name, text in series_of(rule, notification) if name in known)


def parse_matrix(body: bytes, notification: Notification, step: float) -> Points:
    """The points of the alert's series; none where several could be it.

    Raises:
        EvidenceError: it is not an answer to a range query.
    """
    own = set(notification.labels)
    try:
        data: Any = json.loads(body)
        series = [
            found["values"]
            for found in cast("list[Any]", data["data"]["result"])
            if {(str(name), one_line(str(text), LONGEST_LABEL)) for name, text in found["metric"].items()}
            <= own | {("__name__", notification.metric)}
        ]
        if len(series) != 1:
            return Points(step=step)
        pairs = [(float(time), float(value)) for time, value in series[0]]
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        message = f"answered with something that is not a matrix: {type(error).__name__}"
        raise EvidenceError(message) from error
    pairs = sorted((time, value) for time, value in pairs if math.isfinite(time) and math.isfinite(value))
    return Points(tuple(time for time, _ in pairs), tuple(value for _, value in pairs), step)
