"""Other exporters' names for the same readings, by what the setting ``exporter.dialects`` calls them."""

from collections.abc import Callable, Iterable

from exporter.dialects import dcgm
from exporter.families import Family
from exporter.snapshot import Snapshot

DIALECTS: dict[str, Callable[[Snapshot], Iterable[Family]]] = {"dcgm-4.8": dcgm.families}
