"""Admission and the share of the time, over any reading of a card and any history of runs."""

import math

from hypothesis import given
from hypothesis import strategies as st

from exporter.latency import reasons
from exporter.latency.admission import (
    HELD_DOWN,
    LEAST_MARGIN_CELSIUS,
    MAIN_MEMORY_BYTES,
    MOST_MOVED_BYTES,
    Lately,
    Limits,
    admit,
    admit_on_processor,
)
from exporter.latency.ledger import WINDOW_SECONDS, Ledger
from exporter.latency.needs import needs
from exporter.latency.probed import OPERATIONS
from exporter.latency.targets import Target, spec
from exporter.model_memory.margin import margin
from exporter.snapshot import Gpu, Host

GIB = 2**30
RATIOS = st.none() | st.floats(0, 1)
BYTES = st.none() | st.floats(0, 80 * GIB)
SECONDS = st.floats(0, 1000)
PRECISIONS = st.sampled_from(["fp32", "fp16", "amp", "tf32"])
TARGETS = st.builds(Target, st.sampled_from(sorted(OPERATIONS)), PRECISIONS, st.just("0"), st.just("GPU-a"))
NEEDS = st.builds(needs, st.builds(spec, TARGETS, st.integers(1, 64)), st.floats(0, 80 * GIB))
LIMITS = st.builds(Limits, st.floats(1, 600), st.floats(0.01, 1))
GPUS = st.builds(
    Gpu,
    index=st.just("0"),
    uuid=st.just("GPU-a"),
    read_at=st.just(0.0),
    up=st.booleans(),
    utilization_ratio=RATIOS,
    memory_free_bytes=BYTES,
    memory_total_bytes=BYTES,
    compute_mode=st.sampled_from([None, 0.0, 1.0, 2.0, 3.0]),
    mig_enabled=st.sampled_from([None, 0.0, 1.0]),
    temperature_margin_celsius=st.none() | st.floats(-20, 80),
    throttled=st.dictionaries(st.sampled_from([*sorted(HELD_DOWN), "sw_power_cap"]), st.sampled_from([0.0, 1.0])),
)
LATELY = st.builds(
    Lately,
    watched=SECONDS,
    memory_watched=SECONDS,
    youngest=st.none() | SECONDS,
    busiest=RATIOS,
    moved=st.none() | st.floats(0, GIB),
    own_child=st.booleans(),
)
# Most cards of these would be refused for several reasons at once; of a card that is well, one thing is changed.
WELL = Gpu(
    index="0",
    uuid="GPU-a",
    read_at=0.0,
    utilization_ratio=0.0,
    memory_free_bytes=79.0 * GIB,
    memory_total_bytes=80.0 * GIB,
    compute_mode=0.0,
    temperature_margin_celsius=50.0,
)
PEACE = Lately(watched=1000.0, memory_watched=1000.0, busiest=0.0, moved=0.0)


@given(st.none() | GPUS | st.just(WELL), LATELY | st.just(PEACE), NEEDS, LIMITS, st.booleans(), BYTES)
def test_a_run_that_may_start_disturbs_nobody(gpu, lately, needed, limits, share_left, main):
    """A probe would take a card's last memory, or break what somebody runs there."""
    skip = admit(gpu, lately, needed, limits, share_left=share_left, main_memory=main)
    if skip is not None:
        assert skip.reason in reasons.ON_A_CARD
        return
    assert gpu.up
    assert share_left
    assert main is None or main >= MAIN_MEMORY_BYTES
    assert gpu.memory_free_bytes - needed.total >= max(512 * 2**20, 0.1 * gpu.memory_total_bytes) - 1
    assert max(gpu.utilization_ratio, lately.busiest or 0) <= limits.busy
    assert gpu.compute_mode == 0
    assert not gpu.mig_enabled
    assert not any(gpu.throttled.get(reason) for reason in HELD_DOWN)
    assert gpu.temperature_margin_celsius is None or gpu.temperature_margin_celsius >= LEAST_MARGIN_CELSIUS
    assert lately.youngest is None or lately.youngest >= limits.quiet
    assert lately.moved <= MOST_MOVED_BYTES
    assert lately.watched >= limits.quiet
    assert not lately.own_child


@given(BYTES, BYTES, RATIOS, RATIOS, NEEDS, LIMITS, st.booleans())
def test_a_run_on_the_processor_leaves_memory_and_processors_to_others(
    free, total, used, busiest, needed, limits, share_left
):
    """The machine would swap because it is monitored."""
    host = Host(read_at=0.0, cpu_utilization_ratio=used, memory_available_bytes=free, memory_total_bytes=total)
    skip = admit_on_processor(host, busiest, needed, limits, share_left=share_left)
    if skip is not None:
        assert skip.reason in reasons.ON_THE_PROCESSOR
        return
    assert share_left
    assert free >= needed.total + margin(total)
    assert max(used, busiest or 0) <= limits.busy


@given(
    st.floats(0.001, 0.05),
    st.lists(st.tuples(st.floats(0, 2000), st.floats(0.01, 60), st.sampled_from("ab")), max_size=40),
)
def test_between_two_starts_the_share_is_kept(share, asked):
    """Somebody's training would be slowed down by more than the settings allow."""
    ledger, now, runs = Ledger(share), 0.0, []
    for pause, seconds, model in asked:
        now += pause
        if ledger.allows("GPU-a", model, now):
            ledger.spend("GPU-a", model, now, seconds)
            runs.append((now, seconds))
            now += seconds
    for first, (began, _) in enumerate(runs):
        for last in range(first + 1, len(runs)):
            used = sum(seconds for _, seconds in runs[first:last])
            assert used <= share * (runs[last][0] - began) * (1 + 1e-9)


@given(st.floats(0.001, 0.05), st.lists(st.floats(0, 2000), max_size=60), st.floats(0.01, 60))
def test_in_no_ten_minutes_is_more_than_the_share_used_by_runs_that_take_as_long_as_before(share, pauses, seconds):
    """Many short runs could come together to more than was promised."""
    ledger, now, runs = Ledger(share), 0.0, []
    for number, pause in enumerate(pauses):
        now += pause
        model = "mn"[number % 2]
        if ledger.allows("GPU-a", model, now):
            ledger.spend("GPU-a", model, now, seconds)
            runs.append((now, now + seconds))
            now += seconds
    # Ten minutes have their share; a run that needs more than that by itself has a window of its own.
    window = max(WINDOW_SECONDS, seconds / share)
    for _, end in runs:
        used = sum(max(0.0, min(end, ended) - max(end - window, began)) for began, ended in runs)
        assert used <= share * window * (1 + 1e-9) or math.isclose(used, seconds)


@given(st.floats(0.001, 0.05), st.floats(0.01, 60))
def test_cards_do_not_pay_for_each_other(share, seconds):
    """With many cards, most would never be probed."""
    ledger = Ledger(share)
    ledger.spend("GPU-a", "m", 0.0, seconds)
    assert not ledger.allows("GPU-a", "n", seconds)
    assert ledger.allows("GPU-b", "m", seconds)
    assert ledger.ratio("GPU-b", seconds) == 0
