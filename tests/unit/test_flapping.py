"""What is told of alerts that come and go; the clock stands still but for what a test says."""

import asyncio
import itertools
import logging
import time
from types import MappingProxyType

import pytest

from alerts.decisions import Decisions
from alerts.mail_view import view_of
from alerts.notify.flapping import MOST_REMEMBERED
from alerts.notify_settings import FlappingSettings, NotifySettings
from alerts.posts import Posts
from alerts.rules import SHIPPED, load_rules
from alerts.series import Scrape
from alerts.store import Store
from tests.fakes.alertmanager_posts import payload, posted
from tests.fakes.own_judge import NOW, OwnJudge, rules
from tests.in_force import in_force
from tests.unit.outbox_post import until

MINUTE, HOUR = 60.0, 3600.0
OFF = NotifySettings(flapping=FlappingSettings(count=0))
FULL, EMPTY = 0.95, 0.5


def flap(box, times, *, every=5 * MINUTE):
    """What is told while card 0 fills and empties so often, half of the time each."""
    return [found for _ in range(times) for ratio in (FULL, EMPTY) for found in box.read(ratio, after=every / 2)]


def flapping(box):
    """A card that was told as flapping and is full."""
    flap(box, 3)
    assert box.read(FULL, after=2.5 * MINUTE) == [("flapping", "Critical")]
    return box


def test_the_fourth_run_in_an_hour_is_told_as_flapping_in_the_thread_of_the_first(tmp_path):
    """A job that fills and frees a card every few minutes is hundreds of mails a day, so people stop reading them."""
    with OwnJudge(tmp_path) as box:
        assert flap(box, 3) == [("first", "Critical"), ("resolved", "Critical")] * 3
        assert box.read(FULL, after=2.5 * MINUTE) == [("flapping", "Critical")]
        first, news = box.told[0], box.told[-1]
        assert (news.root, news.incident, news.id != first.id) == (first.id, news.id, True)
        assert (news.flaps, news.flaps_since, news.lasting) == (4, first.at, 10 * MINUTE)
        assert flap(box, 50) == []
        assert box.decisions.suppressed["flapping"] == 100 - 1  # it was full already


def test_the_log_says_that_it_was_told_as_flapping(tmp_path, caplog):
    """Who looks for the word in the mail's header would not find it in the log."""
    caplog.set_level(logging.INFO)
    with OwnJudge(tmp_path) as box:
        flapping(box)
    assert sum(line.endswith("; told as flapping") for line in caplog.messages) == 1


def test_three_runs_in_an_hour_or_four_in_more_do_not_flap(tmp_path):
    """Four real incidents in a day would be one mail."""
    with OwnJudge(tmp_path) as box:
        found = flap(box, 8, every=21 * MINUTE)
        assert found == [("first", "Critical"), ("resolved", "Critical")] * 8


def test_what_flaps_is_resolved_once_it_is_over_for_long_enough(tmp_path):
    """Nobody would learn that it is over, or they would at each turn."""
    with OwnJudge(tmp_path) as box:
        flapping(box)
        ended = box.now + 5 * MINUTE
        assert box.read(EMPTY, after=5 * MINUTE) == []
        assert box.go_on(EMPTY, seconds=19 * MINUTE) == []
        assert box.read(0.41, after=MINUTE) == [("resolved", "Critical")]
        told, over = box.told[-2:]
        assert (over.incident, over.root, over.flaps) == (told.id, box.told[0].id, 4)
        assert (over.value, over.started_at, over.at - over.lasting) == (0.41, box.told[0].at, ended)
        assert over.summary == "GPU 0 memory is 41.0 % full"
        assert box.decisions.flaps == {}
        assert flap(box, 1) == [("first", "Critical"), ("resolved", "Critical")]


def test_what_flaps_is_told_again_once_it_fires_for_long_enough(tmp_path):
    """A card that flapped and is full for good would be full in silence."""
    with OwnJudge(tmp_path) as box:
        flapping(box)
        assert box.go_on(FULL, seconds=9 * MINUTE) == []
        assert box.read(0.99, after=MINUTE) == [("repeat", "Critical")]
        told, again = box.told[-2:]
        assert (again.incident, again.root, again.flaps, again.value) == (told.id, told.root, 4, 0.99)
        assert box.go_on(FULL, seconds=4 * HOUR - MINUTE) == []
        assert box.read(FULL, after=MINUTE) == [("repeat", "Critical")]
        assert box.told[-1].flaps == 0
        assert box.read(EMPTY) == [("resolved", "Critical")]
        assert {item.incident for item in box.told[-3:]} == {told.id}


