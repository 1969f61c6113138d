"""Who is told what where several rules speak of one card; the clock stands still but for what a test says."""

import asyncio
import itertools
import logging
from types import MappingProxyType

import pytest

from alerts.decisions import Decisions
from alerts.judge import judge
from alerts.notify.due import notifications
from alerts.notify.mute import LATELY_SECONDS
from alerts.rules import SHIPPED, load_rules, rules_of
from alerts.series import Sample, Scrape, label_set
from alerts.store import Store
from alerts.store_records import dump_state, load_state
from gpuwarden.documents import parse
from tests.fakes import own_judge
from tests.fakes.alertmanager_posts import posted
from tests.fakes.own_judge import NOW, OWN
from tests.fakes.posted_to import Box
from tests.in_force import in_force

LADDER = f"""{own_judge.LADDER}
  - {{alert: Info, metric: gpu_memory_used_ratio, above: 0.7, severity: info, muted_by: [Warning, Critical],
     summary: "GPU {{{{ gpu }}}} memory is {{{{ value }}}} full"}}
"""


def rules(*overrides):
    return own_judge.rules(*overrides, base=LADDER)


class Card:
    """Cards of one box, judged every ten seconds; what is remembered goes over a restart each time."""

    def __init__(self, found=None):
        self.rules, self.states, self.now = found or rules(), {}, NOW
        self._ids = (f"id{number}" for number in itertools.count(1))

    def read(self, *ratios, simulated=False):
        """What is told when the cards are that full; a card of None is not on the page."""
        self.now += 10
        rows = [({"gpu": str(number), "uuid": f"GPU-{number}"}, ratio) for number, ratio in enumerate(ratios)]
        samples = {
            "up": (Sample(label_set(OWN), 1.0),),
            "gpu_memory_used_ratio": tuple(
                Sample(label_set(OWN | labels), ratio) for labels, ratio in rows if ratio is not None
            ),
            "gpuwarden_exporter_simulated": (Sample(label_set(OWN), float(simulated)),),
        }
        scrape = Scrape("", OWN["job"], OWN["instance"], self.now, None, MappingProxyType(samples))
        changes = judge(self.rules, [scrape], self.states, self.now, max_gap=20.0)
        self.told, after = notifications(changes, [scrape], ["me@example.com"], lambda: next(self._ids))
        self.states = {change.key: load_state(dump_state(change.state)) for change in after if change.state}
        return [(item.reason, item.alertname) for item in self.told]


def test_only_the_gravest_is_told():
    """A card that fills up at once would be three mails about one thing."""
    card = Card()
    assert card.read(0.95) == [("first", "Critical")]
    assert card.read(0.96) == []
    assert {state.phase for state in card.states.values()} == {"firing"}


def test_a_mute_does_not_reach_another_card():
    """One full card would hide that another one fills up."""
    assert Card().read(0.95, 0.85) == [("first", "Critical"), ("first", "Warning")]


ASPECTS = """
rules:
  - {alert: Uncorrected, metric: gpu_ecc_errors_total, where: {severity: uncorrected}, above: 0, severity: critical,
     summary: s}
  - {alert: Corrected, metric: gpu_ecc_errors_total, where: {severity: corrected}, above: 100, severity: warning,
     summary: s, muted_by: [Uncorrected]}
"""


@pytest.mark.parametrize("override", ["", "{override: Uncorrected, where: {gpu: '1'}, above: 9}"])
def test_a_mute_joins_what_both_rules_say_of_one_card(override):
    """A card with bad memory would be two mails, since one label keeps the two kinds of its errors apart."""
    documents = [parse(ASPECTS, "aspects.yml"), *([parse(f"rules: [{override}]", "own.yml")] if override else [])]
    errors = [("0", "corrected", 500.0), ("0", "uncorrected", 1.0), ("1", "corrected", 500.0)]
    row = tuple(
        Sample(label_set(OWN | {"gpu": gpu, "uuid": f"GPU-{gpu}", "severity": severity}), count)
        for gpu, severity, count in errors
    )
    scrape = Scrape("", OWN["job"], OWN["instance"], NOW, None, MappingProxyType({"gpu_ecc_errors_total": row}))
    changes = judge(rules_of(documents), [scrape], {}, NOW, max_gap=20.0)
    told, _ = notifications(changes, [scrape], ["me@example.com"], lambda: "id")
    assert {(item.alertname, dict(item.labels)["gpu"]) for item in told} == {("Uncorrected", "0"), ("Corrected", "1")}


