"""Whatever fires, and whatever its labels hold, the command in its mail silences that alert and does nothing else."""

import os
import shlex
import subprocess
from dataclasses import replace
from html import unescape
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import escape

from alerts.compose_mail import render
from alerts.judge import judge
from alerts.mail_view import view_of
from alerts.matcher_text import read_matcher
from alerts.matchers import Matcher
from alerts.notify.due import notifications
from alerts.notify.mute_command import mute_command
from alerts.notify.silence import Silence
from alerts.rules import rules_of
from alerts.series import Sample, Scrape, label_set
from alerts.state import AlertKey
from gpuwarden.documents import parse
from tests.fakes.alertmanager_posts import posted
from tests.fakes.posted_to import Box
from tests.golden.example_mails import FIRING, RESOLVED
from tests.property.test_suggestion import NASTY, RULES, SIMPLE, alerts

OWN = {"job": "gpuwarden", "instance": "box:9400"}
WORDS = ["gpuwarden", "silence", "add", "--for", "4h"]


def matchers_of(command):
    words = shlex.split(command)
    assert words[:5] == WORDS
    return tuple(Matcher(*read_matcher(word)) for word in words[5:])


def covers(command, key, rule):
    silence = Silence(id="", matchers=matchers_of(command), starts_at=0, ends_at=1, updated_at=0)
    return silence.covers(key, rule)


def notification_of(rule, labels):
    """What is told of the alert of ``rule`` on the series with these labels."""
    return replace(FIRING, alertname=rule.alert, metric=rule.metric, comparison=rule.comparison, labels=labels)


@settings(max_examples=300)
@given(alerts(SIMPLE | NASTY))
def test_it_is_one_line_of_plain_words_that_ask_for_the_labels_of_this_alert(alert):
    """A process with an evil name would run a command in the shell of whoever pastes from the mail."""
    rule, labels, _ = alert
    notification = notification_of(rule, labels)
    command = mute_command(notification)
    assert view_of(notification).mute == command
    if command:
        assert command.splitlines() == [command] == [" ".join(command.split())]
        mine = {*dict(labels).values(), rule.alert}
        assert all(matcher.operator == "=" and matcher.value in mine for matcher in matchers_of(command))


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from(["uuid", "instance", "note"]), SIMPLE | NASTY, min_size=1))
def test_a_shell_takes_it_for_words_and_nothing_else(labels):
    """What looks quoted to us would be a second command to sh."""
    command = mute_command(replace(FIRING, metric="", labels=label_set(labels)))
    if command:
        script = f'gpuwarden() {{ printf "%s\\0" "$@"; }}\n{command}\n'
        ran = subprocess.run(["sh", "-c", script], capture_output=True, env={"PATH": os.environ["PATH"]}, check=True)
        assert ran.stdout.decode().split("\0")[:-1] == shlex.split(command)[1:]


@settings(max_examples=200)
@given(alerts(SIMPLE))
def test_it_covers_its_own_alert_as_it_is_judged_here(alert):
    """The command would be taken, and the mails would go on."""
    rule, labels, _ = alert
    labels = label_set({name: " ".join(text.split()) or "x" for name, text in labels} | OWN)
    key_labels = labels if rule.comparison != "absent" else label_set(OWN)
    command = mute_command(notification_of(rule, key_labels))
    if command and rule.metric and rule.series_labels:
        assert covers(command, AlertKey(rule.alert, key_labels), rule)


ECC = """
rules:
  - {alert: Ecc, metric: gpu_ecc_errors_total, above: 0, severity: critical, summary: s, labels: {team: vision}}
  - {alert: Load, metric: node_load1, unit: count, above: 0, severity: warning, summary: s}
"""


def test_a_label_is_called_as_in_the_alert_whoever_judges():
    """A command for Alertmanager would ask for a label that the alert has under another name, and silence nothing."""
    rules = rules_of([parse(ECC, "ecc.yml")])
    labels = {"gpu": "0", "uuid": "GPU-0", "severity": "uncorrected", "memory": "dram"}
    row = (Sample(label_set(OWN | labels), 1.0),)
    other = (Sample(label_set(OWN | {"severity": "a", "exported_severity": "b"}), 1.0),)
    visit = Scrape("", *OWN.values(), 1.8e9, None, MappingProxyType({"gpu_ecc_errors_total": row, "node_load1": other}))
    changes = judge(rules, [visit], {}, 1.8e9, max_gap=20.0)
    ecc, load = (mute_command(item) for item in notifications(changes, [visit], ["me"], lambda: "id")[0])
    assert "exported_severity=uncorrected" in ecc
    assert "team" not in ecc
    assert load.endswith("alertname=Load instance=box:9400 exported_exported_severity=b exported_severity=a")
    assert all(covers(command, change.key, change.rule) for command, change in zip((ecc, load), changes, strict=True))


def test_an_alert_that_no_rule_of_ours_knows_is_named_as_it_was_posted():
    """The command about another team's alert would not fit it."""
    box = Box()
    (told,) = box.post(posted(alertname="Theirs", severity="page", uuid=None, gpu=None, team="a b"))
    assert mute_command(told) == (
        "gpuwarden silence add --for 4h alertname=Theirs instance=box:9400 severity=page 'team=\"a b\"'"
    )


def test_there_is_none_where_it_would_silence_too_much_or_nothing():
    """A mail about one card would offer to silence all, or a RESOLVED mail something that is over."""
    assert mute_command(RESOLVED) == ""
    assert mute_command(replace(FIRING, labels=(("uuid", "x" * 100),))) == ""
    assert mute_command(replace(FIRING, labels=(("uuid", "a\nb"),))) == ""
    assert mute_command(replace(FIRING, metric="", labels=(("labels_cut", "00"), ("uuid", "a")))) == ""
    assert mute_command(replace(FIRING, metric="", labels=(("x-y", "a"),))) == ""
    assert mute_command(replace(FIRING, labels=())) == "gpuwarden silence add --for 4h alertname=GpuMemoryAlmostFull"


@settings(max_examples=50)
@given(SIMPLE | NASTY)
def test_in_the_html_it_is_text_and_nothing_else(text):
    """A label could bring a picture or a link of a stranger into the mail."""
    notification = replace(FIRING, metric="", labels=label_set({"uuid": f"<b>'&\"{text}"}))
    html = render("firing.html", view_of(notification))
    assert "<b>'" not in html
    if command := mute_command(notification):
        assert unescape(html).count(command) == 1
        assert html.count(str(escape(command))) == 1


def test_the_shipped_rules_have_one():
    """The alerts that people get would be those without the command."""
    assert any(rule.metric for rule in RULES)
    assert mute_command(FIRING) == (
        "gpuwarden silence add --for 4h alertname=GpuMemoryAlmostFull uuid=GPU-5f3c2a10-8c3e-4d0b-9a77-0d3f1b2c4e5f"
    )
