import itertools
import math
from dataclasses import replace

import pytest

from alerts.compose_mail import compose
from alerts.judge_post import DISAGREE_SECONDS, LATE_SECONDS, judge_post
from alerts.mail_settings import MailSettings
from alerts.mail_view import view_of
from alerts.notify.due import notifications
from alerts.rules import SHIPPED, load_rules, rules_of
from alerts.state import AlertKey
from alerts.webhook import parse_post
from gpuwarden.documents import parse
from tests.fakes.alertmanager_posts import payload, posted

NOW = 1_800_000_000.0
RULES = load_rules(SHIPPED, [])
KEY = AlertKey("GpuMemoryAlmostFull", (("gpu", "0"), ("instance", "box:9400"), ("job", "gpuwarden"), ("uuid", "GPU-a")))


class Box:
    """What is remembered from post to post."""

    def __init__(self, rules=RULES):
        self.rules, self.states, self.ended, self.now = rules, {}, {}, NOW
        self._ids = (f"id{number}" for number in itertools.count(1))

    def post(self, *alerts, after=1.0, sender="http://one:9093"):
        """What is told because of these alerts."""
        self.now += after
        post = parse_post(payload(*alerts, externalURL=sender))
        changes, over = judge_post(post, self.rules, self.states, self.ended, self.now)
        told, changes = notifications(changes, (), ["me@example.com"], lambda: next(self._ids))
        for change in changes:
            self.states[change.key] = change.state
        self.states = {key: state for key, state in self.states.items() if state}
        self.ended |= over
        return told


def test_firing_and_resolved_are_one_incident_that_reads_as_embedded():
    """The mails of the two modes would tell different stories of the same card."""
    box = Box()
    (first,) = box.post(posted(start=NOW - 30))
    assert box.states[KEY].phase == "firing"
    (resolved,) = box.post(posted("resolved", start=NOW - 30, end=NOW))

    assert (first.reason, first.incident, resolved.reason, resolved.root) == ("first", "id1", "resolved", "id1")
    assert first.summary == "GPU 0 memory is 95.0 % full"
    assert first.action.startswith("The next allocation may fail")
    assert (first.metric, first.threshold, first.comparison) == ("gpu_memory_used_ratio", 0.9, "above")
    assert (first.severity, first.value, first.started_at) == ("critical", 0.95, NOW - 30)
    assert (first.labels, first.host) == (KEY.labels, "box:9400")
    assert (resolved.value, resolved.summary) == (None, "GPU 0 memory is 95.0 % full")
    assert resolved.started_at == NOW - 30
    assert box.states == {}


def test_the_same_post_again_is_no_news():
    """Each retry, each peer and each repeat_interval of Alertmanager would be a mail."""
    box = Box()
    assert len(box.post(posted(start=NOW))) == 1
    assert box.post(posted(start=NOW)) == []
    assert box.post(posted(start=NOW + 1, value="0.99")) == []
    assert len(box.post(posted("resolved", start=NOW, end=NOW))) == 1
    assert box.post(posted("resolved", start=NOW, end=NOW)) == []


def test_resolved_for_an_alert_that_nobody_was_told_of_is_silent():
    """A stranger's all-clear would puzzle people."""
    assert Box().post(posted("resolved", start=NOW, end=NOW)) == []


def test_the_earliest_start_wins():
    """Two peers that disagree would make the incident look younger than it is."""
    box = Box()
    box.post(posted(start=NOW - 10))
    assert box.post(posted(start=NOW - 60)) == []
    (resolved,) = box.post(posted("resolved", start=NOW - 10, end=NOW))

    assert resolved.started_at == NOW - 60


@pytest.mark.parametrize("start", [None, NOW + 3600])
def test_a_start_that_is_unknown_or_in_the_future_is_now(start):
    """A mail would say that an alert begins in an hour."""
    (first,) = Box().post(posted(start=start))

    assert first.started_at == first.at == NOW + 1


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
    assert (again.reason, again.incident, again.started_at) == ("first", "id3", NOW)
    assert box.post(posted(start=NOW), sender=sender) == []
    (resolved,) = box.post(posted("resolved", start=NOW, end=NOW + 3600), after=3600)
    assert (resolved.reason, resolved.incident) == ("resolved", "id3")


def test_each_peer_that_posted_the_end_can_take_the_alert_up_again():
    """In a cluster the alert that goes on would be taken for a copy."""
    box = ended_box()
    assert box.post(posted("resolved", start=NOW, end=NOW + 1), sender=PEER) == []
    assert len(box.post(posted(start=NOW), sender=PEER)) == 1


def test_what_fires_and_is_over_in_one_post_fires():
    """A rule whose severity was changed while it fired would be called off and stay silent."""
    for turned in (1, -1):
        box = Box()
        box.post(posted(start=NOW))
        both = [posted("resolved", start=NOW, end=NOW + 5), posted(start=NOW + 5, severity="warning")]
        box.post(*both[::turned], after=10)
        assert list(box.states) == [KEY]


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
    assert (resolved.incident, resolved.started_at) == ("id3", NOW + 2)


