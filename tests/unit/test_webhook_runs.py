import pytest

from alerts.judge_post import DISAGREE_SECONDS, LATE_SECONDS
from tests.fakes.alertmanager_posts import posted
from tests.fakes.posted_to import FOR, NOW, Box

PEER = "http://two:9093"


def ended_box(end=NOW + 1):
    """One run from NOW to ``end``, told and over at NOW + 2."""
    box = Box()
    box.post(posted(start=NOW))
    assert [item.reason for item in box.post(posted("resolved", start=NOW, end=end))] == ["resolved"]
    return box


def test_a_late_copy_of_a_peer_opens_nothing():
    """The slower Alertmanager of a cluster would call alerts back to life that are over."""
    box = ended_box()
    assert box.post(posted(start=NOW), sender=PEER) == []
    assert box.states == {}


@pytest.mark.parametrize(
    ("end", "after", "sender"),
    [
        (NOW + 1, 1, "http://one:9093"),
        (NOW + 1, LATE_SECONDS - 1, PEER),
        (NOW + 2 - LATE_SECONDS, 1, PEER),
        (None, LATE_SECONDS, PEER),
    ],
)
def test_a_run_that_goes_on_after_an_end_by_timeout_is_told_anew(end, after, sender):
    """Prometheus was away for a while; the card is full, the last mail says RESOLVED, and nobody would be told."""
    box = ended_box(end)
    (again,) = box.post(posted(start=NOW), after=after, sender=sender)
    assert (again.reason, again.incident, again.started_at) == ("first", "id3", NOW - FOR)
    assert box.post(posted(start=NOW), sender=sender) == []
    (resolved,) = box.post(posted("resolved", start=NOW, end=NOW + 3600), after=3600)
    assert (resolved.reason, resolved.incident) == ("resolved", "id3")


def test_each_peer_that_posted_the_end_can_take_the_alert_up_again():
    """In a cluster the alert that goes on would be taken for a copy."""
    box = ended_box()
    assert box.post(posted("resolved", start=NOW, end=NOW + 1), sender=PEER) == []
    assert len(box.post(posted(start=NOW), sender=PEER)) == 1


def test_firing_anew_is_a_new_incident_and_an_old_end_does_not_end_it():
    """The second time a card fills up would go untold, or be called off at once."""
    box = Box()
    box.post(posted(start=NOW))
    box.post(posted("resolved", start=NOW, end=NOW + 1))
    (again,) = box.post(posted(start=NOW + 2), after=2)
    assert (again.reason, again.incident) == ("first", "id3")
    assert box.post(posted("resolved", start=NOW, end=NOW + 1)) == []
    assert box.post(posted(start=NOW)) == []
    (resolved,) = box.post(posted("resolved", start=NOW + 2, end=NOW + 9))
    assert (resolved.incident, resolved.started_at) == ("id3", NOW + 2 - FOR)


class TestEndNeverPosted:
    """An alert that ends under a silence, or between two flushes of its group, is never posted as resolved."""

    def test_the_next_run_is_an_incident_of_its_own(self):
        """The card fills up again a day after a silence, and nobody would be told."""
        box = Box()
        box.post(posted(start=NOW))
        start = NOW + 86400
        (again,) = box.post(posted(start=start, value="0.97"), after=86400 + 30)
        assert (again.reason, again.incident, again.started_at, again.value) == ("first", "id2", start - FOR, 0.97)
        assert box.post(posted(start=start)) == []
        assert box.post(posted(start=NOW)) == []
        assert box.post(posted("resolved", start=NOW, end=NOW + 600)) == []
        (resolved,) = box.post(posted("resolved", start=start, end=start + 99), after=99)
        assert (resolved.incident, resolved.started_at) == ("id2", start - FOR)

    def test_it_is_a_run_of_its_own_also_soon_after_a_post_of_the_last_one(self):
        """A repeat of the old run that was on its way would hide the new one."""
        box = Box()
        box.post(posted(start=NOW))
        start = NOW + 3600
        assert box.post(posted(start=NOW), after=3600 + LATE_SECONDS - 5) == []
        assert len(box.post(posted(start=start))) == 1

    def test_peers_that_disagree_on_the_start_are_no_news(self):
        """Two Prometheus servers or Alertmanagers would be a mail for each post."""
        box = Box()
        box.post(posted(start=NOW - 20), after=10)
        assert box.post(posted(start=NOW - 20 + DISAGREE_SECONDS), after=40) == []
        assert box.post(posted(start=NOW - 20), after=3600) == []
        assert box.post(posted(start=NOW + 3600), sender=PEER) == []

        box = Box()
        box.post(posted(start=NOW - 7200), after=0)
        for _ in range(3):
            told = [box.post(posted(start=start), after=1800) for start in (NOW - 3600, None, NOW - 7200)]
            assert told == [[], [], []]

    @pytest.mark.parametrize("ahead", [0, 500])
    def test_a_repeat_is_no_news_however_the_clocks_differ(self, ahead):
        """A Prometheus whose clock is ahead would have each repeat mailed."""
        box = Box()
        assert len(box.post(posted(start=NOW + ahead))) == 1
        assert [box.post(posted(start=NOW + ahead), after=300) for _ in range(4)] == [[]] * 4
