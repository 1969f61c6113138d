import itertools
import tracemalloc
from types import MappingProxyType

import pytest

from alerts import history as keeping
from alerts.history import MOST_SAMPLES, History, most_bytes, tracks_of
from alerts.judge import judge
from alerts.rules import rules_of
from alerts.series import Sample, Scrape, label_set
from alerts.windows import Over
from gpuwarden.documents import parse

T0 = 1_800_000_000.0
STEP = 60.0
OWN = {"job": "gpuwarden", "instance": "box:9400"}
CARD = label_set({**OWN, "gpu": "0", "uuid": "a"})


def rules_in(*lines):
    entries = "\n".join(f"  - {{severity: info, summary: s, {line}}}" for line in lines)
    return rules_of([parse(f"rules:\n{entries}", "x.yml")])


def full_soon(more=""):
    return rules_in(f"alert: A, metric: gpu_memory_used_ratio, predict: 20m, above: 0.98{more}")


def page(now, error=None, **ratios):
    cards = tuple(
        Sample(label_set({**OWN, "gpu": gpu[1:], "uuid": "ab"[int(gpu[1:])]}), value) for gpu, value in ratios.items()
    )
    samples = {"up": (Sample(label_set(OWN), 0.0 if error else 1.0),)}
    if not error:
        samples["gpu_up"] = (Sample(CARD, 1.0),)
    if cards:
        samples["gpu_memory_used_ratio"] = cards
    return Scrape("", "gpuwarden", "box:9400", now, error, MappingProxyType(samples))


class Watch:
    """Rounds of the embedded judge; what it says of each alert, in order."""

    def __init__(self, rules, states=None, now=T0):
        self.rules, self.states, self.now, self.history = rules, states or {}, now, History()

    def round(self, step=STEP, error=None, **ratios):
        self.now += step
        scrapes = [page(self.now, error, **ratios)]
        self.history.take(self.rules, scrapes, self.now, max_gap=2 * STEP)
        changes = judge(self.rules, scrapes, self.states, self.now, max_gap=2 * STEP, history=self.history)
        self.states = {change.key: change.state for change in changes if change.state}
        return [change.reason for change in changes]

    def rise(self, minutes, begin=0.5, by=0.05):
        return [reason for number in range(minutes) for reason in self.round(g0=begin + by * number)]


def test_a_card_that_fills_steadily_is_announced_before_it_is_full():
    """People learn that memory ran out when the job is dead."""
    watch = Watch(full_soon())
    assert watch.rise(6)[-1] == "still_firing"


def test_nothing_is_predicted_before_it_was_watched():
    """The alerter's first two readings, seconds apart, make a mail about a card that will be full in minutes."""
    watch = Watch(full_soon())
    assert watch.rise(3) == []


def test_a_restart_does_not_end_what_looks_back():
    """After a restart of the alerter a window is empty, and people get the mail that all is well."""
    watch = Watch(full_soon())
    watch.rise(6)
    again = Watch(full_soon(), watch.states, watch.now)
    assert [again.round(g0=0.8) for _ in range(3)] == [["held_unknown"]] * 3
    assert again.round(g0=0.8) == ["condition_ended"]


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_step_of_the_clock_or_a_suspend_empties_the_windows(step):
    """A laptop that slept for an hour draws its line through the night, and mails that memory will be full."""
    watch = Watch(full_soon())
    watch.rise(6, by=0.0)
    assert watch.round(step, g0=0.9) == []
    assert watch.history.held == 1


def test_a_late_round_is_no_suspend():
    """One target that hangs, or one slow disk, takes the history of all."""
    watch = Watch(full_soon())
    watch.rise(6)
    assert watch.round(2.01 * STEP, g0=0.85) == ["still_firing"]
    assert watch.round(2.5 * STEP, g0=0.9) == ["still_firing"]


def test_what_waits_goes_on_after_a_restart():
    """A disk that fills slowly is never announced on a machine whose alerter is started anew each day."""
    watch = Watch(full_soon(", for: 5m"))
    watch.rise(7)
    again = Watch(full_soon(", for: 5m"), watch.states, watch.now)
    reasons = [again.round(g0=0.8 + number / 50)[0] for number in range(6)]
    assert reasons == ["window_unwatched"] * 3 + ["waiting_for", "for_elapsed", "still_firing"]


