"""Who is told of which alert, from the settings to the notification."""

from dataclasses import replace

import pytest

from alerts.notify.routes import Routes
from alerts.route_settings import RouteSettings, unknown_commands
from alerts.rules import SHIPPED, load_rules, rules_of
from alerts.series import label_set
from alerts.settings import AlerterSettings
from alerts.state import AlertKey
from gpuwarden import settings
from gpuwarden.documents import DocumentError, parse
from tests.fakes.own_judge import OwnJudge, rules

HOUR = 3600.0
ANN, BOB, TEAM, PUSH = "ann@example.com", "Bob <bob@example.com>", "team@example.com", "command:push"
ME = "me@example.com"
MAIL = "mail: {host: smtp.example.com, from: a@example.com, to: [me@example.com]}"


def load(tmp_path, text):
    file = tmp_path / "gpuwarden.yml"
    file.write_text(f"alerter:\n  {MAIL}\n  routes:\n{text}\n")
    return settings.load("alerter", AlerterSettings, config=file, environ={}).values


def routes(*entries):
    return tuple(RouteSettings(**entry) for entry in entries)


def recipients(entries, key, rule):
    found = AlerterSettings(routes=routes(*entries)).policy.routes
    return Routes(found, (ME,)).recipients(key, rule)


NIGHT = {"where": {"severity": "critical"}, "to": (ANN,), "commands": ("push",)}
CARD_1 = {"where": {"gpu": "1"}, "to": (BOB, TEAM), "repeat": HOUR}
MEMORY = {"where": {"alertname": "=~Gpu.*", "job": "!other"}, "to": (TEAM,), "continue_": True}


@pytest.mark.parametrize(
    ("entries", "severity", "gpu", "told"),
    [
        ((), "critical", "0", (ME,)),
        ((NIGHT, CARD_1), "critical", "1", (ANN, PUSH)),
        ((NIGHT, CARD_1), "warning", "1", (BOB, TEAM)),
        ((NIGHT, CARD_1), "warning", "0", (ME,)),
        ((MEMORY, NIGHT), "critical", "0", (TEAM, ANN, PUSH)),
        ((MEMORY, CARD_1), "warning", "1", (TEAM, BOB)),
        ((MEMORY, CARD_1), "warning", "0", (TEAM,)),
        (({"to": (ANN,)}, NIGHT), "critical", "0", (ANN,)),
        (({"to": (ANN, "Ann <ANN@example.com>")},), "critical", "0", (ANN,)),
    ],
)
def test_the_first_route_that_means_an_alert_says_who_is_told(entries, severity, gpu, told):
    """The one who has to act does not get the mail, or everyone gets every mail, or one person two."""
    rule = next(rule for rule in load_rules(SHIPPED, []) if rule.alert == "GpuMemoryAlmostFull")
    key = AlertKey(rule.alert, label_set({"gpu": gpu, "job": "gpuwarden", "instance": "box:9400"}))
    assert recipients(entries, key, replace(rule, severity=severity)) == told


def test_a_label_of_the_series_that_is_called_like_one_of_the_alert_has_its_name_there():
    """A route for grave alerts takes those of a series whose own label happens to say so."""
    text = (
        "rules: [{alert: Ecc, metric: gpu_ecc_errors_total, above: 0, severity: warning, summary: s, labels: {t: a}}]"
    )
    (rule,) = rules_of([parse(text, "own.yml")])
    key = AlertKey("Ecc", label_set({"gpu": "0", "severity": "critical"}))
    for where, meant in [
        ({"severity": "critical"}, False),
        ({"exported_severity": "critical"}, True),
        ({"t": "a", "severity": "warning"}, True),
    ]:
        assert recipients([{"where": where, "to": (ANN,)}], key, rule) == ((ANN,) if meant else (ME,))


def test_whoever_was_told_hears_of_the_end_and_nobody_else(tmp_path):
    """Somebody who was woken is never told that it is over, or somebody gets the end of what they know nothing of."""
    with OwnJudge(tmp_path, routes=routes(NIGHT)) as box:
        box.read(0.95)
        assert box.told[-1].recipients == (ANN, PUSH)
        box.routes = routes({"to": (BOB,)})
        box.restart()
        assert box.read(0.95, after=4 * HOUR) == [("repeat", "Critical")]
        assert box.told[-1].recipients == (ANN, PUSH)
        assert box.read(0.5) == [("resolved", "Critical")]
        assert box.told[-1].recipients == (ANN, PUSH)
        box.read(0.95)
        assert box.told[-1].recipients == (BOB,)


def test_a_fall_by_a_rung_is_told_to_those_of_both(tmp_path):
    """Who was woken for the grave alert does not hear that it is over, or who must act on the lesser one nothing."""
    both = routes(NIGHT, {"where": {"severity": "warning"}, "to": (TEAM,)})
    with OwnJudge(tmp_path, routes=both) as box:
        box.read(0.95)
        assert box.read(0.85) == [("lowered", "Warning")]
        assert box.told[-1].recipients == (ANN, PUSH, TEAM)
        assert box.read(0.5) == [("resolved", "Warning")]
        assert box.told[-1].recipients == (ANN, PUSH, TEAM)
    with OwnJudge(tmp_path / "up", routes=both) as box:
        for ratio in (0.85, 0.95, 0.85, 0.5):
            box.read(ratio)
        assert [(item.reason, item.recipients) for item in box.told] == [
            ("first", (TEAM,)),
            ("first", (ANN, PUSH)),
            ("lowered", (ANN, PUSH)),
            ("resolved", (TEAM, ANN, PUSH)),
        ]


