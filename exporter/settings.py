"""The exporter's section of the settings."""

from collections.abc import Iterator
from dataclasses import dataclass

from gpuwarden.listener import parse_address
from gpuwarden.units import Duration

SHORTEST_INTERVAL, LONGEST_INTERVAL = 0.1, 60.0


@dataclass(frozen=True, slots=True)
class ExporterSettings:
    """What a user can set under ``exporter:``."""

    listen: str = "127.0.0.1:9400"
    """HOST:PORT of the page."""
    interval: Duration = Duration(1.0)  # noqa: RUF009 -- a number, not a call with state
    """How often each source is read."""
    demo: bool = False
    """Simulated cards instead of real ones."""
    scenario: str | None = None
    """What the demo plays, a YAML file; the shipped one if not given."""

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        try:
            parse_address(self.listen)
        except ValueError as error:
            yield "listen", str(error), ""
        if not SHORTEST_INTERVAL <= self.interval <= LONGEST_INTERVAL:
            yield "interval", "must be from 100ms to 1m", ""
