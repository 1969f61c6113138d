"""The same story through `gpuwarden up` and through Prometheus and Alertmanager: both roads' mails, side by side.

``python -m tests.perf.same_mails [--scale 1]``. At scale 1 everything is as people run it, and it takes three quarters
of an hour; ``tests/e2e/test_same_mails.py`` plays the same a hundred times as fast. The story is told in
``tests/scenarios/outage.py``. Ends with status 1 when the roads tell different things, or not the right ones.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fakes.nvml.driver import FakeDriver
from tests.scenarios.outage import STORY, Outcome, play
from tests.scenarios.pace import Pace
from tests.scenarios.roads import RECIPIENTS, ROADS


def main() -> None:
    """Play it and print what was told."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="0.01 is a hundred times as fast")
    parser.add_argument("--texts", action="store_true", help="print whole mails")
    arguments = parser.parse_args()
    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun:8.1f} s  {line}", flush=True)

    say(f"scale {arguments.scale:g}, begun {time.strftime('%Y-%m-%d %H:%M:%S %Z')}")
    with (
        tempfile.TemporaryDirectory(prefix="gpuwarden-same-mails-") as folder,
        FakeDriver.create(Path(folder)) as driver,
    ):
        outcome = play(Path(folder), driver, Pace(arguments.scale), say)
    say("ended")
    report(outcome, texts=arguments.texts)
    if not is_right(outcome):
        sys.exit(f"\nthe last words of every process:\n{outcome.logs}")


def is_right(outcome: Outcome) -> bool:
    """Whether both roads told everybody the story, in the same words."""
    right = all(story == STORY for story in outcome.stories())
    return right and not outcome.complaints and not outcome.differences()


def report(outcome: Outcome, *, texts: bool) -> None:
    """Both roads under each other, then what tells them apart."""
    for person in RECIPIENTS:
        for road in ROADS:
            print(f"\n{person} by {road}:")
            for mail in outcome.mails[road, person]:
                print(f"  after {mail.came:7.1f} s, true since {mail.began:7.1f} s: {mail.subject}")
                words = mail.words
                print("".join(f"      {line}\n" for line in (words if texts else words[:1])), end="")
    apart = [*outcome.complaints, *outcome.differences()]
    print("\n" + "\n".join(apart or [f"no difference (moments may differ by {outcome.tolerance:.0f} s)"]))
    print("\nverdict: " + ("the same mails, and the right ones" if is_right(outcome) else "NOT the same right mails"))


if __name__ == "__main__":
    main()
