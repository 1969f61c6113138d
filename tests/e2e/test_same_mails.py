"""One story, two judges: ``gpuwarden up`` and Prometheus with Alertmanager tell the same people the same."""

import re

import pytest

from tests.scenarios.outage import MEMORY, STORY, play
from tests.scenarios.pace import Pace
from tests.scenarios.roads import UP

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(300)]

A_HUNDRED_TIMES_AS_FAST = Pace(0.01)


def test_a_card_fills_the_exporter_dies_and_comes_back_the_card_empties(tmp_path, fake_driver):
    """Who moves from one command to the stack would get other mails, or the all-clear from a dead exporter."""
    outcome = play(tmp_path, fake_driver("rtx-3060"), A_HUNDRED_TIMES_AS_FAST, print)

    assert outcome.complaints == [], outcome.logs
    assert outcome.differences() == [], outcome.logs
    for story in outcome.stories():
        assert story == STORY
    subjects = [mail.subject for mail in outcome.mails[UP, "ann@example.com"] if mail.alert == MEMORY]
    assert [re.search(r"\d+\.\d %", subject)[0] for subject in subjects] == ["95.0 %", "50.0 %"]
