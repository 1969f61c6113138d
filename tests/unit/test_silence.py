"""What a silence keeps quiet, and what is told when it ends; the clock stands still but for what a test says."""

import asyncio
import itertools
import logging
from types import MappingProxyType

import pytest

from alerts.decisions import Decisions
from alerts.judge import judge
from alerts.matchers import Matcher
from alerts.notify.due import notifications
from alerts.notify.mute import judged_here
from alerts.notify.silence import Silence, silenced
from alerts.rules import rules_of
from alerts.series import Sample, Scrape, label_set
from alerts.silence_rows import put
from alerts.silences import Silences
from alerts.store import Store
from gpuwarden.documents import parse
from tests.fakes.own_judge import NOW, OWN, OwnJudge
from tests.in_force import in_force

HOUR = 3600.0
LADDER = """
rules:
  - {alert: Critical, metric: gpu_memory_used_ratio, above: 0.9, severity: critical, labels: {team: vision},
     summary: "GPU {{ gpu }} memory is {{ value }} full"}
  - {alert: Warning, metric: gpu_memory_used_ratio, above: 0.8, severity: warning, muted_by: [Critical],
     summary: "GPU {{ gpu }} memory is {{ value }} full"}
"""
RULES = rules_of([parse(LADDER, "ladder.yml")])


def quiet(start=0.0, end=100.0, **labels):
    """A silence from ``start`` to ``end`` seconds after NOW."""
    matchers = tuple(Matcher(name, "=", text) for name, text in labels.items())
    return Silence(id="s", matchers=matchers, starts_at=NOW + start, ends_at=NOW + end, updated_at=NOW)


def scrape_of(now, ratios):
    rows = [({"gpu": str(number), "uuid": f"GPU-{number}"}, ratio) for number, ratio in enumerate(ratios)]
    samples = tuple(Sample(label_set(OWN | labels), ratio) for labels, ratio in rows)
    return Scrape("", OWN["job"], OWN["instance"], now, None, MappingProxyType({"gpu_memory_used_ratio": samples}))


class Cards:
    """Cards of one box, judged every ten seconds."""

    def __init__(self, *silences):
        self.silences, self.states, self.now = silences, {}, NOW
        self._ids = (f"id{number}" for number in itertools.count(1))

    def read(self, *ratios):
        """What is told when the cards are that full, and the words about what is not."""
        self.now += 10
        scrape = scrape_of(self.now, ratios)
        changes = judge(RULES, [scrape], self.states, self.now, max_gap=20.0)
        once = silenced(changes, judged_here(changes), self.silences, self.now)
        verdicts = silenced(changes, once, self.silences, self.now)
        assert verdicts == once
        self.told, after = notifications(changes, [scrape], ["me@example.com"], lambda: next(self._ids), verdicts=once)
        self.states = {change.key: change.state for change in after if change.state}
        self.words = [verdict.suppressed for verdict in verdicts if verdict.suppressed]
        return [(item.reason, item.alertname) for item in self.told]


def test_what_a_silence_covers_is_not_told_and_the_rest_is():
    """Who is at work on a card would be mailed about it, or would miss that another one is full."""
    cards = Cards(quiet(alertname="Critical", gpu="0"))
    assert cards.read(0.95, 0.95) == [("first", "Critical")]
    assert dict(cards.told[0].labels)["gpu"] == "1"
    assert "silenced" in cards.words


@pytest.mark.parametrize(
    "labels",
    [
        {"severity": "critical"},
        {"team": "vision"},
        {"uuid": "GPU-0"},
        {"instance": "box:9400", "alertname": "Critical"},
    ],
)
def test_it_goes_by_the_labels_that_alertmanager_would_show(labels):
    """A silence that works in the Docker stack would not on one box."""
    assert Cards(quiet(**labels)).read(0.95) == []
    assert Cards(quiet(**labels | {"gpu": "7"})).read(0.95) == [("first", "Critical")]


def test_what_still_fires_at_the_end_of_the_silence_is_told_then():
    """A card that filled up at night under a silence would be full and nobody would ever hear of it."""
    cards = Cards(quiet(end=35.0, gpu="0"))
    assert [cards.read(0.95) for _ in range(3)] == [[], [], []]
    assert cards.read(0.95) == [("first", "Critical")]
    assert cards.told[0].started_at == NOW + 10
    assert cards.read(0.95) == []


def test_the_word_is_given_once_and_not_in_each_round():
    """The log and the counter of what was not told would grow every five seconds."""
    cards = Cards(quiet(alertname="Critical"))
    cards.read(0.95)
    assert cards.words.count("silenced") == 1
    cards.read(0.95)
    assert cards.words == []


def test_what_was_told_before_the_silence_is_not_told_again_after_it():
    """Each silence would bring the same first mail a second time."""
    cards = Cards(quiet(start=15.0, end=35.0, gpu="0"))
    assert cards.read(0.95) == [("first", "Critical")]
    assert [cards.read(0.95) for _ in range(4)] == [[]] * 4
    assert cards.read(0.5) == [("resolved", "Critical")]


def test_what_ends_under_a_silence_ends_silently():
    """Who asked for quiet gets a RESOLVED mail, and after the silence the old incident would seem to go on."""
    cards = Cards(quiet(start=15.0, end=45.0, gpu="0"))
    cards.read(0.95)
    assert cards.read(0.5) == []
    assert cards.words == ["silenced", "untold"]
    assert cards.states == {}
    assert cards.read(0.95) == []
    assert cards.read(0.95) == []
    assert cards.read(0.95) == [("first", "Critical")]
    assert cards.told[0].incident == "id2"