def test_what_flaps_goes_to_the_routes_and_its_end_to_the_same(tmp_path):
    """The one mail that says why no more mails come goes to somebody else."""
    with OwnJudge(tmp_path, routes=routes(NIGHT)) as box:
        for ratio in (0.95, 0.5) * 4:
            box.read(ratio, after=60.0)
        box.restart()
        box.go_on(0.5, seconds=HOUR)
        assert [item.reason for item in box.told[-2:]] == ["flapping", "resolved"]
        assert {item.recipients for item in box.told} == {(ANN, PUSH)}


def test_a_route_has_its_own_time_to_tell_again(tmp_path):
    """The card that somebody watches closely nags everyone else too, or not at all."""
    found = routes(CARD_1, {"where": {"gpu": "2"}, "to": (ANN,), "repeat": 0})
    with OwnJudge(tmp_path, rules("{override: Warning, enabled: false}"), routes=found) as box:
        box.read(0.95, 0.95, 0.95)
        box.read(0.95, 0.95, 0.95, after=HOUR)
        assert [dict(item.labels)["gpu"] for item in box.told[3:]] == ["1"]
        box.read(0.95, 0.95, 0.95, after=3 * HOUR)
        assert [dict(item.labels)["gpu"] for item in box.told[4:]] == ["0", "1"]
    assert AlerterSettings(routes=found).policy.shortest_repeat == HOUR


def test_routes_come_from_the_file(tmp_path):
    """What stands in the file is not what is done."""
    text = """\
    - where: {severity: critical, gpu: "=~0|1"}
      to: [ann@example.com]
      repeat: 30m
      continue: true
    - to: [Bob <bob@example.com>]
    """
    found = load(tmp_path, text)
    (night, rest) = found.policy.routes
    assert [str(matcher) for matcher in night.where] == ['severity="critical"', 'gpu=~"0|1"']
    assert (night.recipients, night.repeat, night.goes_on) == ((ANN,), 1800.0, True)
    assert (rest.where, rest.recipients, rest.repeat, rest.goes_on) == ((), (BOB,), None, False)
    assert replace(found, demo=True).policy.routes == ()


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("to: [nobody]", r"gpuwarden\.yml:4: alerter\.routes\[0\]\.to: 'nobody' is not a mail address"),
        ("where: {gpu: '0'}", r"routes\[0\]\.to: is missing: the route tells nobody"),
        ("where: {gpu: 0}\n      to: [a@b]", r"routes\[0\]\.where\.gpu: must be text, .*write \"0\""),
        ("where: {gpu: '=~('}\n      to: [a@b]", r"gpuwarden\.yml:4: alerter\.routes\[0\]\.where\.gpu: "),
        ("where: {severity: grave}\n      to: [a@b]", r"where\.severity: is never true.*critical, warning, info"),
        ("where: {severity: criticl}\n      to: [a@b]", r"where\.severity: is never true.*did you mean 'critical'"),
        ("to: [a@b]\n      repeat: 1s", r"gpuwarden\.yml:5: alerter\.routes\[0\]\.repeat: is so short"),
        ("to: [a@b]\n      contniue: true", r"routes\[0\]\.contniue: is not a known key .*did you mean 'continue'"),
        (
            "to: [a@b]\n      commands: [push]",
            r"gpuwarden\.yml:5: alerter\.routes\[0\]\.commands: 'push' is not the name",
        ),
    ],
)
def test_a_mistake_in_a_route_is_named_with_its_line(tmp_path, entry, complaint):
    """A slip of the pen sends the grave alerts to nobody, and nothing says so until one comes."""
    with pytest.raises(DocumentError, match=complaint):
        load(tmp_path, f"    - {entry}")


def test_a_route_runs_a_command_of_the_settings(tmp_path):
    """The phone stays dark, or the alerter does not start with a file that is right."""
    text = "    - {where: {severity: critical}, commands: [push]}\n  commands:\n    - {name: push, run: [/bin/true]}"
    found = load(tmp_path, text)
    assert [route.recipients for route in found.policy.routes] == [("command:push",)]
    with OwnJudge(tmp_path, routes=found.routes) as box:
        box.read(0.95)
        assert box.told[-1].recipients == ("command:push",)
        box.read(0.85)
        assert box.told[-1].recipients == ("command:push", ME)


def test_a_command_is_known_by_its_name():
    """A command that is there is refused, or one that is not is asked to push in vain."""
    found = [RouteSettings(to=(ANN,)), RouteSettings(commands=("push", "pusch"))]
    assert list(unknown_commands(found, [], ["push", "chat"])) == [
        ("routes.1.commands", "'pusch' is not the name of a command", "did you mean 'push'?")
    ]