def test_a_fall_by_one_rung_is_one_mail_in_the_thread_of_the_graver_one():
    """The mail would say RESOLVED of a card that is 84 % full, or a second thread would begin."""
    card = Card()
    card.read(0.95)
    (first,) = card.told
    assert card.read(0.84) == [("lowered", "Warning")]
    (lowered,) = card.told
    assert (lowered.root, lowered.incident, lowered.severity) == (first.id, first.incident, "warning")
    assert (lowered.threshold, lowered.value, lowered.started_at) == (0.8, 0.84, NOW + 10)
    graver = lowered.graver
    assert (graver.alertname, graver.severity, graver.ended_at - graver.started_at) == ("Critical", "critical", 10.0)

    assert card.read(0.5) == [("resolved", "Warning")]
    (resolved,) = card.told
    assert (resolved.root, resolved.incident) == (first.id, lowered.id)
    assert card.states == {}


def test_down_the_whole_ladder_in_one_thread():
    """Each rung of one fall would be a thread of its own."""
    card = Card()
    found = [(card.read(ratio), [item.root for item in card.told]) for ratio in (0.95, 0.85, 0.75, 0.5)]
    assert [what for what, _ in found] == [
        [("first", "Critical")],
        [("lowered", "Warning")],
        [("lowered", "Info")],
        [("resolved", "Info")],
    ]
    assert {root for _, roots in found for root in roots} == {"id1"}


def test_a_fall_past_a_rung_lowers_to_the_one_that_is_left():
    """A card that falls from 95 to 75 % would be called well."""
    card = Card()
    card.read(0.95)
    assert card.read(0.75) == [("lowered", "Info")]


def test_a_card_that_crept_up_ends_each_incident_in_its_own_thread():
    """The warning that was told first would stay open for ever."""
    card = Card()
    told = []
    for ratio in (0.85, 0.95, 0.85, 0.5):
        card.read(ratio)
        told += card.told
    assert [(item.reason, item.alertname, item.incident, item.root) for item in told] == [
        ("first", "Warning", "id1", "id1"),
        ("first", "Critical", "id2", "id2"),
        ("lowered", "Warning", "id2", "id2"),
        ("resolved", "Warning", "id1", "id1"),
    ]


def test_what_was_never_told_does_not_end():
    """People get the all-clear of a warning that they never saw, beside the one that they did."""
    card = Card()
    card.read(0.95)
    assert card.read(0.5) == [("resolved", "Critical")]


def test_a_mute_holds_while_the_graver_one_is_unknown_or_held():
    """A driver that hangs for a minute would bring the lesser mail after the grave one."""
    card = Card(rules("{override: Critical, keep_firing_for: 1m}"))
    card.read(0.95)
    assert [card.read(None), card.read(0.85), card.read(0.85)] == [[], [], []]


def test_a_card_that_is_empty_again_is_resolved_though_the_lesser_one_is_held_for_longer():
    """The usual end of a job would be a WARNING about a card that is 10 % full."""
    card = Card(rules("{override: Warning, keep_firing_for: 1m}", "{override: Info, keep_firing_for: 1m}"))
    card.read(0.95)
    assert card.read(0.1) == [("resolved", "Critical")]
    assert [card.read(0.1), card.read(None)] == [[], []]
    assert card.read(0.85) == [("first", "Warning")]
    for _ in range(6):
        assert card.read(0.1) == []
    assert card.read(0.1) == [("resolved", "Warning")]


