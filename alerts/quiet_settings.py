"""The ``alerter.notify.quiet_hours`` part of the settings, with its own check."""

from collections.abc import Iterator
from dataclasses import dataclass

from alerts.notify.notification import Severity
from alerts.notify.quiet import QuietHours
from alerts.wall_clock import DAYS, Day, zone_of
from gpuwarden.units import TimeOfDay


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietSettings:
    """What a user can set under ``alerter.notify.quiet_hours``; off unless both times are given."""

    from_: TimeOfDay | None = None
    """When they begin, `"22:00"`; mails wait until they end and come together then."""
    to: TimeOfDay | None = None
    """When they end, `"07:00"`; over midnight where it is the earlier one, a whole day where it is the same."""
    days: tuple[Day, ...] = DAYS
    """Days on which they begin."""
    time_zone: str | None = None
    """Their time zone, as `Europe/Berlin`; the machine's own where none is given."""
    let_through: tuple[Severity, ...] = ("critical",)
    """Severities that are told at any hour."""

    @property
    def hours(self) -> QuietHours | None:
        """The quiet hours in force, None without."""
        if self.from_ is None or self.to is None:
            return None
        zone = zone_of(self.time_zone)
        return QuietHours(self.from_, self.to, frozenset(self.days), zone, frozenset(self.let_through))

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        if self.from_ is None and self.to is not None:
            yield "from", "is missing beside to", 'write "22:00"'
        if self.to is None and self.from_ is not None:
            yield "to", "is missing beside from", 'write "07:00"'
        if not self.days:
            yield "days", "names no day", "leave it out for every day"
        if self.from_ and self.from_ == self.to and {*DAYS} <= {*self.days}:
            yield "to", "they would never end", "from and to that differ, or fewer days"
        try:
            zone_of(self.time_zone)
        except ValueError as error:
            yield "time_zone", str(error), "Europe/Berlin"
