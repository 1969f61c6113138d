"""How often and when people are told: the ``alerter.notify`` part of the settings, with its own check."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from alerts.digest_settings import DigestSettings
from alerts.notify.notification import Severity
from alerts.quiet_settings import QuietSettings
from gpuwarden.units import Duration

SHORTEST_REPEAT = 60.0
FEWEST_FLAPS = 2

_FOUR_HOURS = Duration(4 * 3600.0)
_A_DAY = Duration(86_400.0)
_NEVER = Duration(0.0)
_AN_HOUR = Duration(3600.0)
_TEN_MINUTES = Duration(600.0)


def repeat_problem(repeat: Duration) -> tuple[str, str] | None:
    """What is wrong with the time after which people are told again, and what to write instead."""
    if 0 < repeat < SHORTEST_REPEAT:
        return "is so short that the mails would bury what they are about", "1m or more; 0 is never"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatSettings:
    """What a user can set under ``alerter.notify.repeat``: by severity, when an alert that goes on is told again."""

    critical: Duration = _FOUR_HOURS
    """After how long a critical alert that goes on is told again; `0` is never."""
    warning: Duration = _A_DAY
    """The same of a warning."""
    info: Duration = _NEVER
    """The same of an alert that only informs."""

    @property
    def by_severity(self) -> Mapping[Severity, Duration]:
        """All three."""
        return {"critical": self.critical, "warning": self.warning, "info": self.info}

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        for key, repeat in self.by_severity.items():
            if found := repeat_problem(repeat):
                yield key, *found


@dataclass(frozen=True, slots=True, kw_only=True)
class FlappingSettings:
    """What a user can set under ``alerter.notify.flapping``: when an alert comes and goes too often to tell each."""

    count: int = 4
    """An alert that fires so often flaps: from then on only a state that lasts is told; `0` never."""
    within: Duration = _AN_HOUR
    """In how long it must fire so often."""
    delay: Duration = _TEN_MINUTES
    """How long a flapping alert must fire, or be over, to be told; each further change doubles that."""
    longest: Duration = _AN_HOUR
    """The most that it comes to by doubling."""

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        if self.count and self.count < FEWEST_FLAPS:
            yield "count", "must be 2 or more, or 0 for never", "4"
        for key, span in (("within", self.within), ("delay", self.delay)):
            if span <= 0:
                yield key, "must be more than nothing", "10m"
        if self.longest < self.delay:
            yield "longest", "is shorter than delay, from which it grows", "1h"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifySettings:
    """What a user can set under ``alerter.notify``."""

    repeat: RepeatSettings = field(default_factory=RepeatSettings)
    flapping: FlappingSettings = field(default_factory=FlappingSettings)
    quiet_hours: QuietSettings = field(default_factory=QuietSettings)
    digest: DigestSettings = field(default_factory=DigestSettings)
