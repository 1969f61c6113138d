"""The form of a card's row. Every one carries ``gpu`` (the index) and ``uuid``; NVML's names are without "nvml"."""

from gpuwarden.catalog.row import Kind, Metric
from gpuwarden.units import Unit


def of_card(
    name: str, unit: Unit, text: str, *labels: str, by: str = "", cards: str = "all", kind: Kind = "gauge"
) -> Metric:
    """A row ``gpu_NAME``; ``by`` is what it is read from, ``cards`` who supplies it."""
    return Metric(f"gpu_{name}", kind, unit, ("gpu", "uuid", *labels), text, read_from=by, cards=cards)


def total_of_card(name: str, unit: Unit, text: str, *labels: str, by: str = "", cards: str = "all") -> Metric:
    """A row that only grows while the driver stays loaded."""
    return of_card(name, unit, text, *labels, by=by, cards=cards, kind="counter")
