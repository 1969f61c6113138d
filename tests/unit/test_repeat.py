"""Who is told again, and when; the clock stands still but for what a test says."""

import asyncio
import time
from dataclasses import replace

import pytest

from alerts.decisions import Decisions
from alerts.judge import Change
from alerts.notify.mute import SILENT, Verdict
from alerts.notify.repeat import repeated
from alerts.notify_settings import NotifySettings, RepeatSettings
from alerts.posts import Posts
from alerts.rules import SHIPPED, load_rules
from alerts.state import AlertKey, State
from alerts.store import Store
from gpuwarden.units import Duration
from tests.fakes.alertmanager_posts import payload, posted
from tests.fakes.own_judge import NOW, ROUND, OwnJudge, rules
from tests.in_force import in_force

HOUR = 3600.0
RULES = load_rules(SHIPPED, [])
QUIET = NotifySettings(repeat=RepeatSettings(critical=Duration(0)))


def test_a_critical_alert_is_told_again_after_four_hours_in_its_thread(tmp_path):
    """One mail in the night is overlooked, and the card stays full until somebody asks why the job died."""
    with OwnJudge(tmp_path) as box:
        assert box.read(0.95) == [("first", "Critical")]
        assert box.go_on(0.95, seconds=4 * HOUR - 60) == []
        assert box.read(0.95, after=59) == []
        assert box.read(0.97, after=1) == [("repeat", "Critical")]
        first, repeat = box.told
        assert (repeat.incident, repeat.root, repeat.recipients) == (first.id, first.id, first.recipients)
        assert (repeat.value, repeat.started_at, repeat.at) == (0.97, first.started_at, NOW + ROUND + 4 * HOUR)
        assert repeat.summary == "GPU 0 memory is 97.0 % full"
        assert box.go_on(0.95, seconds=4 * HOUR - 60) == []
        assert box.read(0.95, after=60) == [("repeat", "Critical")]
        assert box.read(0.5) == [("resolved", "Critical")]
        assert {item.incident for item in box.told} == {first.id}


def test_each_severity_has_its_own_time(tmp_path):
    """A warning nags like an emergency, or a user who wants no reminders gets them."""
    with OwnJudge(tmp_path) as box:
        box.read(0.85)
        assert box.read(0.85, after=24 * HOUR - 1) == []
        assert box.read(0.85, after=1) == [("repeat", "Warning")]
    with OwnJudge(tmp_path / "never", notify=QUIET) as box:
        box.read(0.95)
        assert box.read(0.95, after=1000 * HOUR) == []


def test_what_is_muted_held_or_unknown_is_not_told_again(tmp_path):
    """A reminder says that a card is full which has been empty for minutes, or stands beside a graver mail."""
    found = rules("{override: Warning, keep_firing_for: 1h}", "{override: Critical, keep_firing_for: 1h}")
    notify = NotifySettings(repeat=RepeatSettings(critical=Duration(HOUR), warning=Duration(HOUR)))
    with OwnJudge(tmp_path, found, notify) as box:
        box.read(0.85)
        assert box.read(0.95) == [("first", "Critical")]
        assert box.read(0.95, after=HOUR) == [("repeat", "Critical")]
        assert box.read(0.5, after=HOUR) == []
        assert box.read(0.95) == [("repeat", "Critical")]
        assert box.read(down=True, after=2 * HOUR) == []
        assert box.read(0.95) == [("repeat", "Critical")]


def test_a_repeat_comes_once_over_a_restart(tmp_path):
    """Each restart begins the four hours anew, or sends the reminder again."""
    with OwnJudge(tmp_path) as box:
        box.read(0.95)
        box.read(0.95, after=4 * HOUR - 60)
        box.restart()
        assert box.read(0.95) == []
        assert box.read(0.95, after=50) == [("repeat", "Critical")]
        box.restart()
        assert box.read(0.95) == []


