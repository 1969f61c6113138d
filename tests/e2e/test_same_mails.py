"""One story, two judges: ``gpuwarden up`` and Prometheus with Alertmanager tell the same people the same."""

import pytest

from tests.scenarios.outage import STORY, play
from tests.scenarios.pace import Pace

pytestmark = pytest.mark.prometheus

A_HUNDRED_TIMES_AS_FAST = Pace(0.01)


def test_a_card_fills_the_exporter_dies_and_comes_back_the_card_empties(tmp_path, fake_driver):
    """Who moves from one command to the stack would get other mails, or the all-clear from a dead exporter."""
    outcome = play(tmp_path, fake_driver("rtx-3060"), A_HUNDRED_TIMES_AS_FAST, print)

    assert outcome.complaints == [], outcome.logs
    assert outcome.differences() == [], outcome.logs
    for mails in outcome.mails.values():
        assert [(mail.alert, mail.reason) for mail in mails] == STORY
        assert [mail.answers for mail in mails] == [None, None, 1, 0]
        assert "95.0 %" in mails[0].subject
        assert "50.0 %" in mails[3].subject
