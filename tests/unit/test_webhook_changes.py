import math
from dataclasses import replace

import pytest

from alerts.compose_mail import compose
from alerts.mail_settings import MailSettings
from alerts.mail_view import view_of
from alerts.rules import SHIPPED, rules_of
from gpuwarden.documents import parse
from tests.fakes.alertmanager_posts import posted
from tests.fakes.posted_to import FOR, KEY, NOW, RULES, Box


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
    assert (first.severity, first.value, first.started_at) == ("critical", 0.95, NOW - 30 - FOR)
    assert FOR > 0
    assert (first.labels, first.host) == (KEY.labels, "box:9400")
    assert (resolved.value, resolved.summary) == (None, "GPU 0 memory is 95.0 % full")
    assert resolved.started_at == NOW - 30 - FOR
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

    assert resolved.started_at == NOW - 60 - FOR


@pytest.mark.parametrize("start", [None, NOW + 3600])
def test_a_start_that_is_unknown_or_in_the_future_is_now(start):
    """A mail would say that an alert begins in an hour."""
    (first,) = Box().post(posted(start=start))

    assert first.started_at == NOW + 1 - FOR


def test_what_fires_and_is_over_in_one_post_fires():
    """A rule whose severity was changed while it fired would be called off and stay silent."""
    for turned in (1, -1):
        box = Box()
        box.post(posted(start=NOW))
        both = [posted("resolved", start=NOW, end=NOW + 5), posted(start=NOW + 5, severity="warning")]
        box.post(*both[::turned], after=10)
        assert list(box.states) == [KEY]


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


def test_a_label_of_the_series_that_the_rule_has_too_is_its_own_again():
    """The mail would name the rule's team for the series', and the alert would not be the one without Prometheus."""
    keys = "metric: m, unit: count, above: 5, where: {team: a}, labels: {team: vision}, severity: info"
    box = Box(rules_of([parse(f'rules: [{{alert: A, {keys}, summary: "of {{{{ team }}}}"}}]', "own.yml")]))
    (first,) = box.post(posted(alertname="A", team="vision", exported_team="a", severity="info"))

    assert first.summary == "of a"
    assert (dict(first.labels)["team"], dict(first.labels)["exported_team"]) == ("vision", "a")
    (key,) = box.states
    assert dict(key.labels)["team"] == "a"
    assert "exported_team" not in dict(key.labels)


class TestForeign:
    """Alerts of rules that are not ours."""

    def test_it_is_told_in_its_own_words(self):
        """An alert of the user's own Prometheus rules would be dropped or make no sense."""
        texts = {"summary": "Disk {{ gpu }} is slow", "description": "Look at iostat."}
        (first,) = Box().post(posted(alertname="SlowDisk", annotations=texts, severity="page", start=NOW - 30))
        view = view_of(first)

        assert first.started_at == NOW - 30
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