def test_each_turn_doubles_the_wait_up_to_the_longest(tmp_path):
    """What flaps with a period of a little more than the delay is told at each turn all the same."""
    with OwnJudge(tmp_path) as box:
        flapping(box)
        for ratio, wait in ((EMPTY, 20), (FULL, 40), (EMPTY, 60), (FULL, 60)):
            assert box.read(ratio) == []
            assert box.go_on(ratio, seconds=(wait - 1) * MINUTE) == []
        assert box.read(FULL, after=MINUTE) == [("repeat", "Critical")]
        assert box.told[-1].flaps == 6


def test_what_flaps_is_remembered_over_a_kill(tmp_path):
    """A restart begins the count anew, or forgets that an incident is open, so that nobody hears of its end."""
    with OwnJudge(tmp_path) as box:
        for _ in range(3):
            flap(box, 1)
            box.restart()
        assert box.read(FULL, after=2.5 * MINUTE) == [("flapping", "Critical")]
        for ratio in (EMPTY, FULL, EMPTY):
            box.restart()
            assert box.read(ratio, after=MINUTE) == []
        told, flaps = box.told[-1], box.decisions.flaps
        box.restart()
        assert box.decisions.flaps == flaps
        assert box.store.prune(box.now + HOUR) == 0
        assert box.read(EMPTY, after=HOUR) == [("resolved", "Critical")]
        assert (box.told[-1].incident, box.told[-1].flaps) == (told.id, 5)


def test_what_is_not_known_to_be_over_is_not_called_so(tmp_path):
    """The all-clear comes from a box that does not answer, or while the card is full again."""
    found = rules("{override: Critical, for: 5m}", "{override: Warning, enabled: false}")
    with OwnJudge(tmp_path, found) as box:
        for _ in range(3):
            box.go_on(FULL, seconds=6 * MINUTE, every=10.0)
            box.read(EMPTY)
        assert box.go_on(FULL, seconds=6 * MINUTE, every=10.0) == [("flapping", "Critical")]
        box.read(EMPTY)
        assert box.read(down=True, after=HOUR) == []
        assert [box.read(FULL), box.read(EMPTY)] == [[], []]
        assert box.read(EMPTY) == [("resolved", "Critical")]


def test_a_lesser_alert_waits_for_the_end_of_a_graver_one_that_flaps(tmp_path):
    """The graver one is quiet, and its lesser brother is a mail at each turn instead."""
    with OwnJudge(tmp_path) as box:
        flapping(box)
        assert [box.read(ratio, after=2 * MINUTE) for ratio in (0.85, FULL, 0.85)] == [[], [], []]
        assert box.go_on(0.85, seconds=HOUR - MINUTE) == []
        assert box.read(0.85, after=MINUTE) == [("lowered", "Warning")]
        assert (box.told[-1].incident, box.told[-1].root) == (box.told[-2].id, box.told[0].id)
        graver = box.told[-1].graver
        assert (graver.started_at, graver.ended_at) == (box.told[0].at, box.now - HOUR)
        assert box.decisions.flaps == {}
        assert box.read(EMPTY) == [("resolved", "Warning")]


def test_both_rungs_flapping_are_no_storm_and_each_incident_ends(tmp_path):
    """A card that swings around both thresholds fills the inbox through the gap between two rules."""
    with OwnJudge(tmp_path) as box:
        for ratio in [FULL, 0.85, EMPTY, 0.85] * 20:
            box.read(ratio, after=MINUTE)
        assert len(box.told) <= 16
        box.go_on(EMPTY, seconds=3 * HOUR)
        opened = [item.id for item in box.told if item.reason in {"first", "flapping"}]
        opened += [item.id for item in box.told if item.reason == "lowered" and _opens(item, box)]
        ended = [item.incident for item in box.told if item.reason in {"resolved", "lowered"}]
        assert sorted(opened) == sorted(ended)
        assert box.go_on(EMPTY, seconds=HOUR) == []


def _opens(lowered, box):
    return any(item.incident == lowered.id for item in box.told if item is not lowered)