def test_two_that_end_at_once_and_one_that_is_left():
    """One of two incidents would never end, or both would end in the same mail."""
    card = Card()
    card.read(0.85)
    card.read(0.95)
    assert card.read(0.75) == [("resolved", "Warning"), ("lowered", "Info")]
    assert [(item.incident, item.root) for item in card.told] == [("id1", "id1"), ("id2", "id2")]


def test_of_two_that_are_left_the_graver_one_lowers_and_the_other_is_told():
    """Two mails would each claim to be what is left, or one would never be told."""
    card = Card(rules("{override: Info, muted_by: [Critical]}"))
    card.read(0.95)
    assert card.read(0.85) == [("lowered", "Warning"), ("first", "Info")]


@pytest.mark.parametrize(
    "override",
    ["{override: Critical, enabled: false}", "{override: Critical, above: 0.99}", "{override: Warning, muted_by: []}"],
)
def test_a_mute_that_is_taken_away_lets_the_lesser_one_speak(override):
    """After a change of the rules a card would be full and nobody would ever hear of it."""
    card = Card()
    card.read(0.95)
    card.rules = rules(override)
    (told,) = card.read(0.95)
    assert told == (("lowered" if "0.99" in override else "first"), "Warning")
    assert card.read(0.95) == []
    assert ("resolved", "Warning") in card.read(0.5)


def test_a_series_that_is_excluded_lets_the_lesser_one_speak():
    """An override for one card would silence the warning about it too."""
    card = Card()
    card.read(0.95, 0.95)
    card.rules = rules('{override: Critical, where: {gpu: "1"}, enabled: false}')
    assert card.read(0.95, 0.95) == [("first", "Warning")]
    assert dict(card.told[0].labels)["gpu"] == "1"


def test_what_fired_in_a_demo_stays_marked_when_it_is_told_later():
    """A mail about a simulated card would read like a real one."""
    card = Card()
    card.read(0.95, simulated=True)
    card.read(0.85)
    assert [item.simulated for item in card.told] == [True]


def test_the_labels_of_the_rule_are_carried_and_are_no_part_of_the_identity():
    """Mails could not be sorted by team, or a new label would open every incident anew."""
    card = Card(rules("{override: Critical, labels: {team: vision}}"))
    card.read(0.95)
    assert dict(card.told[0].labels) == {**OWN, "gpu": "0", "uuid": "GPU-0", "team": "vision"}
    assert {name for key in card.states for name, _ in key.labels} == {"job", "instance", "gpu", "uuid"}