class TestEndNeverPosted:
    """An alert that ends under a silence, or between two flushes of its group, is never posted as resolved."""

    def test_the_next_run_is_an_incident_of_its_own(self):
        """The card fills up again a day after a silence, and nobody would be told."""
        box = Box()
        box.post(posted(start=NOW))
        start = NOW + 86400
        (again,) = box.post(posted(start=start, value="0.97"), after=86400 + 30)
        assert (again.reason, again.incident, again.started_at, again.value) == ("first", "id2", start, 0.97)
        assert box.post(posted(start=start)) == []
        assert box.post(posted(start=NOW)) == []
        assert box.post(posted("resolved", start=NOW, end=NOW + 600)) == []
        (resolved,) = box.post(posted("resolved", start=start, end=start + 99), after=99)
        assert (resolved.incident, resolved.started_at) == ("id2", start)

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


def test_alerts_that_a_post_leaves_out_stay_as_they_are():
    """A post that was cut off would send all-clears for what still burns."""
    box = Box()
    box.post(posted(start=NOW), posted(start=NOW, gpu="1", uuid="GPU-b"))
    assert [item.reason for item in box.post(posted("resolved", start=NOW, end=NOW))] == ["resolved"]
    assert len(box.states) == 1


def test_watchdog_is_never_told():
    """The sign of life would be a mail every few hours."""
    assert Box().post(posted(alertname="Watchdog", severity="none")) == []


@pytest.mark.parametrize(("value", "known"), [("+Inf", math.inf), ("NaN", None), ("95%", None)])
def test_a_value_that_is_none_is_not_made_up(value, known):
    """A mail would state a reading that nobody took."""
    (first,) = Box().post(posted(value=value))

    assert first.value == known
    assert "95" not in first.summary


def test_an_override_for_some_series_gives_its_own_threshold():
    """The mail about one card would name the threshold of the others."""
    own = parse(
        "rules: [{override: GpuMemoryAlmostFull, where: {gpu: '1'}, above: 0.97, severity: warning}]", "own.yml"
    )
    box = Box(rules_of([parse(SHIPPED.read_text(), "rules.yml"), own]))
    plain, special = box.post(posted(value="0.98"), posted(gpu="1", uuid="GPU-b", value="0.98", severity="warning"))

    assert (plain.threshold, plain.severity) == (0.9, "critical")
    assert (special.threshold, special.severity) == (0.97, "warning")


def test_a_label_that_the_rule_file_renamed_has_its_own_name():
    """The mail would lack the label by which people know the series."""
    rule = replace(RULES[0], alert="GpuEcc", metric="gpu_ecc_errors_total", summary="{{ severity }} errors")
    (first,) = Box((rule,)).post(posted(alertname="GpuEcc", exported_severity="uncorrected"))

    assert dict(first.labels)["severity"] == "uncorrected"
    assert (first.summary, first.severity) == ("uncorrected errors", "critical")


class TestForeign:
    """Alerts of rules that are not ours."""

    def test_it_is_told_in_its_own_words(self):
        """An alert of the user's own Prometheus rules would be dropped or make no sense."""
        texts = {"summary": "Disk {{ gpu }} is slow", "description": "Look at iostat."}
        (first,) = Box().post(posted(alertname="SlowDisk", annotations=texts, severity="page"))
        view = view_of(first)

        assert (first.alertname, first.severity) == ("SlowDisk", "warning")
        assert view.summary == "Disk { { gpu }} is slow"
        assert view.action == "Look at iostat."
        assert [name for name, _ in view.facts] == ["Since", "Decided"]
        assert "not a number" not in compose(first, MailSettings()).data.decode()

    @pytest.mark.parametrize(
        ("annotations", "summary"), [({"description": "slow"}, "slow"), ({}, "SlowDisk"), ({"summary": ""}, "SlowDisk")]
    )
    def test_it_always_has_a_summary(self, annotations, summary):
        """The subject of the mail would be empty."""
        (first,) = Box().post(posted(alertname="SlowDisk", annotations=annotations))

        assert (first.summary, first.action) == (summary, "")

    def test_warning_and_critical_are_two(self):
        """The critical alert would be swallowed because the warning of the same name is open."""
        box = Box()
        told = box.post(posted(alertname="X", severity="warning"), posted(alertname="X", severity="critical"))
        assert [item.severity for item in told] == ["warning", "critical"]
        (resolved,) = box.post(posted("resolved", alertname="X", severity="critical"))
        assert resolved.incident == told[1].incident

    def test_it_is_the_same_alert_after_its_rule_came_or_went(self):
        """A reload of the rules would leave an incident open for ever."""
        box = Box()
        (first,) = box.post(posted(start=NOW))
        box.rules = ()
        assert box.post(posted(start=NOW)) == []
        (resolved,) = box.post(posted("resolved", start=NOW, end=NOW))
        assert resolved.incident == first.incident
        (first,) = box.post(posted(start=NOW + 5), after=10)
        box.rules = RULES
        (resolved,) = box.post(posted("resolved", start=NOW + 5, end=NOW + 6))
        assert resolved.incident == first.incident

    def test_texts_from_outside_are_bounded_and_harmless(self):
        """A label could forge a header, hide text, or fill the disk."""
        hostile = "a\r\nBcc: eve@example.com\u202e" + "y" * 100_000
        (first,) = Box().post(posted(alertname=hostile, annotations={"summary": hostile, "description": hostile}))
        data = compose(first, MailSettings()).data

        assert len(first.summary) <= 1001
        assert len(first.alertname) <= 200
        assert b"\r\nBcc:" not in data
        assert data.isascii()
