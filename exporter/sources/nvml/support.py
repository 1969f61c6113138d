"""What one card has turned out to support, so that a call it cannot answer is made once and not every second.

A field is a list of ways to read it, best first. A way that the card settles with "not supported" or "no such
function" gives place to the next; when none is left the field is not asked for again until the driver has been
restarted. Any other failure leaves the field absent now; it is logged once and asked for again. A way that has once
worked is kept through such failures: another way may count differently, and a value must not jump for that.

All of this is logged after a reading that gave something. A card that answers no question is one piece of news, which
its worker tells; a line for each question would come anew with every handle under which it is found again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from exporter.sources.nvml.device import Device
from exporter.sources.nvml.errors import NotAvailableError

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Value(NamedTuple):
    """One reading of one attribute of ``Gpu``; ``label`` is the mapping's key, empty for a plain attribute."""

    attribute: str
    value: float | None
    label: str = ""


Way = Callable[[Device], tuple[Value, ...]]


@dataclass(frozen=True, slots=True)
class Field:
    """``ways`` to read one thing, best first; ``also_next_on`` are codes that move on although they are not settled.

    ``fixed`` fields hardly ever change and are read once a minute. On a settled code in ``ends_on`` the field is given
    up without trying the other ways.
    """

    name: str
    ways: tuple[Way, ...]
    fixed: bool = False
    also_next_on: frozenset[int] = frozenset()
    ends_on: frozenset[int] = frozenset()


class Support:
    """The memory of one card between two starts of the driver; used by one thread."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._way: dict[str, int] = {}
        self._proven: set[str] = set()
        self._unsupported: set[str] = set()
        self._untold: list[str] = []
        self._failures: dict[tuple[str, int], str] = {}
        self._told: set[tuple[str, int]] = set()

    def read(self, field: Field, device: Device) -> tuple[Value, ...] | None:
        """The field's values; empty when the card cannot, None when it failed only now.

        Raises:
            NvmlError: the card or the driver has gone.
        """
        if field.name in self._unsupported:
            return ()
        way = self._way.get(field.name, 0)
        while True:
            try:
                values = field.ways[way](device)
            except NotAvailableError as error:
                if not self._moves_on(field, error):
                    return self._failed(field, error)
                if way + 1 == len(field.ways):
                    return self._failed(field, error)
                way += 1
            else:
                self._way[field.name] = way
                self._proven.add(field.name)
                return values

    def attempt(self, name: str, read: Callable[[], T]) -> T | None:
        """What ``read`` gives, None when it fails now or has turned out not to be supported; then it is not called.

        Raises:
            NvmlError: the card or the driver has gone.
        """
        if name in self._unsupported:
            return None
        try:
            return read()
        except NotAvailableError as error:
            self.settles(name, error)
            return None

    @property
    def failure(self) -> str:
        """The first failure of now since ``tell`` in words, empty when there was none."""
        return next(iter(self._failures.values()), "")

    def tell(self) -> None:
        """Log what has newly been found unsupported, in one line, and each new failure."""
        if self._untold:
            logger.info("%s: this card does not support: %s", self._source, ", ".join(self._untold))
            self._untold.clear()
        for (name, code), text in self._failures.items():
            if (name, code) not in self._told:
                self._told.add((name, code))
                logger.warning("%s: no reading of %s: %s", self._source, name, text)
        self._failures.clear()

    def _moves_on(self, field: Field, error: NotAvailableError) -> bool:
        if error.code in field.ends_on:
            return False
        return error.settled or (error.code in field.also_next_on and field.name not in self._proven)

    def settles(self, name: str, error: NotAvailableError) -> bool:
        """Remember a failure, to be told; True when it settles that this card cannot."""
        if error.settled:
            self.give_up(name)
        else:
            self._failures[name, error.code] = str(error)
        return error.settled

    def give_up(self, name: str) -> None:
        """Remember, and tell once, that this card does not support what is called so."""
        self._unsupported.add(name)
        self._untold.append(name)

    def _failed(self, field: Field, error: NotAvailableError) -> tuple[Value, ...] | None:
        return () if self.settles(field.name, error) else None