def test_only_what_a_rule_covers_is_kept():
    """A rule on one of ten thousand series remembers all of them, and its own has no room."""
    watch = Watch(rules_in('alert: A, metric: gpu_memory_used_ratio, where: {gpu: "1"}, over: {max: 10m}, above: 0.9'))
    watch.round(g0=0.5, g1=0.5)
    assert watch.history.held == 1


def test_what_has_no_room_is_logged_once(monkeypatch, caplog):
    """A rule is silent for want of room, and nobody can know."""
    monkeypatch.setattr(keeping, "MOST_SERIES", 1)
    watch = Watch(rules_in("alert: A, metric: gpu_memory_used_ratio, over: {max: 10m}, above: 0.9"))
    watch.round(g0=0.5, g1=0.5)
    watch.round(g0=0.5, g1=0.5)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["rules look back on more than 1 series: some of gpu_memory_used_ratio have no reading"]


def test_a_series_that_is_gone_has_no_reading_although_its_window_has_samples():
    """A card that fell off the bus goes on filling for minutes."""
    watch = Watch(full_soon())
    watch.rise(6)
    assert watch.round() == ["held_unknown"]


def test_a_failed_scrape_leaves_a_hole_and_no_zero():
    """One late answer of the exporter makes a line point down."""
    watch = Watch(full_soon())
    watch.rise(6)
    watch.round(error="late")
    assert watch.round(g0=0.85) == ["still_firing"]


@pytest.mark.parametrize("length", ["10s", "10m", "1d"])
def test_memory_is_bounded_by_arithmetic(length):
    """A hundred machines and a day's window take more memory than the page says."""
    rules = rules_in(f"alert: A, metric: gpu_memory_used_ratio, over: {{max: {length}}}, above: 0.98")
    ((_, window),) = tracks_of(rules)
    series, interval, history = 200, max(5.0, window.length / MOST_SAMPLES / 2), History()
    tracemalloc.start()
    for number in range(2 * MOST_SAMPLES + 10):
        now = T0 + interval * number
        cards = (Sample(label_set({**OWN, "gpu": str(gpu), "uuid": f"GPU-{gpu:036}"}), 0.5) for gpu in range(series))
        samples = {"gpu_memory_used_ratio": tuple(cards)}
        history.take(rules, [Scrape("", "gpuwarden", "box", now, None, samples)], now, max_gap=2 * interval)
    del samples, cards
    measured, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert history.held <= series * (MOST_SAMPLES + 1)
    assert measured <= most_bytes(series, window, interval)


def test_through_a_long_window_the_newest_sample_is_always_there():
    """Thinning a long window makes its last reading an old one."""
    rules = rules_in("alert: A, metric: gpu_memory_used_ratio, over: {max: 1d}, above: 0.98")
    watch, window = Watch(rules), Over("max", 86400.0)
    for number in range(100):
        watch.round(g0=number / 100)
        assert watch.history.samples("gpu_memory_used_ratio", window, CARD).values[-1] == number / 100


def test_rules_that_share_a_window_share_its_memory():
    """Ten overrides for ten cards keep ten histories."""
    same = "metric: gpu_memory_used_ratio, over: {max: 10m}, above: 0.9"
    other = "metric: gpu_memory_used_ratio, over: {max: 5m}, above: 0.9"
    latency = "metric: model_request_duration_seconds, over: {increase: 5m}, quantile: 0.9, above: 1"
    rules = rules_in(f"alert: A, {same}", f"alert: B, {same}", f"alert: C, {other}", f"alert: D, {latency}")
    assert [name.removeprefix("model_request_duration_seconds") for name, _ in tracks_of(rules)] == [
        *itertools.repeat("gpu_memory_used_ratio", 2),
        "_bucket",
        "_count",
    ]


def test_a_window_that_a_reload_brings_starts_unwatched():
    """A new rule judges five minutes by one reading."""
    watch = Watch(full_soon())
    watch.rise(6)
    watch.rules = (*watch.rules, *rules_in("alert: B, metric: gpu_memory_used_ratio, over: {avg: 10m}, above: 0.7"))
    assert watch.round(g0=0.8) == ["still_firing"]
