"""Whatever cards do and whoever asks for quiet, nothing that is silenced is told, and every incident ends once."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.judge import judge
from alerts.matchers import Matcher
from alerts.notify.due import notifications
from alerts.notify.mute import judged_here
from alerts.notify.silence import Silence, silenced
from alerts.state import AlertKey
from tests.unit.test_silence import NOW, OWN, RULES, scrape_of

ROUND, ROUNDS, LAST = 10.0, 12, 1000.0
RATIOS = st.lists(st.tuples(*[st.sampled_from([0.5, 0.85, 0.95])] * 2), min_size=1, max_size=ROUNDS)
LABELS = st.dictionaries(
    st.sampled_from(["gpu", "alertname"]), st.sampled_from(["0", "1", "Critical", "Warning"]), min_size=1
)


@st.composite
def silences(draw):
    begins = draw(st.integers(0, ROUNDS)) * ROUND
    lasts = draw(st.integers(1, ROUNDS)) * ROUND
    matchers = tuple(Matcher(name, "=", text) for name, text in draw(LABELS).items())
    return Silence(id="", matchers=matchers, starts_at=NOW + begins, ends_at=NOW + begins + lasts, updated_at=NOW)


def play(rounds, asked):
    """Each round's time, what was told in it, and the states after it."""
    states, ids = {}, (f"id{number}" for number in itertools.count(1))
    for now, ratios in rounds:
        scrape = scrape_of(now, ratios)
        changes = judge(RULES, [scrape], states, now, max_gap=2 * LAST)
        verdicts = silenced(changes, judged_here(changes), asked, now)
        assert silenced(changes, verdicts, asked, now) == verdicts
        told, after = notifications(changes, [scrape], ["me"], lambda: next(ids), verdicts=verdicts)
        states = {change.key: change.state for change in after if change.state}
        yield now, told, states


def key_of(item):
    labels = {**OWN, **{name: text for name, text in item.labels if name in {"gpu", "uuid"}}}
    return AlertKey(item.alertname, tuple(sorted(labels.items())))


@settings(max_examples=300)
@given(RATIOS, st.lists(silences(), max_size=3))
def test_nothing_silenced_is_told_and_nothing_else_is_lost(ratios, asked):
    """Somebody would be woken in spite of a silence, or a full card would stay untold because of one that is over."""
    rounds = [(NOW + ROUND * number, found) for number, found in enumerate(ratios, 1)]
    end = NOW + LAST
    rounds += [(end, ratios[-1]), (end + ROUND, (0.5, 0.5))]
    named = {rule.alert: rule for rule in RULES}
    opened, closed = set(), set()
    for now, told, states in play(rounds, asked):
        for item in told:
            key, rule = key_of(item), named[item.alertname]
            assert not any(one.is_active(now) and one.covers(key, rule) for one in asked)
            if item.reason == "resolved":
                assert item.incident in opened - closed
                closed.add(item.incident)
            else:
                opened.add(item.id)
            if item.reason == "lowered":
                assert item.incident in opened - closed
                closed.add(item.incident)
        if now == end:
            loud = {key.labels for key, state in states.items() if key.alertname == "Critical"}
            for key, state in states.items():
                assert state.incident or (key.alertname == "Warning" and key.labels in loud)
    assert states == {}