def test_a_silence_that_has_not_begun_or_is_over_covers_nothing():
    """A silence for the weekend would swallow Friday's mail."""
    assert Cards(quiet(start=11.0)).read(0.95) == [("first", "Critical")]
    assert Cards(quiet(end=10.0)).read(0.95) == [("first", "Critical")]


def test_a_silenced_alert_still_mutes_the_lesser_one():
    """Who silences the critical alert would get the warning about the same full card instead."""
    assert Cards(quiet(alertname="Critical")).read(0.95) == []


def test_the_end_of_the_graver_one_is_told_where_only_the_lesser_one_is_silenced():
    """The incident of the critical alert would never end."""
    cards = Cards(quiet(alertname="Warning"))
    assert cards.read(0.95) == [("first", "Critical")]
    assert cards.read(0.85) == [("resolved", "Critical")]


def test_the_lesser_one_is_told_by_itself_where_the_graver_one_is_silenced():
    """A mail would speak of an alert of which people asked to hear nothing, or the warning would be lost."""
    cards = Cards(quiet(start=15.0, alertname="Critical"))
    cards.read(0.95)
    (first,) = cards.told
    assert cards.read(0.85) == [("first", "Warning")]
    (lesser,) = cards.told
    assert (lesser.root, lesser.graver, lesser.incident) == (first.id, None, lesser.id)
    assert cards.words == ["silenced"]
    assert cards.read(0.5) == [("resolved", "Warning")]


def test_a_lesser_one_that_was_told_before_is_not_told_again():
    """A card that crept up and falls under a silence would be a second mail about the same warning."""
    cards = Cards(quiet(start=25.0, alertname="Critical"))
    assert (cards.read(0.85), cards.read(0.95)) == ([("first", "Warning")], [("first", "Critical")])
    assert cards.read(0.85) == []
    assert cards.read(0.5) == [("resolved", "Warning")]


def test_where_both_are_silenced_nothing_is_told():
    """A silence for a whole card would not hold on its way down."""
    cards = Cards(quiet(start=15.0, gpu="0"))
    cards.read(0.95)
    assert cards.read(0.85) == []
    assert cards.words == ["silenced"]


def test_decisions_go_by_the_silences_on_the_disk_and_say_so(tmp_path, caplog):
    """After a restart everything that was silenced would be mailed, and nobody could find out why a mail is missing."""
    caplog.set_level(logging.INFO)

    async def story(store):
        decisions = Decisions(store, in_force(RULES, ["me@example.com"]), Silences(store))
        visit = scrape_of(NOW + 10, (0.95, 0.95))
        await decisions.commit(judge(RULES, [visit], {}, NOW + 10, max_gap=20.0), [visit], now=NOW + 10)
        return decisions

    with Store.open(tmp_path) as store:
        store.change(put, quiet(alertname="Critical", gpu="1"), NOW)
    with Store.open(tmp_path) as store:
        decisions = asyncio.run(story(store))
        assert [dict(item.labels)["gpu"] for item in store.uncomposed()] == ["0"]
        assert len(store.load_states()) == 4
    assert decisions.suppressed == {"silenced": 1, "muted": 2}
    assert "silenced: a silence covers it" in caplog.text


class TestWithTheOtherSteps:
    def test_no_repeat_under_a_silence_and_one_when_it_is_over(self, tmp_path):
        """A silence would not hold for longer than four hours, or a card that stays full would never be told again."""
        with OwnJudge(tmp_path) as box:
            assert box.read(0.95) == [("first", "Critical")]
            box.silence(6 * HOUR, alertname="Critical")
            assert box.go_on(0.95, seconds=6 * HOUR - 60) == []
            assert box.read(0.95, after=60) == [("repeat", "Critical")]
            assert box.read(0.5) == [("resolved", "Critical")]

    def test_what_flaps_under_a_silence_is_not_told_and_ends_silently(self, tmp_path):
        """A job that fills a card every few minutes would break through the silence that was made because of it."""
        with OwnJudge(tmp_path) as box:
            found = [told for _ in range(4) for ratio in (0.95, 0.5) for told in box.read(ratio, after=150)]
            assert found[-1] == ("flapping", "Critical")
            box.silence(8 * HOUR, gpu="0")
            for _ in range(20):
                assert box.read(0.95, after=150) == []
                assert box.read(0.5, after=150) == []
            assert box.go_on(0.5, seconds=2 * HOUR) == []
            assert (box.decisions.states, box.decisions.flaps) == ({}, {})
            assert box.go_on(0.95, seconds=2 * HOUR) == []

    def test_what_flaps_and_still_fires_at_the_end_is_told_in_its_incident(self, tmp_path):
        """After the silence a card that is full would stay untold, since it had been told as flapping before."""
        with OwnJudge(tmp_path) as box:
            for ratio in (0.95, 0.5) * 3 + (0.95,):
                box.read(ratio, after=150)
            news = box.told[-1]
            assert news.reason == "flapping"
            box.silence(2 * HOUR, gpu="0")
            assert box.go_on(0.95, seconds=2 * HOUR - 60) == []
            assert box.read(0.95, after=60) == [("repeat", "Critical")]
            assert box.told[-1].incident == news.incident

    def test_a_restart_under_a_silence_changes_nothing(self, tmp_path):
        """After a power loss everybody would be mailed what they asked not to hear of, or never hear of it."""
        with OwnJudge(tmp_path) as box:
            box.silence(100, gpu="0")
            assert box.read(0.95) == []
            box.restart()
            assert box.read(0.95) == []
            assert box.read(0.95, after=90) == [("first", "Critical")]
