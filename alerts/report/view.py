"""What a report says, as plain strings in the order of reading: is it well, the cards, alerts, models, mails. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from alerts.clean_text import one_line
from alerts.digest_view import SIMULATED
from alerts.mail_subject import SUBJECT_LIMIT
from alerts.report.facts import AlertFacts, CardFacts, ModelFacts, OutboxFacts, ReportFacts
from gpuwarden.units import format_timestamp, format_value

_MOST_CARDS, _MOST_RULES, _MOST_MODELS = 200, 50, 50
_LABEL_LIMIT = 200
_COLOUR = "#175cd3"

Row = tuple[str, str]
"""What it is about, and what is said of it; either may be empty."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a kilowatt-hour costs; None where nobody said."""

    price_per_kwh: float | None = None
    currency: str = "EUR"


@dataclass(frozen=True, slots=True)
class Section:
    """A title and what stands below it."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportView:
    """``simulated`` is the warning over it, empty where the readings are real."""

    subject: str
    badge: str
    colour: str
    title: str
    lead: str
    simulated: str
    sections: tuple[Section, ...]
    footer: str = "gpuwarden: a report comes also when nothing happened, so that its absence is news"


def report_view(facts: ReportFacts, tariff: Tariff, *, alive: bool = True) -> ReportView:
    """The strings of the report on ``facts``; ``alive`` where the alerter itself makes it, which is news."""
    simulated = facts.readings.simulated or facts.alerts.simulated
    begin, end = format_timestamp(facts.period.begin), format_timestamp(facts.period.end)
    return ReportView(
        subject=_subject(facts, tariff, simulated=simulated),
        badge="REPORT",
        colour=_COLOUR,
        title=f"From {begin} to {end}",
        lead=_lead(facts, alive=alive),
        simulated=SIMULATED if simulated else "",
        sections=tuple(section for section in _sections(facts, tariff) if section.rows),
    )


def _subject(facts: ReportFacts, tariff: Tariff, *, simulated: bool) -> str:
    mark = "[SIMULATED] [REPORT]" if simulated else "[REPORT]"
    parts = [_alerts_in_words(facts.alerts)]
    parts += [f"{_number(facts.outbox.dead, 'mail')} given up"] if facts.outbox.dead else []
    subject = f"{mark} {', '.join(parts)}"
    for words in _energy(facts.readings.cards, tariff):
        for shorter in (words, words.partition(" (")[0]):
            if len(f"{subject}, {shorter}") <= SUBJECT_LIMIT:
                return f"{subject}, {shorter}"
    return one_line(subject, SUBJECT_LIMIT)


def _alerts_in_words(alerts: AlertFacts) -> str:
    told = _number(alerts.count, "alert") if alerts.count else "no alerts"
    return f"{told}, {len(alerts.firing)} still firing" if alerts.firing else told


def _energy(cards: Sequence[CardFacts], tariff: Tariff) -> Iterator[str]:
    known = [card.joules for card in cards if card.joules is not None]
    if known:
        yield _priced(sum(known), tariff)


def _priced(joules: float, tariff: Tariff) -> str:
    energy = format_value(joules, "joules")
    if tariff.price_per_kwh is None:
        return energy
    return f"{energy} ({joules / 3_600_000 * tariff.price_per_kwh:.2f} {one_line(tariff.currency, 12)})"


def _lead(facts: ReportFacts, *, alive: bool) -> str:
    cards, hosts = len(facts.readings.cards), len({card.host for card in facts.readings.cards})
    watched = f"watched {_number(cards, 'card')} on {_number(hosts, 'host')}" if cards else "has no reading of any card"
    happened = "Nothing happened that was worth a mail." if not facts.alerts.count else ""
    return f"gpuwarden {'is alive and ' if alive else ''}{watched}. {happened}".strip()


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _sections(facts: ReportFacts, tariff: Tariff) -> Iterator[Section]:
    readings = facts.readings
    yield Section("Not in this report", tuple(("", one_line(words, 2 * _LABEL_LIMIT)) for words in readings.missing))
    by_host: dict[str, list[CardFacts]] = defaultdict(list)
    for card in readings.cards[:_MOST_CARDS]:
        by_host[card.host].append(card)
    for host, cards in by_host.items():
        rows = tuple((_named(card), ", ".join(_card(card, tariff))) for card in cards)
        yield Section(f"Cards of {one_line(host, _LABEL_LIMIT)}", rows)
    yield Section("All cards", tuple(_all_cards(readings.cards, tariff)))
    yield Section("Alerts", tuple(_alerts(facts.alerts)))
    yield Section("How fast models answered", tuple(_models(readings.models)))
    yield Section("Mails", tuple(_mails(facts.outbox)))


def _named(card: CardFacts) -> str:
    name = f" ({one_line(card.name, _LABEL_LIMIT)})" if card.name else ""
    return f"GPU {one_line(card.gpu or card.uuid, _LABEL_LIMIT)}{name}"


def _card(card: CardFacts, tariff: Tariff) -> Iterator[str]:
    if card.memory_ratio is not None:
        yield f"memory up to {format_value(card.memory_ratio, 'ratio')}"
    if card.celsius is not None:
        yield f"temperature up to {format_value(card.celsius, 'celsius')}"
    if card.watts is not None:
        yield f"power up to {format_value(card.watts, 'watts')}"
    if card.utilization is not None:
        yield f"busy {format_value(card.utilization, 'ratio')} of the time"
    yield from _energy((card,), tariff)


def _all_cards(cards: Sequence[CardFacts], tariff: Tariff) -> Iterator[Row]:
    if len(cards) > 1:
        yield from (("Energy", words) for words in _energy(cards, tariff))
    if len(cards) > _MOST_CARDS:
        yield "", f"{len(cards) - _MOST_CARDS} more cards are counted in, but not listed."


def _alerts(alerts: AlertFacts) -> Iterator[Row]:
    yield "Told", _number(alerts.count, "alert") if alerts.count else "none"
    if alerts.longest:
        seconds, what = alerts.longest
        yield "Longest that ended", f"{format_value(seconds, 'seconds')}, {one_line(what, _LABEL_LIMIT)}"
    for rule, count in list(alerts.by_rule.items())[:_MOST_RULES]:
        yield f"{count} times" if count > 1 else "Once", one_line(rule, _LABEL_LIMIT)
    for words in alerts.firing:
        yield "Still firing", one_line(words, _LABEL_LIMIT)


def _models(models: Iterable[ModelFacts]) -> Iterator[Row]:
    for model in list(models)[:_MOST_MODELS]:
        times = [("half within", model.p50), ("nine of ten within", model.p90)]
        known = [f"{words} {format_value(seconds, 'seconds')}" for words, seconds in times if seconds is not None]
        answers = f"{model.count:,.0f} answers"
        name = f"{model.model} ({model.what})" if model.what else model.model
        yield one_line(name, _LABEL_LIMIT), ", ".join((*known, answers))


def _mails(outbox: OutboxFacts) -> Iterator[Row]:
    yield "Sent", str(outbox.sent)
    if outbox.waiting:
        yield "Waiting now", str(outbox.waiting)
    if outbox.dead:
        yield "Given up", f"{outbox.dead}: nobody has them, see the log"
