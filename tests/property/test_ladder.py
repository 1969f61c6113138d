"""Laws of a severity ladder over any readings: nothing ends that was not told, and everything told ends once."""

import itertools
from collections import Counter
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.judge import judge
from alerts.notify.due import notifications
from alerts.rules import rules_of
from alerts.series import Sample, Scrape, label_set
from gpuwarden.documents import parse

OWN = {"job": "gpuwarden", "instance": "box:9400"}
PERIODS = st.sampled_from(["0s", "5s", "20s"])
RATIOS = st.sampled_from([None, 0.5, 0.75, 0.78, 0.85, 0.88, 0.95, 1.0])
READINGS = st.lists(st.tuples(RATIOS, RATIOS, RATIOS | st.just("down")), max_size=30)
MUTES = [("Peak", ("Warning", "Critical")), ("Warning", ("Critical",))]
CALM = (0.0, 0.0, 0.0)
"""Long after: everything that fired has ended."""


@st.composite
def ladders(draw):
    """Warning at 0.8, critical at 0.9, and a peak that informs; how long each waits and holds is anybody's."""

    def rule(name, metric, above, severity, muted_by):
        clear = draw(st.sampled_from(["", f"clear: {above - 0.05:.2f},"]))
        return (
            f"  - {{alert: {name}, metric: {metric}, above: {above}, {clear} for: {draw(PERIODS)},"
            f" keep_firing_for: {draw(PERIODS)}, severity: {severity}, muted_by: [{', '.join(muted_by)}], summary: s}}"
        )

    found = [
        rule("Critical", "gpu_memory_used_ratio", 0.9, "critical", ()),
        rule("Warning", "gpu_memory_used_ratio", 0.8, "warning", ["Critical"]),
        rule("Peak", "gpu_memory_controller_utilization_ratio", 0.7, "info", ["Warning", "Critical"]),
    ]
    return rules_of([parse("\n".join(["rules:", *found]), "ladder.yml")])


def scrape(ratios, now):
    first, second, peak = ratios
    error = "refused" if peak == "down" else None
    cards = {
        "gpu_memory_used_ratio": [first, second],
        "gpu_memory_controller_utilization_ratio": [peak, peak],
    }
    samples = {
        name: tuple(
            Sample(label_set(OWN | {"gpu": str(number), "uuid": str(number)}), ratio)
            for number, ratio in enumerate(row)
            if ratio is not None
        )
        for name, row in cards.items()
        if not error
    }
    return Scrape("", OWN["job"], OWN["instance"], now, error, MappingProxyType(samples))


def rounds(rules, readings):
    """What each round tells, and what fires after it."""
    ids = (f"id{number}" for number in itertools.count())
    states, now = {}, 1_800_000_000.0
    for ratios in [*readings, *[CALM] * 12]:
        now += 5.0
        visit = scrape(ratios, now)
        changes = judge(rules, [visit], states, now, max_gap=10.0)
        told, after = notifications(changes, [visit], ["me@example.com"], lambda: next(ids))
        states = {change.key: change.state for change in after if change.state}
        yield told, states
    assert states == {}


@settings(max_examples=150, deadline=None)
@given(ladders(), READINGS)
def test_whatever_is_told_ends_once_and_nothing_else_does(rules, readings):
    """An incident that stays open for ever, ends twice, or ends without ever having begun."""
    begun, ended, roots = set(), Counter(), set()
    for told, states in rounds(rules, readings):
        for item in told:
            if item.reason == "first":
                assert item.incident == item.root == item.id
                begun.add(item.incident)
                roots.add(item.id)
            else:
                assert item.incident in begun
                assert item.root in roots
                ended[item.incident] += 1
            opened = item.reason == "lowered" and item.id in {state.incident for state in states.values()}
            begun |= {item.id} if opened else set()
    assert ended == dict.fromkeys(begun, 1)


@settings(max_examples=150, deadline=None)
@given(ladders(), READINGS)
def test_no_lesser_alarm_beside_a_graver_one(rules, readings):
    """Two mails about one card, the lesser one last, so that it looks like the news."""
    for told, states in rounds(rules, readings):
        firing = {(key.alertname, dict(key.labels)["gpu"]) for key, state in states.items() if state.phase == "firing"}
        for item in told:
            gpu = dict(item.labels)["gpu"]
            muters = {(name, gpu) for muted, names in MUTES if muted == item.alertname for name in names}
            assert item.reason == "resolved" or not muters & firing


@settings(max_examples=150, deadline=None)
@given(ladders(), READINGS)
def test_whoever_fires_unmuted_was_told(rules, readings):
    """A card would be full and nobody would know."""
    for _, states in rounds(rules, readings):
        firing = {key: state for key, state in states.items() if state.phase == "firing"}
        for key, state in firing.items():  # one that is held has nothing new to say
            muters = next((names for muted, names in MUTES if muted == key.alertname), ())
            muted = any(other.alertname in muters and other.labels == key.labels for other in firing)
            held = state.keep_since is not None or state.unknown_since is not None
            assert state.incident or muted or held