@pytest.mark.parametrize("step", [-HOUR, HOUR, -1000 * HOUR])
def test_a_clock_that_is_set_keeps_nothing_back_for_ever(tmp_path, step):
    """After the clock was set back by a year, what flapped would be quiet for a year."""
    with OwnJudge(tmp_path) as box:
        flapping(box)
        box.read(EMPTY)
        box.now += step
        found = box.go_on(EMPTY, seconds=HOUR)
        assert found == [("resolved", "Critical")]
        assert box.decisions.flaps == {}
        flap(box, 3)
        box.now -= 2 * HOUR
        assert box.read(EMPTY) == []
        assert all(run.fired_at <= box.now for known in box.decisions.flaps.values() for run in known.runs)


def test_switched_off_each_run_is_told_and_what_flapped_is_told_at_once(tmp_path):
    """Somebody who wants each mail does not get it, or an incident stays open that was quiet before."""
    with OwnJudge(tmp_path, notify=OFF) as box:
        assert flap(box, 9) == [("first", "Critical"), ("resolved", "Critical")] * 9
        assert box.decisions.flaps == {}
    with OwnJudge(tmp_path / "later") as box:
        flapping(box)
        box.notify = OFF
        box.restart()
        assert box.read(FULL) == [("repeat", "Critical")]
        assert box.read(EMPTY) == [("resolved", "Critical")]


def test_a_rule_that_is_taken_away_takes_its_flapping_along(tmp_path):
    """A mail tells of a rule that nobody has any more, or the state grows with each change of the rules."""
    with OwnJudge(tmp_path) as box:
        flapping(box)
        flap(box, 1)
        box.rules = rules("{override: Critical, enabled: false}", "{override: Warning, above: 0.99}")
        box.restart()
        assert box.go_on(EMPTY, seconds=2 * HOUR) == []
        assert box.decisions.flaps == {}


def test_a_target_that_is_taken_away_takes_its_flapping_along(tmp_path):
    """Whoever takes a box out of the settings is told hours later that its card is well, which nobody has seen."""
    with OwnJudge(tmp_path) as box:
        flapping(box)
        flap(box, 1)
        box.now += 2 * HOUR
        other = Scrape("", "gpuwarden", "other:9400", box.now, None, MappingProxyType({}))
        asyncio.run(box.decisions.commit([], [other], now=box.now))
        assert {item.reason for item in box.store.uncomposed()} == {"first", "resolved", "flapping"}
        assert [item.reason for item in box.store.uncomposed()].count("resolved") == 3
        assert box.decisions.flaps == {}


def test_runs_are_forgotten_after_the_window(tmp_path):
    """The state grows with each alert that ever fired."""
    with OwnJudge(tmp_path) as box:
        flap(box, 2)
        assert len(box.decisions.flaps) == 1
        box.go_on(EMPTY, seconds=HOUR)
        assert box.decisions.flaps == box.store.load_flaps() == {}


def test_the_number_of_remembered_alerts_is_bounded(tmp_path, monkeypatch):
    """Whoever can make a thousand series come and go fills the disk."""
    monkeypatch.setattr("alerts.notify.flapping.MOST_REMEMBERED", 3)
    assert MOST_REMEMBERED >= 1000
    with OwnJudge(tmp_path) as box:
        for ratio in (FULL, EMPTY) * 3:
            box.read(*[ratio] * 9)
        assert len(box.decisions.flaps) == 3


def test_the_mail_says_how_often_and_what_follows(tmp_path):
    """People wonder why no further mail comes, and think that the alerter broke."""
    with OwnJudge(tmp_path) as box:
        flapping(box)
        view = view_of(box.told[-1])
        assert view.subject.startswith("[CRITICAL, flapping] GPU 0 memory is 95.0 % full")
        assert dict(view.facts)["Flapping"] == (
            "fired 4 times in 15 min; from now on only a state that lasts 10 min is told"
        )
        box.go_on(FULL, seconds=10 * MINUTE)
        again = dict(view_of(box.told[-1]).facts)["Flapping"]
        assert again == "fired 4 times in 15 min; firing without a break for 10 min now, so it flaps no more"


