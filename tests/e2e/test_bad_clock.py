"""The real alerter while its wall clock is stepped by an hour."""

import os
import time

import pytest

from tests.fakes.clock.stepped import SteppedClock, compiler
from tests.scenarios.burning import Place
from tests.scenarios.kill_loop import ROADS, Incident


@pytest.fixture
def clock(tmp_path):
    """A clock of its own."""
    if compiler() is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no C compiler for the clock")
    folder = tmp_path / "clock"
    folder.mkdir()
    return SteppedClock(folder)


def incident(number):
    return Incident(number, brief=False, began=time.time(), ended=time.time() + 1)


@pytest.mark.parametrize("seconds", [3600, -3600])
@pytest.mark.parametrize("road", ROADS, ids=[road.judge for road in ROADS])
def test_a_step_of_the_clock_tells_nothing_twice_and_keeps_nothing_waiting(tmp_path, clock, road, seconds):
    """A clock that is set right after a start would mail everything again, or keep an alert pending for an hour."""
    place = Place(tmp_path, road, wait="1s")
    old, pending, new = incident(1), incident(2), incident(3)
    with place.open(), place.alerter(environ=clock.environment()) as process:
        process.wait_for("listening on")
        assert place.burn(old)
        place.smtp.wait_mails(1, 20)
        assert place.burn(pending)
        clock.step(seconds)
        place.goes_round()
        assert place.burn(old)
        assert place.burn(new)
        place.smtp.wait_mails(3, 20)
        assert place.told() == [(1, "first"), (2, "first"), (3, "first")]
        place.goes_round()
        for burning in (old, pending, new):
            burning.ended = time.time()
            assert place.end(burning)
        place.smtp.wait_mails(6, 20)
        place.goes_round()

    assert place.told() == [(number, reason) for number in (1, 2, 3) for reason in ("first", "resolved")]
    assert " ERROR " not in process.output


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_mail_that_waits_for_its_next_try_goes_out_after_a_step(tmp_path, clock, seconds):
    """A mail server that was busy for a moment would cost an hour."""
    place = Place(tmp_path, ROADS[1])
    with place.open(), place.alerter(environ=clock.environment()) as process:
        process.wait_for("listening on")
        place.smtp.script(mail="451 later")
        assert place.burn(incident(1))
        process.wait_for("next try in")
        clock.step(seconds)
        place.smtp.script()
        place.smtp.wait_mails(1, 40)

    assert place.told() == [(1, "first")]