@pytest.mark.parametrize("step", [-HOUR, HOUR, -1000 * HOUR])
def test_a_clock_that_is_set_makes_no_storm_and_no_silence(tmp_path, step):
    """After the clock was set, the inbox is full, or nobody is reminded for as long as it was wrong."""
    with OwnJudge(tmp_path) as box:
        box.read(0.95)
        box.now += step
        found = box.go_on(0.95, seconds=9 * HOUR)
        assert found == [("repeat", "Critical")] * 2
        box.restart()
        box.now -= step
        assert len(box.go_on(0.95, seconds=5 * HOUR)) in {1, 2}


def test_a_state_from_before_repeats_were_known_counts_from_its_firing(tmp_path):
    """After an upgrade every alert that fires is told again at once, or never."""
    with OwnJudge(tmp_path) as box:
        box.read(0.95)
        box.decisions.states = {key: replace(state, told_at=0.0) for key, state in box.decisions.states.items()}
        assert box.read(0.95) == []
        assert box.read(0.95, after=4 * HOUR) == [("repeat", "Critical")]


KEY = AlertKey("GpuMemoryAlmostFull", (("gpu", "0"),))
FIRING = State(phase="firing", active_at=NOW, fired_at=NOW, value=0.95, seen_at=NOW, incident="id1", told_at=NOW)
STILL = Change(
    rule=next(rule for rule in RULES if rule.alert == KEY.alertname),
    key=KEY,
    previous=FIRING,
    state=FIRING,
    transition=None,
    reason="still_firing",
    value=0.95,
    at=NOW + 9 * HOUR,
)


@pytest.mark.parametrize(
    "verdict", [SILENT, Verdict("first"), Verdict(suppressed="muted"), Verdict("lowered", stands=True)]
)
def test_what_is_told_or_must_be_quiet_stays_so(verdict):
    """An alert that is silenced is told after all, or one that has just fired is called a reminder."""
    assert repeated(STILL, verdict, lambda _: HOUR, STILL.at) == (STILL, verdict)
    assert repeated(STILL, Verdict(stands=True), lambda _: HOUR, STILL.at)[1].tells == "repeat"


class Answers:
    """What answers the posts of Alertmanager, on a clock that a test moves."""

    def __init__(self, store, monkeypatch):
        self.now, self.store = NOW, store
        monkeypatch.setattr(time, "time", lambda: self.now)
        decisions = Decisions(store, in_force(RULES, ["me@example.com"], judge="alertmanager"))
        self.posts = Posts(decisions)

    def post(self, *alerts, after=1.0):
        self.now += after
        before = len(self.store.uncomposed())
        asyncio.run(self.posts.receive(payload(*alerts)))
        return [item.reason for item in self.store.uncomposed()[before:]]


def test_behind_alertmanager_a_repeat_answers_a_post(tmp_path, monkeypatch):
    """Every copy of a post is a reminder, or the one after repeat_interval comes a second too early and is lost."""
    with Store.open(tmp_path) as store:
        road = Answers(store, monkeypatch)
        assert road.post(posted(start=NOW)) == ["first"]
        assert road.post(posted(start=NOW)) == []
        assert road.post(posted(start=NOW), after=3 * HOUR) == []
        assert road.post(posted(start=NOW, value="0.97"), after=HOUR - 3) == ["repeat"]
        assert road.post(posted(start=NOW)) == []
    with Store.open(tmp_path) as store:
        road = Answers(store, monkeypatch)
        road.now = NOW + 4 * HOUR
        assert road.post(posted(start=NOW)) == []
        assert road.post(posted(start=NOW), after=4 * HOUR) == ["repeat"]
        first, *repeats = store.uncomposed()
        assert {(item.incident, item.root) for item in repeats} == {(first.id, first.id)}
        assert [item.value for item in repeats] == [0.97, 0.95]
        assert road.post(posted("resolved", start=NOW, end=road.now)) == ["resolved"]
