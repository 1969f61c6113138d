"""The ``alerter.notify.digest`` part of the settings, with its own check."""

from collections.abc import Iterator
from dataclasses import dataclass

from alerts.notify.digest import Pace
from gpuwarden.units import Duration

_FIVE_MINUTES = Duration(300.0)
_THIRTY_SECONDS = Duration(30.0)
_LONGEST_WAIT = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestSettings:
    """What a user can set under ``alerter.notify.digest``."""

    above: int = 5
    """Mails to the same people within `within` before they are gathered into one that names each; 0 is never."""
    within: Duration = _FIVE_MINUTES
    """The time in which mails are counted."""
    wait: Duration = _THIRTY_SECONDS
    """While they are gathered, one mail at most in this time."""

    @property
    def pace(self) -> Pace:
        """The same for ``notify.digest``."""
        return Pace(self.above, self.within, self.wait)

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        if self.above < 0:
            yield "above", "is less than nothing", "0 for never"
        if self.within <= 0:
            yield "within", "no mail comes within no time", "5m"
        if not 0 <= self.wait <= min(self.within, _LONGEST_WAIT):
            yield "wait", "must be from 0 to 10m, and not longer than within", "30s"