class TestBehindAlertmanager:
    @staticmethod
    def post(box, name, status="firing", after=1.0, **keys):
        severity = {"Critical": "critical", "Warning": "warning", "Info": "info"}[name]
        told = box.post(posted(status, alertname=name, severity=severity, **keys), after=after)
        return [(item.reason, item.alertname, item.root) for item in told]

    def test_the_lesser_one_after_the_end_of_the_graver_is_lowered(self):
        """Where Alertmanager judges, a card that is still 84 % full would look like a new incident."""
        box = Box(rules())
        assert self.post(box, "Critical", start=NOW) == [("first", "Critical", "id1")]
        assert self.post(box, "Critical", "resolved", start=NOW, end=NOW + 60, after=60) == [
            ("resolved", "Critical", "id1")
        ]
        assert self.post(box, "Warning", start=NOW, after=20) == [("lowered", "Warning", "id1")]
        assert self.post(box, "Warning", "resolved", start=NOW, end=NOW + 300, after=300) == [
            ("resolved", "Warning", "id1")
        ]

    def test_the_lesser_one_before_the_end_of_the_graver_is_in_its_thread(self):
        """Two threads would tell of one card, in an order that makes no sense, or the lesser one would be lost."""
        box = Box(rules())
        self.post(box, "Critical", start=NOW)
        assert self.post(box, "Warning", start=NOW, after=60) == [("first", "Warning", "id1")]
        assert self.post(box, "Critical", "resolved", start=NOW, end=NOW + 60) == [("resolved", "Critical", "id1")]
        assert self.post(box, "Warning", "resolved", start=NOW, end=NOW + 90) == [("resolved", "Warning", "id1")]

    def test_the_graver_one_may_say_more_than_the_lesser(self):
        """A card that is hot and therefore slow would be two threads, since only one of the two names a reason."""
        box = Box(load_rules(SHIPPED, []))
        box.post(posted(alertname="GpuThermalThrottling", severity="warning", reason="hw_thermal", start=NOW))
        told = box.post(posted(alertname="GpuTemperatureMarginLow", severity="warning", start=NOW))
        assert [(item.reason, item.root) for item in told] == [("first", "id1")]
        told = box.post(posted(alertname="GpuTemperatureMarginLow", severity="warning", start=NOW, gpu="1", uuid="b"))
        assert [(item.reason, item.root) for item in told] == [("first", "id3")]

    def test_of_several_that_are_over_it_is_the_gravest(self):
        """The mail would say "no longer warning" of a card of which people know that it was critical."""
        box = Box(rules())
        self.post(box, "Critical", start=NOW)
        self.post(box, "Warning", start=NOW)
        self.post(box, "Critical", "resolved", start=NOW, end=NOW + 10)
        self.post(box, "Warning", "resolved", start=NOW, end=NOW + 10)
        (told,) = box.post(posted(alertname="Info", severity="info", start=NOW))
        assert (told.reason, told.graver.alertname) == ("lowered", "Critical")

    def test_beside_several_it_is_in_the_thread_of_the_gravest(self):
        """The mail would answer another one than the text of it is about."""
        box = Box(rules())
        self.post(box, "Warning", start=NOW)
        self.post(box, "Critical", start=NOW)
        assert self.post(box, "Info", start=NOW) == [("first", "Info", "id2")]

    def test_a_graver_one_that_fires_again_is_not_over(self):
        """A card that is 95 % full would be called no longer critical."""
        box = Box(rules())
        self.post(box, "Critical", start=NOW)
        self.post(box, "Critical", "resolved", start=NOW, end=NOW + 1)
        assert self.post(box, "Critical", start=NOW + 30, after=30) == [("first", "Critical", "id3")]
        assert self.post(box, "Warning", start=NOW) == [("first", "Warning", "id3")]

    def test_the_labels_of_the_rule_are_no_part_of_the_identity(self):
        """The two modes would remember different alerts, or a label that changes would never let one end."""
        box = Box(rules("{override: Critical, labels: {team: vision}}"))
        self.post(box, "Critical", start=NOW, team="vision")
        ((key, _),) = box.states.items()
        assert dict(key.labels) == {"gpu": "0", "uuid": "GPU-a", "job": "gpuwarden", "instance": "box:9400"}
        told = self.post(box, "Critical", "resolved", start=NOW, end=NOW + 9, team="speech")
        assert told == [("resolved", "Critical", "id1")]

    def test_what_comes_later_or_is_of_another_card_is_news(self):
        """An alert of tomorrow would be hidden in a thread of today."""
        box = Box(rules())
        self.post(box, "Critical", start=NOW)
        self.post(box, "Critical", "resolved", start=NOW, end=NOW + 5)
        assert self.post(box, "Warning", start=NOW, gpu="1", uuid="GPU-b") == [("first", "Warning", "id3")]
        box.now += LATELY_SECONDS
        assert self.post(box, "Warning", start=NOW) == [("first", "Warning", "id4")]


MOMENTS = """
rules:
  - {alert: Grave, metric: gpu_xid_last_timestamp_seconds, where: {class: hardware}, within: 10m, severity: critical,
     when_gone: end, summary: "XID {{ xid }}, {{ value }} ago"}
  - {alert: Slight, metric: gpu_xid_last_timestamp_seconds, where: {class: driver}, within: 20m, severity: info,
     summary: s, muted_by: [Grave]}
"""


