"""The form of a row of the vocabulary."""

from dataclasses import dataclass
from typing import Literal

from gpuwarden.units import Unit

Kind = Literal["gauge", "counter", "histogram", "info"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the vocabulary; ``buckets`` are upper bounds in the metric's unit, without infinity.

    ``read_from`` says which call or file a reading comes from and ``cards`` who supplies it, both for the reader of the
    reference page; empty where the row is ours alone.
    """

    name: str
    kind: Kind
    unit: Unit
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()
    read_from: str = ""
    cards: str = ""
