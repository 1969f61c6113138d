"""Laws of what is told of alerts that come and go, over any readings, gaps, restarts and steps of the clock."""

import itertools
from collections import Counter
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.judge import judge
from alerts.notify.due import notifications
from alerts.notify.mute import judged_here
from alerts.notify.policy import Known, Policy
from alerts.series import Sample, Scrape, label_set
from alerts.store_records import dump_flap, dump_state, load_flap, load_state
from tests.fakes.own_judge import NOW, OWN, rules

POLICY = Policy()
FLAPPING = POLICY.notify.flapping
TICK = 60.0
RATIOS = st.sampled_from([0.5, 0.5, 0.85, 0.95, 0.95, None, "down"])
SPANS = st.sampled_from([1, 1, 2, 3, 5, 8, 13, 30, 70])
ANY = st.lists(st.tuples(RATIOS, SPANS, st.booleans()), max_size=15)
RESTLESS = st.lists(
    st.tuples(st.sampled_from([0.5, 0.85, 0.95]), st.sampled_from([1, 2, 5]), st.booleans()), max_size=30
)
STORIES = st.tuples(RESTLESS, ANY, RESTLESS, ANY).map(lambda parts: [step for part in parts for step in part])
CALM = (0.5, round(4 * FLAPPING.longest / TICK), False)
ONE_RULE = rules("{override: Warning, enabled: false}")


class Memory:
    """What is remembered from round to round; ``told`` holds what was told, with the time by a clock nobody sets."""

    def __init__(self, found):
        self.rules, self.states, self.flaps, self.now, self.elapsed, self.told = found, {}, {}, NOW, 0.0, []
        self._ids = (f"id{number}" for number in itertools.count())

    def round(self, ratio):
        self.now += TICK
        self.elapsed += TICK
        down = ratio == "down"
        row = () if down or ratio is None else (Sample(label_set(OWN | {"gpu": "0", "uuid": "0"}), ratio),)
        samples = MappingProxyType({"up": (Sample(label_set(OWN), float(not down)),), "gpu_memory_used_ratio": row})
        scrape = Scrape("", OWN["job"], OWN["instance"], self.now, "refused" if down else None, samples)
        changes = judge(self.rules, [scrape], self.states, self.now, max_gap=2 * TICK)
        known = Known(
            states=self.states,
            flaps=self.flaps,
            rules=self.rules,
            scrapes=[scrape],
            recipients=("a",),
            now=self.now,
        )
        changes, verdicts = POLICY.decide(changes, judged_here, known)
        told, changes = notifications(changes, [scrape], ["a"], lambda: next(self._ids), verdicts=verdicts)
        self.flaps |= POLICY.noted(changes, verdicts, known)
        self.flaps = {key: flap for key, flap in self.flaps.items() if flap}
        self.states |= {change.key: change.state for change in changes}
        self.states = {key: state for key, state in self.states.items() if state}
        self.told += [(self.elapsed, item) for item in told]

    def restart(self):
        self.states = {key: load_state(dump_state(state)) for key, state in self.states.items()}
        self.flaps = {key: load_flap(dump_flap(flap)) for key, flap in self.flaps.items()}


def play(memory, story, steps=()):
    """The rounds of the story, one at a time: the reading of each."""
    jumps = itertools.chain(steps, itertools.repeat(0.0))
    for ratio, span, restarts in story:
        memory.now += next(jumps)
        if restarts:
            memory.restart()
        for _ in range(span):
            memory.round(ratio)
            yield ratio


@settings(max_examples=60, deadline=None)
@given(STORIES)
def test_what_fires_for_longer_than_the_longest_wait_is_told(story):
    """A card is full for hours and the last that people heard of it is that it flaps, or that it is over."""
    memory, full = Memory(ONE_RULE), 0.0
    for ratio in play(memory, story):
        full = full + TICK if ratio == 0.95 else 0.0
        if full > FLAPPING.longest + TICK:
            _, last = memory.told[-1]
            assert last.reason in {"first", "repeat"}


@settings(max_examples=60, deadline=None)
@given(STORIES, st.lists(st.sampled_from([0.0, 0.0, -3600.0, 3600.0]), max_size=40))
def test_whatever_was_told_is_told_to_be_over_once(story, steps):
    """An incident stays open for ever, or ends twice, or one ends that nobody heard of."""
    memory = Memory(rules())
    for _ in play(memory, [*story, CALM], steps):
        pass
    opened, ended, named = set(), Counter(), {item.incident for _, item in memory.told}
    for _, item in memory.told:
        if item.reason in {"resolved", "lowered"}:
            assert item.incident in opened
            ended[item.incident] += 1
        if item.reason in {"first", "flapping"} or (item.reason == "lowered" and item.id in named):
            opened.add(item.id)
    assert ended == dict.fromkeys(opened, 1)
    assert memory.flaps == memory.states == {}


@settings(max_examples=60, deadline=None)
@given(STORIES)
def test_no_more_mails_in_a_window_than_are_allowed_and_none_between_flapping_and_what_lasts(story):
    """The inbox fills up as if there were no limit."""
    memory = Memory(ONE_RULE)
    for _ in play(memory, story):
        pass
    begun = [(at, item) for at, item in memory.told if item.reason in {"first", "flapping"}]
    for some in zip(*(begun[number:] for number in range(FLAPPING.count)), strict=False):
        spans = some[-1][0] - some[0][0]
        assert spans >= FLAPPING.within or "flapping" in {item.reason for _, item in some}
    for (at, item), (later, following) in itertools.pairwise(memory.told):
        if item.reason == "flapping":
            assert following.reason in {"resolved", "repeat"}
            assert (following.incident, following.root) == (item.id, item.root)
            assert later - at >= FLAPPING.delay
            assert following.flaps >= FLAPPING.count