class Posted:
    """Alertmanager's posts and our own clock's ticks, over a real store."""

    def __init__(self, folder, monkeypatch):
        self.now, self.folder = NOW, folder
        monkeypatch.setattr(time, "time", lambda: self.now)
        self.start()

    def start(self):
        self.store = Store.open(self.folder)
        terms = in_force(load_rules(SHIPPED, []), ["me@example.com"], judge="alertmanager")
        self.decisions = Decisions(self.store, terms)
        self.posts = Posts(self.decisions)

    def restart(self):
        self.store.close()
        self.start()

    def told(self, work):
        before = len(self.store.uncomposed())
        asyncio.run(work)
        return self.store.uncomposed()[before:]

    def turn(self, after=2 * MINUTE, **labels):
        """What is told when the alert fires, and when it is over."""
        self.now += after
        found = [*self.told(self.posts.receive(payload(posted(start=self.now, **labels))))]
        over = posted("resolved", start=self.now, end=self.now + 60, **labels)
        self.now += after
        return [item.reason for item in [*found, *self.told(self.posts.receive(payload(over)))]]

    def tick(self, after):
        self.now += after
        return self.told(self.posts.tick(self.now))


@pytest.mark.parametrize("labels", [{}, {"alertname": "Foreign", "severity": "critical"}], ids=["ours", "foreign"])
def test_behind_alertmanager_what_flaps_is_told_when_it_has_calmed_down(tmp_path, monkeypatch, labels):
    """A flapping alert is never called over there, since nothing is posted any more."""
    road = Posted(tmp_path, monkeypatch)
    assert [road.turn(**labels) for _ in range(5)] == [["first", "resolved"]] * 3 + [["flapping"], []]
    assert road.tick(MINUTE) == []
    road.restart()
    (over,) = road.tick(HOUR)
    assert (over.reason, over.flaps, over.severity) == ("resolved", 5, "critical")
    assert "GPU 0 memory" in over.summary or over.summary == "from Prometheus"
    assert road.tick(HOUR) == []
    road.now += MINUTE
    road.told(road.posts.receive(payload(posted(start=road.now, **labels))))
    road.store.close()


def test_a_run_whose_end_was_never_posted_counts_too(tmp_path, monkeypatch):
    """An alert that ends between two posts each time would flap without end, and never be called so."""
    road, found = Posted(tmp_path, monkeypatch), []
    for _ in range(6):
        road.now += 3 * MINUTE
        found += [item.reason for item in road.told(road.posts.receive(payload(posted(start=road.now))))]
    assert found == ["first", "first", "first", "flapping"]
    road.store.close()


def test_behind_alertmanager_what_flaps_and_stays_is_told_again(tmp_path, monkeypatch):
    """A card that flapped and is full for good would be full in silence for four hours."""
    road = Posted(tmp_path, monkeypatch)
    list(itertools.starmap(road.turn, [()] * 4))
    road.now += MINUTE
    assert road.told(road.posts.receive(payload(posted(start=road.now)))) == []
    assert road.tick(39 * MINUTE) == []
    (again,) = road.tick(MINUTE)
    assert (again.reason, again.flaps, again.value) == ("repeat", 5, None)
    assert road.tick(HOUR) == []
    over = payload(posted("resolved", start=road.now - 99 * MINUTE, end=road.now))
    assert [item.reason for item in road.told(road.posts.receive(over))] == ["resolved"]
    road.store.close()


def test_behind_alertmanager_a_lesser_alert_is_told_in_the_thread_of_one_that_flaps(tmp_path, monkeypatch):
    """The mail that a card is still 84 % full would say that it is no longer critical, a minute before it is again."""
    road = Posted(tmp_path, monkeypatch)
    list(itertools.starmap(road.turn, [()] * 4))
    road.now += 10
    lesser = payload(posted(start=road.now, alertname="GpuMemoryHigh", severity="warning"))
    (first,) = road.told(road.posts.receive(lesser))
    assert (first.reason, first.alertname, first.root) == ("first", "GpuMemoryHigh", road.store.uncomposed()[0].id)
    (over,) = road.tick(HOUR)
    assert (over.reason, over.alertname) == ("resolved", "GpuMemoryAlmostFull")
    road.store.close()


def test_a_fault_of_ours_does_not_end_the_clock_of_what_calms_down(tmp_path, monkeypatch, caplog):
    """All loops would end with it: the webhook would answer nobody, and no mail that waits would go out."""
    monkeypatch.setattr("alerts.posts._TICK_SECONDS", 0.01)
    turns = []

    async def tick(_):
        turns.append(1)
        raise ZeroDivisionError

    async def story(store):
        posts = Posts(Decisions(store, in_force(judge="alertmanager")))
        monkeypatch.setattr(posts, "tick", tick)
        running = asyncio.create_task(posts.run())
        await until(lambda: len(turns) == 2)
        running.cancel()

    with Store.open(tmp_path) as store:
        asyncio.run(story(store))
    assert "a fault of ours" in caplog.text
