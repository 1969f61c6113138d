"""Has the driver gone, or only one card? Decided from what the cards' readings came to.

A driver that was unloaded fails every card. One card alone may give the same answers ("GPU not found"), and starting
the driver anew for it would interrupt the others each time.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """One card's record in monotonic seconds: when its last good reading began, when it last said "no driver"."""

    attached: bool
    succeeded_at: float | None = None
    driver_failed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """``restart`` the driver; ``only_lost`` are positions of cards that have gone from a driver that is well."""

    restart: bool = False
    only_lost: frozenset[int] = frozenset()


def verdict(now: float, cards: Sequence[Standing], patience: float) -> Verdict:
    """Judge at ``now``; while other cards have yet to speak, at most ``patience`` seconds, nothing is decided."""
    suspects = {number: card.driver_failed_at for number, card in enumerate(cards) if card.driver_failed_at is not None}
    only_lost = frozenset(number for number, since in suspects.items() if _another_is_well(number, since, cards))
    left = {number: since for number, since in suspects.items() if number not in only_lost}
    if not left:
        return Verdict(only_lost=only_lost)
    to_speak = any(card.attached and number not in suspects for number, card in enumerate(cards))
    return Verdict(restart=not to_speak or now - min(left.values()) >= patience, only_lost=only_lost)


def _another_is_well(number: int, since: float, cards: Sequence[Standing]) -> bool:
    return any(
        other != number and card.succeeded_at is not None and card.succeeded_at >= since
        for other, card in enumerate(cards)
    )
