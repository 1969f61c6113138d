"""What Prometheus knows of the targets of some alerts, by its HTTP API, put into their notifications.

One instant query for each target brings host name, simulation, memory holders and the values of the alerts' own
metrics. A target that does not answer any more has none of these; who it is, it said before, so a second query looks
back for that. All of it together has one short deadline: what has not come by then is left out, and the mail goes
without it.
"""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import httpx

from alerts.bounded_answer import body_of
from alerts.notify.evidence import with_evidence
from alerts.notify.notification import Notification
from alerts.notify.page_facts import EVIDENCE_METRICS, IDENTITY_METRICS
from alerts.posted_identity import find_rule
from alerts.promql import quote
from alerts.rule import Rule
from alerts.scrape import without_userinfo
from alerts.series import Sample, Scrape, label_set
from gpuwarden.errors import GpuwardenError

DEADLINE_SECONDS = 3.0
"""For all queries of one batch of notifications together."""
MOST_BYTES = 8 * 2**20
REMEMBERED = "1h"
"""How far back a target's name is looked for: longer than most rules wait before they call it down."""

_AT_ONCE = 4
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}
_log = logging.getLogger(__name__)

Target = tuple[str, str]
"""job and instance"""


class EvidenceError(GpuwardenError, OSError):
    """Prometheus did not answer as it should; the message is one line for a person."""


class PrometheusEvidence:
    """Asks the Prometheus at ``url``; ``rules`` gives those in force."""

    def __init__(self, url: str, rules: Callable[[], Sequence[Rule]], deadline: float = DEADLINE_SECONDS) -> None:
        self._url = f"{url.rstrip('/')}/api/v1/query"
        self._named = without_userinfo(url)
        self._rules = rules
        self._deadline = deadline
        self._trouble = ""

    async def enrich(self, notifications: Sequence[Notification]) -> list[Notification]:
        """The same notifications with what could be learned in time; never raises for what Prometheus does."""
        wanted: dict[Target, set[str]] = defaultdict(set)
        for notification in notifications:
            if target := _target(notification):
                wanted[target] |= EVIDENCE_METRICS | {notification.metric} - {""}
        scrapes = await self._look_up(wanted)
        rules = self._rules()
        return [_enriched(notification, scrapes, rules) for notification in notifications]

    async def _look_up(self, wanted: Mapping[Target, set[str]]) -> dict[Target, Scrape]:
        found: dict[Target, Scrape] = {}
        troubles: list[str] = []
        turns = asyncio.Semaphore(_AT_ONCE)

        async def look_up(client: httpx.AsyncClient, target: Target, names: set[str]) -> None:
            try:
                async with turns:
                    found[target] = self._scrape(target, await self._ask(client, query_of(target, names)))
                    if not IDENTITY_METRICS & found[target].samples.keys():
                        past = await self._ask(client, past_query_of(target, IDENTITY_METRICS))
                        found[target] = self._scrape(target, {**past, **found[target].samples})
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, EvidenceError) as failure:
                troubles.append(" ".join(str(failure).split())[:200] or type(failure).__name__)

        try:
            async with (
                asyncio.timeout(self._deadline),
                httpx.AsyncClient(timeout=None, trust_env=False) as client,  # noqa: S113 -- the deadline is for all
            ):
                await asyncio.gather(*(look_up(client, target, names) for target, names in wanted.items()))
        except TimeoutError:
            troubles.append(f"no complete answer within {self._deadline:g} s")
        self._note(troubles[0] if troubles else "")
        return found

    def _scrape(self, target: Target, samples: Mapping[str, tuple[Sample, ...]]) -> Scrape:
        return Scrape(self._named, *target, at=0.0, samples=MappingProxyType(dict(samples)))

    async def _ask(self, client: httpx.AsyncClient, query: str) -> Mapping[str, tuple[Sample, ...]]:
        return parse_answer(await ask(client, self._url, {"query": query}))

    def _note(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            _log.warning("no evidence from Prometheus at %s: %s", self._named, trouble)
        elif self._trouble and not trouble:
            _log.info("evidence from Prometheus at %s comes again", self._named)
        self._trouble = trouble


async def ask(client: httpx.AsyncClient, url: str, form: Mapping[str, str]) -> bytes:
    """The body of the answer to one query.

    Raises:
        EvidenceError: it is not one that could be used; httpx's own errors come as they are.
    """
    async with client.stream("POST", url, data=form, headers=_HEADERS) as response:
        return await body_of(response, MOST_BYTES, EvidenceError)


def query_of(target: Target, names: Iterable[str]) -> str:
    """A selector of all series of these names at the target; its texts may come from anywhere."""
    job, instance = target
    matchers = [f"__name__=~{quote('|'.join(sorted(names)))}", f"instance={quote(instance)}"]
    return f"{{{', '.join([*matchers, *([f'job={quote(job)}'] if job else [])])}}}"


def past_query_of(target: Target, names: Iterable[str]) -> str:
    """The last value within ``REMEMBERED`` of all series of these names that the target had."""
    return f"last_over_time({query_of(target, names)}[{REMEMBERED}])"


def parse_answer(body: bytes) -> Mapping[str, tuple[Sample, ...]]:
    """Read the answer to an instant query into samples by metric name.

    Raises:
        EvidenceError: it is not an instant vector.
    """
    samples: dict[str, list[Sample]] = defaultdict(list)
    try:
        data: Any = json.loads(body)
        for series in cast("list[Any]", data["data"]["result"]):
            labels = {str(name): str(value) for name, value in series["metric"].items()}
            name = labels.pop("__name__", "")
            samples[name].append(Sample(label_set(labels), float(series["value"][1])))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        message = f"answered with something that is not an instant vector: {type(error).__name__}"
        raise EvidenceError(message) from error
    return MappingProxyType({name: tuple(found) for name, found in samples.items()})


def _enriched(notification: Notification, scrapes: Mapping[Target, Scrape], rules: Sequence[Rule]) -> Notification:
    target = _target(notification)
    scrape = scrapes.get(target) if target else None
    if scrape is None:
        return notification
    rule = find_rule(rules, notification.alertname, dict(notification.labels)) if notification.metric else None
    return with_evidence(notification, scrape, rule)


def _target(notification: Notification) -> Target | None:
    labels = dict(notification.labels)
    instance = labels.get("instance", "")
    return (labels.get("job", ""), instance) if instance else None
