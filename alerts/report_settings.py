"""The ``alerter.report`` part of the settings, with its own check."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from alerts.channels import COMMAND_PREFIX
from alerts.mail_settings import split_address
from alerts.report.schedule import Schedule
from alerts.report.view import Tariff
from alerts.wall_clock import Day, zone_of
from gpuwarden.units import TimeOfDay

_EIGHT = TimeOfDay("08:00")
_MONDAY: Day = "mon"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """What a user can set under ``alerter.report``; off unless ``every`` is given."""

    every: Literal["day", "week"] | None = None
    """`day` or `week`: how often a report comes, also when nothing happened; without it, none."""
    at: TimeOfDay = _EIGHT
    """When it comes, `"08:00"`."""
    on: Day = _MONDAY
    """The day of a weekly report."""
    time_zone: str | None = None
    """The time zone of `at`, as `Europe/Berlin`; the machine's own where none is given."""
    to: tuple[str, ...] = ()
    """Who gets it, addresses and `command:NAME`; without any, those who are told of alerts that no route takes."""
    price_per_kwh: float | None = None
    """What a kilowatt-hour costs; without it, energy is told without a price."""
    currency: str = "EUR"
    """In which money."""

    @property
    def schedule(self) -> Schedule | None:
        """When reports come, None for never."""
        return Schedule(self.every, self.at, self.on, zone_of(self.time_zone)) if self.every else None

    @property
    def tariff(self) -> Tariff:
        """What a kilowatt-hour costs."""
        return Tariff(self.price_per_kwh, self.currency)

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        for recipient in self.to:
            if split_address(recipient) is None and not recipient.startswith(COMMAND_PREFIX):
                yield "to", f"{recipient!r} is not a mail address", "me@example.com or Name <me@example.com>"
        if self.price_per_kwh is not None and not (math.isfinite(self.price_per_kwh) and self.price_per_kwh >= 0):
            yield "price_per_kwh", "is not a price", "0.30"
        try:
            zone_of(self.time_zone)
        except ValueError as error:
            yield "time_zone", str(error), "Europe/Berlin"
