"""What Prometheus says of a period, by its HTTP API: peaks, means, energy and latencies over all targets.

All queries together have one deadline. What has not come by then, or not as it should, is missing in the report, and it
says so.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import httpx

from alerts.clean_text import one_line
from alerts.evidence.prometheus import EvidenceError, ask, parse_answer
from alerts.notify.page_facts import LONGEST_LABEL
from alerts.report.facts import CardFacts, ModelFacts, Readings
from alerts.report.from_tallies import model_facts
from alerts.report.schedule import Period
from alerts.report.tally import ENERGY, LATENCIES, MEAN, MOST_CARDS, MOST_MODELS, PEAKS, said_of
from alerts.series import Sample
from gpuwarden.units import format_timestamp

DEADLINE_SECONDS = 20.0
_AT_ONCE = 3
_LATE_SECONDS = 900.0

Answers = Mapping[str, Sequence[Sample]]
"""By the names of ``queries``; what did not come is not in it."""


def queries(period: Period) -> Mapping[str, str]:
    """What is asked at the end of ``period``, by name."""
    window = f"[{math.ceil(period.end - period.begin)}s]"
    peaks = {
        name: " or ".join(f"max_over_time({metric}{window})" for metric in metrics) for name, metrics in PEAKS.items()
    }
    return {
        **peaks,
        "utilization": f"avg_over_time({MEAN}{window})",
        "joules": f"increase({ENERGY}{window})",
        "name": f"last_over_time(gpu_info{window})",
        "host": f"last_over_time(host_info{window})",
        "simulated": f"max_over_time(gpuwarden_exporter_simulated{window})",
        "since": f"min(min_over_time(timestamp(gpu_up){window[:-1]}:5m]))",
        **{name: f"sum by (model, source, operation, le) (increase({name}_bucket{window}))" for name in LATENCIES},
    }


async def ask_prometheus(url: str, period: Period, deadline: float = DEADLINE_SECONDS) -> Readings:
    """The readings of ``period``; never raises for what Prometheus does."""
    found: dict[str, Sequence[Sample]] = {}
    troubles: list[str] = []
    turns = asyncio.Semaphore(_AT_ONCE)

    async def look_up(client: httpx.AsyncClient, name: str, query: str) -> None:
        try:
            async with turns:
                found[name] = await _ask(client, url, query, period.end)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, EvidenceError) as failure:
            troubles.append(" ".join(str(failure).split())[:200] or type(failure).__name__)

    try:
        async with (
            asyncio.timeout(deadline),
            httpx.AsyncClient(timeout=None, trust_env=False) as client,  # noqa: S113 -- the deadline is for all
        ):
            await asyncio.gather(*(look_up(client, name, query) for name, query in queries(period).items()))
    except TimeoutError:
        troubles.append(f"no complete answer within {deadline:g} s")
    return readings_of(found, period, troubles)


async def _ask(client: httpx.AsyncClient, url: str, query: str, at: float) -> Sequence[Sample]:
    body = await ask(client, f"{url.rstrip('/')}/api/v1/query", {"query": query, "time": f"{at:.3f}"})
    return [sample for samples in parse_answer(body).values() for sample in samples]


def readings_of(answers: Answers, period: Period, troubles: Sequence[str] = ()) -> Readings:
    """The answers as a report needs them. Pure."""
    since = next((sample.value for sample in answers.get("since", ())), None)
    cards = _cards(answers)
    return Readings(
        cards=tuple(cards[:MOST_CARDS]),
        models=tuple(model for model in _models(answers) if model)[:MOST_MODELS],
        since=since,
        until=period.end,
        simulated=any(sample.value == 1 for sample in answers.get("simulated", ())),
        missing=tuple(_missing(since, cards, period, troubles)),
    )


def _missing(since: float | None, cards: Sequence[CardFacts], period: Period, troubles: Sequence[str]) -> Iterator[str]:
    if troubles:
        yield f"Prometheus did not tell all: {troubles[0]}."
    elif not cards:
        yield "Prometheus knows of no card in this time."
    if since is not None and since - period.begin > _LATE_SECONDS:
        yield f"There are no readings before {format_timestamp(since)}."
    if len(cards) > MOST_CARDS:
        yield f"More than {MOST_CARDS} cards: some are left out."


def _cards(answers: Answers) -> list[CardFacts]:
    hosts: dict[tuple[str, ...], str] = {
        (_text("job", one), _text("instance", one)): _text("hostname", one) for one in answers.get("host", ())
    }
    names = {_card_key(one): _text("name", one) for one in answers.get("name", ())}
    values: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for name in (*PEAKS, "utilization", "joules"):
        for sample in answers.get(name, ()):
            if math.isfinite(sample.value):
                values[_card_key(sample)].setdefault(name, sample.value)
    return [
        CardFacts(host=hosts.get(key[:2]) or key[1], gpu=key[2], uuid=key[3], name=names.get(key, ""), **known)
        for key, known in sorted(values.items())
    ]


def _models(answers: Answers) -> Iterator[ModelFacts | None]:
    found: dict[tuple[str, str], dict[float, float]] = defaultdict(dict)
    for name, what in LATENCIES.items():
        for sample in answers.get(name, ()):
            key = _text("model", sample), said_of(dict(sample.labels), what)
            try:
                found[key][float(_text("le", sample))] = sample.value
            except ValueError:
                continue
    return (model_facts(model, what, buckets) for (model, what), buckets in sorted(found.items()))


def _card_key(sample: Sample) -> tuple[str, ...]:
    return tuple(_text(name, sample) for name in ("job", "instance", "gpu", "uuid"))


def _text(name: str, sample: Sample) -> str:
    """A label of a sample, made harmless."""
    return one_line(dict(sample.labels).get(name, ""), LONGEST_LABEL)
