"""What the alerter's own sheets say of a period: peaks, means, energy, latencies. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from alerts.report.facts import CardFacts, ModelFacts, Readings
from alerts.report.schedule import Period
from alerts.report.tally import MOST_CARDS, MOST_MODELS, CardKey, CardTally, Sheet, merged
from alerts.windows import bucket_quantile
from gpuwarden.units import format_timestamp, format_value

_LATE_SECONDS = 900.0
"""Less than that at either end of a period, or within it, is not worth a word."""
_NOTHING = "No readings of the cards were written down in this time; a running alerter does so every minute."


def readings_of(sheets: Sequence[Sheet], period: Period) -> Readings:
    """The sheets of the hours within ``period``, added up, and what is not in them."""
    found = merged(sheets)
    if found is None:
        return Readings(missing=(_NOTHING,))
    cards = (
        _card(key, card, found.hosts)
        for key, card in sorted(found.cards.items())
        if card.peaks or card.seen or card.joules
    )
    models = (model_facts(model, what, buckets) for (model, what), buckets in sorted(found.models.items()))
    return Readings(
        cards=tuple(cards),
        models=tuple(model for model in models if model),
        since=found.since,
        until=found.until,
        simulated=found.simulated,
        missing=tuple(_missing(found, period)),
    )


def model_facts(model: str, what: str, buckets: Mapping[float, float]) -> ModelFacts | None:
    """The latencies in the counts of a histogram, by upper bound; None where nobody asked."""
    heights = sorted(buckets.items())
    count = heights[-1][1] if heights else 0.0
    if not count > 0:
        return None
    p50, p90 = (quantile if (quantile := bucket_quantile(share, heights)) >= 0 else None for share in (0.5, 0.9))
    return ModelFacts(model=model, what=what, count=count, p50=p50, p90=p90)


def _card(key: CardKey, card: CardTally, hosts: Mapping[str, str]) -> CardFacts:
    instance, gpu, uuid = key
    return CardFacts(
        host=hosts.get(instance) or instance,
        gpu=gpu,
        uuid=uuid,
        name=card.name,
        memory_ratio=card.peaks.get("memory_ratio"),
        celsius=card.peaks.get("celsius"),
        watts=card.peaks.get("watts"),
        utilization=card.busy / card.seen if card.seen else None,
        joules=card.joules,
    )


def _missing(found: Sheet, period: Period) -> Iterator[str]:
    if found.since - period.begin > _LATE_SECONDS:
        yield f"There are no readings before {format_timestamp(found.since)}."
    if period.end - found.until > _LATE_SECONDS:
        yield f"There are no readings after {format_timestamp(found.until)}."
    gap = found.until - found.since - found.watched
    if gap > _LATE_SECONDS:
        yield f"For {format_value(gap, 'seconds')} in between nobody read."
    if found.is_full:
        yield f"More than {MOST_CARDS} cards or {MOST_MODELS} models: some are left out."
