"""One card as markup."""

from exporter.status.markup import Html, join, tag
from exporter.status.model import Card, Holder
from exporter.status.parts import bar, dotted, facts, foreign, note, notes, opened


def card(item: Card, number: int, *, is_open: bool = False) -> Html:
    """The card; ``number`` is its place on the page, which makes its ids unique whatever its index says.

    ``is_open`` shows who holds the memory without a click.
    """
    identity = f"card-{number}"
    return tag(
        "article",
        tag(
            "h3",
            tag("span", "GPU ", foreign(item.index), class_="index"),
            " ",
            tag("span", foreign(item.name), class_="name") if item.name else None,
            id=f"{identity}-name",
        ),
        *(note(alert) for alert in item.alerts),
        *(_lost(item) if item.lost else _readings(item, identity, is_open=is_open)),
        class_=f"card {item.level}".rstrip(),
        aria_labelledby=f"{identity}-name",
        id=identity,
    )


def _lost(item: Card) -> list[Html]:
    return [
        tag("p", "LOST", class_="lost"),
        tag("p", "This card does not answer: ", foreign(item.lost), "."),
        tag("p", "Taken out for good? ", tag("code", "gpuwarden exporter forget ", item.uuid), class_="notes"),
    ]


def _readings(item: Card, identity: str, *, is_open: bool) -> list[Html | None]:
    return [
        tag("div", *(bar(reading) for reading in item.bars), class_="readings"),
        notes(item.notes),
        _group("Budgets of workloads", [bar(budget, small=True) for budget in item.budgets]),
        _group("MIG devices", [bar(instance, small=True) for instance in item.instances]),
        _holding(item, identity, is_open=is_open),
        opened(f"{identity}-facts", tag("span", "Clocks and identity"), facts(item.facts)) if item.facts else None,
    ]


def _group(title: str, made: list[Html]) -> Html | None:
    return tag("section", tag("h4", title), *made, class_="group") if made else None


def _holding(item: Card, identity: str, *, is_open: bool) -> Html | None:
    if item.holding is None:
        return None
    if not item.holders:
        return tag("p", item.holding.title, class_="notes")
    brief = tag("span", ": ", foreign(item.holding.brief), class_="brief")
    title = tag("span", tag("b", item.holding.title), brief)
    listed = tag("ul", *(_holder(holder) for holder in item.holders), class_="holders")
    return opened(f"{identity}-holders", title, listed, is_open=is_open)


def _holder(item: Holder) -> Html:
    details = dotted(join([f"{what} " if what else None, foreign(which)]) for what, which in item.details)
    return tag(
        "li",
        tag("span", foreign(item.name), class_="who"),
        tag("span", item.held, class_="held"),
        tag("span", details, class_="details") if details else None,
    )
