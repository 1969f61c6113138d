"""A card fills, the exporter dies for 25 minutes, comes back, the card empties: what the two roads tell of it.

The story, in minutes of scale 1 (``pace`` says what another scale does to it):

1. The card goes from half full to 95 %. A mail says so.
2. A minute later the exporter is killed, and stays dead for 25 minutes: five times as long as Prometheus remembers a
   series, six times as long as Alertmanager keeps an alert that nobody repeats. A mail says that nothing can be read.
3. The exporter comes back and the card is as full as before. A mail says that the exporter is back, and nothing else is
   told: the card was not reported as well in between, nor is it now reported as full anew.
4. Six minutes later, longer than any false end needs to come out, the card is at 50 % again. After the rule's
   ``keep_firing_for`` a mail in the thread of the first says that it is over.
5. Three more minutes, in which nothing may come.

Each step waits for its mails on both roads before the next one begins, and goes on without them when they do not come:
the comparison then says what is missing. A mail that comes sooner than its rule's ``for`` or ``keep_firing_for`` allows
is wrong even if both roads agree.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from alerts.rules import SHIPPED, load_rules
from tests.fakes.nvml.driver import FakeDriver
from tests.fakes.nvml.gpu import Process
from tests.scenarios.pace import Pace
from tests.scenarios.roads import PROMETHEUS, RECIPIENTS, ROADS, UP, Roads
from tests.scenarios.told import Told, differences

MEMORY, TARGET = "GpuMemoryAlmostFull", "TargetDown"
STORY = [
    (MEMORY, "first", None),
    (TARGET, "first", None),
    (TARGET, "resolved", 1),
    (MEMORY, "resolved", 1),
]
"""What each person must have been told of these two, in this order: alert, reason, which mail of it is answered."""

MINUTE = 60.0
OUTAGE = 25 * MINUTE
_SLACK_SECONDS = 20.0
"""Of the clock, for a busy machine."""
_SECONDS_BETWEEN_LOOKS = 0.2
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Outcome:
    """What every person was told by every road, and what went wrong on the way."""

    mails: dict[tuple[str, str], list[Told]]
    complaints: list[str]
    tolerance: float
    logs: str
    """The last words of every process."""

    def differences(self) -> list[str]:
        """What tells the roads apart; nothing where they told everybody the same."""
        lines: list[str] = []
        for person in RECIPIENTS:
            one, other = self.mails[UP, person], self.mails[PROMETHEUS, person]
            found = differences(one, other, ROADS, self.tolerance)
            lines += [f"{person}:", *found] if found else []
        return lines

    def stories(self) -> list[list[tuple[str, str, int | None]]]:
        """What each person was told by each road, to be held against STORY."""
        return [
            [(mail.alert, mail.reason, mail.answers) for mail in mails if mail.alert in {MEMORY, TARGET}]
            for mails in self.mails.values()
        ]


def play(home: Path, driver: FakeDriver, pace: Pace, say: Callable[[str], None]) -> Outcome:
    """Play the story with the first card of ``driver``; ``home`` is an empty folder, ``say`` is told of each step."""
    roads = Roads(home, driver, pace)
    fill(driver, 0.5)
    with roads:
        return _played(roads, say)


def _played(roads: Roads, say: Callable[[str], None]) -> Outcome:
    story = _Story(roads, say)
    for number, step in enumerate((story.fill, story.die, story.come_back, story.empty, story.linger), 1):
        say(f"{number}. {step.__name__.replace('_', ' ')}")
        step()
    mails = {(road, person): roads.told(road, person) for road in ROADS for person in RECIPIENTS}
    return Outcome(mails, story.complaints, tolerance_of(roads.pace), roads.tail())


def tolerance_of(pace: Pace) -> float:
    """Seconds by which two roads may differ in when they tell: two rounds, a group interval, a busy machine."""
    return 3 * pace.interval + pace.span(15.0) + 3.0


def fill(driver: FakeDriver, ratio: float) -> None:
    """Put a program on the card that holds so much of its memory."""
    gpu = driver.gpu(0)
    used = int(ratio * (gpu.memory_total - gpu.memory_reserved))
    gpu.set_processes([Process(pid=4_100_000, memory=used - used % _GIB, name=b"/usr/bin/train_gpt")])
    gpu.memory_used = used


class _Story:
    def __init__(self, roads: Roads, say: Callable[[str], None]) -> None:
        self.roads, self.pace, self.say = roads, roads.pace, say
        self.rules = {rule.alert: rule for rule in load_rules(SHIPPED, [roads.rules])}
        self.complaints: list[str] = []

    def fill(self) -> None:
        now = time.time()
        fill(self.roads.driver, 0.95)
        self._until_told(MEMORY, 1, now, self.rules[MEMORY].for_)
        self._pause(1 * MINUTE)

    def die(self) -> None:
        now = time.time()
        lasted = self.roads.kill_exporter_for(self.pace.span(OUTAGE))
        self.say(f"   dead for {lasted:.0f} s")
        self._until_told(TARGET, 1, now, self.rules[TARGET].for_)
        if self.roads.reached(lasted - 2 * self.pace.interval):
            self._complain("the exporter answered during its outage")

    def come_back(self) -> None:
        self._until_told(TARGET, 2, time.time(), self.rules[TARGET].keep_firing_for)
        self._pause(6 * MINUTE)

    def empty(self) -> None:
        now = time.time()
        fill(self.roads.driver, 0.5)
        self._until_told(MEMORY, 2, now, self.rules[MEMORY].keep_firing_for)

    def linger(self) -> None:
        self._pause(3 * MINUTE)

    def _until_told(self, alert: str, number: int, since: float, due: float) -> None:
        """Wait until everybody has this mail of an alert by each road; it may not come sooner than it is due."""
        deadline = time.monotonic() + due + tolerance_of(self.pace) + _SLACK_SECONDS
        while any(mail is None for mail in self._mails(alert, number).values()):
            if time.monotonic() > deadline:
                self._complain(f"not everybody has got mail {number} of {alert} by each road")
                break
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        for (road, person), mail in self._mails(alert, number).items():
            after = mail.came + self.roads.start - since if mail else due
            if after < due - self.pace.interval:
                self._complain(
                    f"{person} got mail {number} of {alert} by {road} after {after:.1f} s, due at {due:.1f} s"
                )

    def _mails(self, alert: str, number: int) -> dict[tuple[str, str], Told | None]:
        found = {(road, person): self.roads.told(road, person) for road in ROADS for person in RECIPIENTS}
        return {
            way: next((mail for mail in mails if (mail.alert, mail.number) == (alert, number)), None)
            for way, mails in found.items()
        }

    def _pause(self, seconds: float) -> None:
        """Let so much of the story pass, in which what must not happen may show."""
        time.sleep(self.pace.span(seconds))

    def _complain(self, complaint: str) -> None:
        self.complaints.append(complaint)
        self.say(f"   ! {complaint}")