class TestMoments:
    """An XID at NOW, by rules that call it news for ten minutes."""

    @staticmethod
    def xids(now, *classes):
        labels = [OWN | {"gpu": "0", "uuid": "GPU-0", "xid": "79", "class": kind} for kind in classes]
        row = tuple(Sample(label_set(found), NOW) for found in labels)
        return Scrape(
            "", OWN["job"], OWN["instance"], now, None, MappingProxyType({"gpu_xid_last_timestamp_seconds": row})
        )

    @pytest.mark.parametrize("later", [("hardware",), ()])
    def test_it_ends_in_silence_and_is_forgotten(self, tmp_path, caplog, later):
        """At three in the morning a mail says RESOLVED of a broken card that nobody has repaired."""
        caplog.set_level(logging.INFO)

        async def story(store):
            decisions = Decisions(store, in_force(rules_of([parse(MOMENTS, "moments.yml")]), ["me@example.com"]))
            for now, classes in ((NOW + 3, ("hardware",)), (NOW + 603, later)):
                visit = self.xids(now, *classes)
                found = judge(decisions.rules, [visit], decisions.states, now, max_gap=20.0)
                await decisions.commit(found, [visit], now=now)
            return decisions

        with Store.open(tmp_path) as store:
            decisions = asyncio.run(story(store))
            assert store.load_states() == {}
        assert decisions.counted == {"first": 1}
        assert decisions.suppressed == {"moment": 1}
        assert "moment: what happened once has no end" in caplog.text

    def test_behind_alertmanager_too(self):
        """The mail that is noise in one mode would be sent in the other."""
        box = Box(rules_of([parse(MOMENTS, "moments.yml")]))
        xid = {"alertname": "Grave", "severity": "critical", "xid": "79", "class": "hardware"}
        slight = xid | {"alertname": "Slight", "severity": "info", "class": "driver"}
        assert [item.reason for item in box.post(posted(**xid, start=NOW))] == ["first"]
        assert box.post(posted("resolved", **xid, start=NOW, end=NOW + 600), after=600) == []
        assert box.states == {}
        assert [item.reason for item in box.post(posted(**slight, start=NOW))] == ["first"]

    def test_what_is_left_of_it_is_told_as_news(self):
        """A mail would call the broken card no longer critical."""
        rules, states, told = rules_of([parse(MOMENTS, "moments.yml")]), {}, []
        for now in (NOW + 3, NOW + 603):
            visit = self.xids(now, "hardware", "driver")
            changes = judge(rules, [visit], states, now, max_gap=20.0)
            found, after = notifications(changes, [visit], ["me@example.com"], lambda: "id")
            told += found
            states = {change.key: change.state for change in after if change.state}
        assert [(item.reason, item.alertname) for item in told] == [("first", "Grave"), ("first", "Slight")]


def test_nobody_is_told_says_the_log_and_why(tmp_path, caplog):
    """Someone who looks for a missing mail would find nothing."""
    caplog.set_level(logging.INFO)
    labels = label_set(OWN | {"gpu": "0"})

    async def story(store):
        decisions = Decisions(store, in_force(rules(), ["me@example.com"]))
        for ratio in (0.95, 0.5):
            samples = MappingProxyType({"gpu_memory_used_ratio": (Sample(labels, ratio),)})
            visit = Scrape("", OWN["job"], OWN["instance"], NOW, None, samples)
            found = judge(decisions.rules, [visit], decisions.states, NOW, max_gap=20.0)
            await decisions.commit(found, [visit], now=NOW)
        return decisions

    with Store.open(tmp_path) as store:
        decisions = asyncio.run(story(store))
    assert decisions.counted == {"first": 1, "resolved": 1}
    assert decisions.suppressed == {"muted": 2, "untold": 2}
    assert "muted: a graver alert fires on the same series" in caplog.text
