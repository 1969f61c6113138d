"""The parts of the probe, one by one: what it remembers of a card, when it runs, and what a run comes to."""

import pytest

from exporter.accumulators import TrailingMaximum
from exporter.latency import reasons
from exporter.latency.admission import Limits
from exporter.latency.book import Book
from exporter.latency.during import During
from exporter.latency.figures import LastRun, observe, series
from exporter.latency.ledger import Ledger
from exporter.latency.observations import Observations
from exporter.latency.probe import device_seconds
from exporter.latency.recent import Recent
from exporter.latency.schedule import Schedule, Turn
from exporter.latency.settings import ProbeSettings
from exporter.latency.skips import Skips
from exporter.latency.targets import Target, spec, targets
from exporter.latency.torch_child import Done
from exporter.latency.watch import Watch
from exporter.processes.ours import OURS
from exporter.snapshot import Gpu, GpuProcess, Host, Snapshot, lost
from exporter.sources.reader import SourceError

GIB = float(2**30)
LIMITS = Limits(quiet=300, busy=0.3)
CARD = Target("gpt2-small", "fp16", "0", "GPU-a")
PROCESSOR = Target("gpt2-small", "fp32")


def gpu(at, **values):
    given = {"utilization_ratio": 0.0, "memory_used_bytes": GIB, "processes_visible": 1.0, **values}
    return Gpu(index="0", uuid="GPU-a", read_at=at, **given)


def process(pid, ratio=0.0, workload=""):
    return GpuProcess(pid, "python", workload=workload, memory_bytes=GIB, utilization_ratio=ratio)


def watched(*readings, interval=1.0):
    recent = Recent(LIMITS, interval)
    for reading in readings:
        recent.look(reading)
    return recent


def each_second(first, last, **values):
    return [gpu(float(at), **values) for at in range(first, last)]


def test_a_burst_between_two_readings_is_remembered_for_the_quiet_time():
    """A model that answers now and then would be disturbed in the pauses between its answers."""
    recent = watched(*each_second(0, 10), gpu(10.0, utilization_peak_ratio=0.9), *each_second(11, 300))
    assert recent.lately(300.0).busiest == 0.9
    for reading in each_second(300, 320):
        recent.look(reading)
    assert recent.lately(320.0).busiest == 0.0


def test_a_process_is_as_old_as_it_has_been_listed():
    """A server that has just been started would meet a probe."""
    recent = watched(*each_second(0, 5, processes=(process(7),)), gpu(5.0, processes=(process(7), process(8))))
    assert recent.lately(6.0).youngest == 1.0
    recent.look(gpu(6.0, processes=(process(7),)))
    assert recent.lately(6.0).youngest == 6.0


def test_memory_that_moves_is_seen_over_half_a_minute():
    """A server that profiles the memory would be met in the middle of it."""
    recent = watched(*each_second(0, 40), gpu(40.0, memory_used_bytes=2 * GIB))
    assert recent.lately(40.0).moved == GIB
    for reading in each_second(41, 72, memory_used_bytes=2 * GIB):
        recent.look(reading)
    assert recent.lately(71.0).moved == 0


def test_the_probes_own_run_is_no_reason_against_the_next():
    """The probe would find the card busy with itself and never run a second time."""
    recent = watched(*each_second(0, 310))
    recent.own_run(under_way=True, now=310.0)
    own = (process(9, 0.9, OURS),)
    for reading in each_second(310, 320, utilization_ratio=1.0, memory_used_bytes=3 * GIB, processes=own):
        recent.look(reading)
    assert not recent.lately(319.0).own_child
    recent.own_run(under_way=False, now=320.0)
    recent.look(gpu(320.0, utilization_ratio=0.8, memory_used_bytes=2 * GIB))
    for reading in each_second(321, 360, utilization_peak_ratio=1.0):
        recent.look(reading)
    lately = recent.lately(359.0)
    assert (lately.busiest, lately.moved, lately.youngest, lately.own_child) == (0.0, 0.0, None, False)
    assert (lately.watched, lately.memory_watched) == (359.0, 37.0)


def test_what_others_do_beside_a_run_is_remembered():
    """A job that began during a run would be disturbed by the next one."""
    recent = watched(*each_second(0, 5))
    recent.own_run(under_way=True, now=5.0)
    recent.look(gpu(5.0, utilization_ratio=1.0, processes=(process(9, 0.5, OURS), process(8, 0.4))))
    recent.own_run(under_way=False, now=6.0)
    assert recent.lately(6.0).busiest == 0.4
    assert recent.lately(6.0).youngest == 1.0


def test_a_child_that_is_left_on_the_card_is_seen():
    """A second run would hang beside one that the driver does not let go."""
    recent = watched(gpu(0.0, processes=(process(9, workload=OURS),)))
    assert recent.lately(1.0).own_child


@pytest.mark.parametrize("gap", [lost(gpu(301.0)), gpu(350.0)])
def test_a_card_that_was_out_of_sight_begins_anew(gap):
    """What happened while nobody looked would count as peace."""
    recent = watched(*each_second(0, 301), gap)
    assert recent.lately(351.0).watched < 300
    assert watched().lately(0.0).watched == 0
    assert watched(gpu(0.0)).lately(100.0).watched == 0


def test_a_card_that_is_read_seldom_is_watched_over_two_readings():
    """With one reading in the window, memory would never seem to move."""
    recent = watched(gpu(0.0), gpu(60.0, memory_used_bytes=2 * GIB), interval=60.0)
    assert recent.lately(61.0).moved == GIB


def test_targets_are_spread_over_the_interval_on_a_grid_that_does_not_drift():
    """Runs would come in a heap, or wander with each late one."""
    schedule = Schedule(0.0, 100.0, lambda: 5.0)
    schedule.follow(["a", "b"], 0.0)
    assert schedule.take(4.0) is None
    assert schedule.seconds_left(4.0) == 1.0
    assert schedule.take(5.0) == ("a", 0, False)
    assert schedule.take(54.9) is None
    assert schedule.take(90.0) == ("b", 0, False)
    assert schedule.take(105.0) == ("a", 0, False)
    assert schedule.seconds_left(105.0) == 50.0


def test_runs_that_fell_out_are_counted_and_not_caught_up_on():
    """After a long run, several would follow each other at once; or nobody would know that they are missing."""
    schedule = Schedule(0.0, 100.0, lambda: 0.0)
    schedule.follow(["a"], 0.0)
    assert schedule.take(350.0) == ("a", 3, False)
    assert schedule.take(399.0) is None
    assert schedule.take(400.0) == ("a", 0, False)


def test_where_there_is_not_time_for_all_each_has_its_turn():
    """With several models, the same ones would always be left out."""
    schedule, free_at, ran = Schedule(0.0, 100.0, lambda: 0.0), 0.0, []
    schedule.follow(["a", "b", "c", "d"], 0.0)
    for now in range(1000):
        turn = schedule.take(float(now))
        if turn is not None and now < free_at:
            schedule.put_off(turn.target, free_at)
        elif turn is not None:
            ran.append(turn.target)
            free_at = now + 40.0
    assert {name: ran.count(name) for name in "abcd"} == {"a": 7, "b": 6, "c": 6, "d": 6}


def test_a_turn_that_was_put_off_keeps_its_place_on_the_grid():
    """A run that waited would move all later ones, or be counted as missed."""
    schedule = Schedule(0.0, 100.0, lambda: 0.0)
    schedule.follow(["a"], 0.0)
    assert schedule.take(0.0) == ("a", 0, False)
    schedule.put_off("a", 30.0)
    schedule.follow(["a"], 10.0)
    assert schedule.take(29.0) is None
    assert schedule.take(30.0) == ("a", 0, True)
    assert schedule.seconds_left(30.0) == 70.0
    schedule.put_off("a", 250.0)
    assert schedule.take(250.0) == ("a", 2, True)
    assert schedule.take(300.0) == ("a", 0, False)


def test_a_card_that_comes_later_has_its_place_and_one_that_goes_has_none():
    """A card that was put in would be probed at once, or one that was taken out for ever."""
    schedule = Schedule(0.0, 100.0, lambda: 0.0)
    schedule.follow(["a"], 0.0)
    schedule.follow(["a", "b"], 260.0)
    assert schedule.take(260.0) == ("a", 2, False)
    assert schedule.take(350.0) == ("a", 0, False)
    assert schedule.take(350.0) == ("b", 0, False)
    schedule.follow([], 360.0)
    assert schedule.take(1000.0) is None
    assert schedule.seconds_left(1000.0) == float("inf")


def test_what_is_probed_follows_from_the_settings_and_the_cards():
    """A card that was left out on purpose would be probed, or a machine without one not at all."""
    here = Snapshot(gpus=(gpu(0.0), Gpu(index="1", uuid="GPU-b", read_at=0.0)))

    def places(snapshot, **settings):
        return [(item.model, item.precision, item.uuid) for item in targets(ProbeSettings(**settings), snapshot)]

    assert places(here) == [
        *(("gpt2-small", "fp16", "GPU-a"), ("gpt2-small", "fp16", "GPU-b")),
        *(("resnet18", "fp16", "GPU-a"), ("resnet18", "fp16", "GPU-b")),
    ]
    assert places(here, gpus=("1",), models=("resnet18",)) == [("resnet18", "fp16", "GPU-b")]
    assert places(here, gpus=("GPU-a",), models=("resnet18",), precision="amp", device="cuda") == [
        ("resnet18", "amp", "GPU-a")
    ]
    assert places(here, device="cpu", models=("resnet18",)) == [("resnet18", "fp32", "")]
    assert places(Snapshot(), models=("resnet18",)) == [("resnet18", "fp32", "")]
    assert places(Snapshot(), device="cuda") == []
    assert targets(ProbeSettings(), Snapshot(), settled=False) == []


def test_the_child_is_asked_for_little():
    """A probe would take all processors, or go on for ever on a slow one."""
    found = spec(PROCESSOR, cpus=2)
    assert (found["threads"], spec(PROCESSOR, cpus=16)["threads"], spec(CARD, cpus=16)["threads"]) == (1, 2, 1)
    assert (found["prompt"], found["new_tokens"], found["iterations"]) == (32, 32, 64)
    assert found["budget_seconds"] > 0
    assert spec(CARD, 2)["hold_seconds"] > 0


def during(*readings):
    found = During()
    for reading in readings:
        found.look(reading)
    return found


OWN = process(9, 0.9, OURS)


@pytest.mark.parametrize(
    ("readings", "contended"),
    [
        ([gpu(0.0), gpu(1.0, processes=(OWN,))], False),
        ([gpu(0.0, processes=(process(7, 0.01),)), gpu(1.0, processes=(process(7, 0.01), OWN))], False),
        ([gpu(0.0, processes=(process(7),)), gpu(1.0, processes=(process(7, 0.5), OWN)), gpu(2.0)], True),
        ([gpu(0.0), gpu(1.0, processes=(process(7), OWN))], True),
        ([gpu(0.0, processes=(process(7), OWN)), gpu(1.0, processes=(OWN,))], True),
        ([gpu(0.0, processes_visible=0.0), gpu(1.0, processes_visible=0.0)], None),
        ([lost(gpu(0.0))], None),
        ([], None),
    ],
)
def test_a_run_is_clean_only_if_it_had_the_card_for_itself(readings, contended):
    """A slow answer beside a neighbour would be taken for a slow card."""
    assert during(*readings).contended == contended


def test_heat_and_clock_of_a_run_are_kept():
    """Nobody would see that a slow answer came from a card that was held down."""
    seen = during(gpu(0.0, throttled={"sw_thermal": 0.0}), gpu(1.0, throttled={"sw_thermal": 1.0}))
    seen.look(gpu(2.0, throttled={"sw_thermal": 0.0}))
    seen.mark("start", gpu(3.0, clock_hertz={"sm": 1e9}))
    seen.hold(9, gpu(4.0, clock_hertz={"sm": 2e9}, processes=(process(9),)))

    assert seen.throttled is True
    assert (seen.clocks, seen.process_bytes) == ({"start": 1e9, "end": 2e9}, GIB)
    assert during(gpu(0.0)).throttled is None


@pytest.mark.parametrize(("busy", "contended"), [(0.5, False), (0.7, False), (0.9, True)])
def test_a_busy_host_makes_a_run_on_the_processor_contended(busy, contended):
    """A slow answer beside a compiler would be taken for a slow machine."""
    seen = During(own_cpu=0.5)
    seen.look_at_host(Host(read_at=0.0, cpu_utilization_ratio=busy))
    assert seen.contended == contended


@pytest.mark.parametrize(("busy", "own_cpu", "contended"), [(1.0, 0.5, True), (0.9, 0.5, False), (1.0, 1.0, False)])
def test_a_host_without_a_free_processor_makes_a_cards_run_contended(busy, own_cpu, contended):
    """A training's data loaders would make the card look slower than it is, in figures that are called clean."""
    host, reading = Host(read_at=0.0, cpu_utilization_ratio=busy), gpu(0.0)
    seen = During(own_cpu=own_cpu)
    seen.look(reading)
    seen.look_beside(host)
    assert seen.contended is False  # it only loads torch so far

    seen.mark("start", reading)
    seen.look_beside(host)
    assert seen.contended is contended


FIGURES = {
    "answer_seconds": 0.24,
    "first_token_p50_seconds": 0.02,
    "first_token_p90_seconds": None,
    "per_token_seconds": 0.007,
    "weights_bytes": "many",
    "kv_cache_bytes": float("inf"),
    "torch_allocated_peak_bytes": 3e8,
}


def test_only_numbers_of_a_run_become_series():
    """A child that says something odd would break the page."""
    run = LastRun(outcome="ok", seconds=8.0, figures=FIGURES, started={"torch": "2.9\n", "cuda": None})
    found = {(name, labels[-1]): value for name, labels, value in series(CARD, run, "own")}

    assert found["model_probe_time_to_first_token_seconds", "50"] == 0.02
    assert found["model_probe_memory_peak_bytes", "torch_allocated"] == 3e8
    assert ("model_probe_time_to_first_token_seconds", "90") not in found
    names = {name for name, _ in found}
    assert names.isdisjoint({"model_probe_weights_bytes", "model_probe_kv_cache_bytes", "model_probe_contended"})
    (info,) = [labels for name, labels, _ in series(CARD, run, "own") if name == "model_probe_info"]
    assert info == ("gpt2-small", "0", "GPU-a", "fp16", "", "2.9", "", "", "own")


def test_a_run_without_enough_memory_shows_its_peak_and_no_speed():
    """Nobody would see how far it came, or half a run would be taken for a whole one."""
    run = LastRun(outcome="oom", seconds=8.0, figures=FIGURES)
    assert {name for name, _, _ in series(CARD, run, "own")} == {
        *("model_probe_success", "model_probe_run_duration_seconds", "model_probe_memory_peak_bytes")
    }


@pytest.mark.parametrize(
    ("outcome", "phase", "whole", "first"),
    [
        *(("ok", "further tokens", 0.24, 0.02), ("timeout", "first token", 60, 60)),
        *(("timeout", "further tokens", 60, None), ("oom", "build", None, None), ("error", "build", None, None)),
    ],
)
def test_a_histogram_gets_one_observation_of_a_run(outcome, phase, whole, first):
    """A machine that hangs would look fast, or one run would outvote all others of the day."""
    seen = Observations()
    observe(seen, CARD, LastRun(outcome=outcome, seconds=8.0, figures=FIGURES), limit=60.0, phase=phase)
    sums = {
        (item.name, *labels): (sum(counts), total)
        for item in seen.observed()
        for labels, (counts, total) in item.distributions.items()
    }
    wanted = {}
    if whole is not None:
        wanted["model_request_duration_seconds", "gpt2-small", "probe", "generate"] = (1, whole)
    if first is not None:
        wanted["model_time_to_first_token_seconds", "gpt2-small", "probe"] = (1, first)
    if outcome == "ok":
        wanted["model_time_per_output_token_seconds", "gpt2-small", "probe"] = (1, 0.007)
    assert sums == wanted


@pytest.mark.parametrize(
    ("done", "seconds"),
    [
        (Done("ok", figures={"device_seconds": 2.5}), 2.5),
        (Done("oom", figures={"device_seconds": 1.5}), 1.5),
        (Done("timeout"), 9.0),
        (Done("timeout", "not_begun"), 0.0),
        (Done("stopped"), 9.0),
        (Done("error", "crashed"), 9.0),
        (Done("refused", "no_torch"), 0.0),
    ],
)
def test_a_run_that_could_not_say_how_long_it_held_the_card_counts_as_a_whole(done, seconds):
    """Runs that are killed would use more of the card than was promised."""
    assert device_seconds(done, 9.0) == seconds


def told(book):
    return {(item.name, *labels): value for item in book.told() for labels, value in item.values.items()}


def test_reasons_are_counted_from_0_on_and_go_with_the_card():
    """A rule could not see the first skip, or a card that was taken out would be skipped for ever."""
    book = Book("own", lambda: ["GPU-a"])
    assert told(book) == {}
    book.keep([CARD, PROCESSOR], {"GPU-a": 0.004})
    book.skip(CARD, reasons.VRAM)
    book.skip(CARD, reasons.MISSED, 3)
    found = told(book)
    assert found["model_probe_skipped_total", "gpt2-small", "0", "GPU-a", "vram"] == 1
    assert found["model_probe_skipped_total", "gpt2-small", "0", "GPU-a", "missed"] == 3
    assert found["model_probe_skipped_total", "gpt2-small", "0", "GPU-a", "busy"] == 0
    assert found["model_probe_skipped_total", "gpt2-small", "", "", "memory"] == 0
    assert found["model_probe_time_used_ratio", "0", "GPU-a"] == 0.004
    assert {name for name, *_ in found} == {
        *("model_probe_skipped_total", "model_probe_running", "model_probe_time_used_ratio")
    }
    book.keep([], {})
    book.skip(CARD, reasons.VRAM)
    book.running(CARD, now=True)
    book.ran(CARD, LastRun(outcome="ok", seconds=1.0), 1.0)
    assert told(book) == {}


def test_a_card_that_does_not_answer_has_counters_and_no_figures():
    """The page would show how fast a card is that has fallen off the bus, or its counters would start again."""
    book = Book("own", list)
    book.keep([CARD, PROCESSOR], {})
    for target in (CARD, PROCESSOR):
        book.ran(target, LastRun(outcome="ok", seconds=1.0, figures=FIGURES), 100.0)
    found = {(name, labels[1]) for name, *labels in told(book)}
    assert ("model_probe_success", "") in found
    assert ("model_probe_success", "0") not in found
    assert {("model_probe_last_run_timestamp_seconds", "0"), ("model_probe_skipped_total", "0")} <= found


def test_only_a_run_that_went_well_is_a_last_run():
    """ModelProbeSilent would stay quiet while each run fails."""
    book = Book("own", lambda: ["GPU-a"])
    book.keep([CARD], {})
    book.ran(CARD, LastRun(outcome="ok", seconds=1.0, figures=FIGURES), 100.0)
    book.ran(CARD, LastRun(outcome="error", seconds=1.0), 200.0)
    book.running(CARD, now=True)
    found = told(book)
    assert found["model_probe_last_run_timestamp_seconds", "gpt2-small", "0", "GPU-a"] == 100
    assert found["model_probe_success", "gpt2-small", "0", "GPU-a"] == 0
    assert found["model_probe_running", "0", "GPU-a"] == 1
    assert "model_probe_time_to_first_token_seconds" not in {name for name, *_ in found}


def test_a_reason_is_one_word_with_an_explanation():
    """The status page would show a word that nobody understands."""
    counted = {*reasons.ON_A_CARD, *reasons.ON_THE_PROCESSOR}
    assert counted == set(reasons.WORDS)
    assert all(word.replace("_", "").isalpha() for word in counted)
    assert counted >= reasons.OF_THE_INTERPRETER


def test_the_watch_is_a_source_that_says_what_is_wrong():
    """Without torch the page would show nothing, and not why."""
    latest = [Snapshot(gpus=(gpu(0.0),), host=Host(read_at=0.0, cpu_utilization_ratio=0.5))]
    watch = Watch(lambda: latest[0], LIMITS, 1.0, monotonic=lambda: 1.0)
    assert watch.read().detail == ""
    assert watch.host_lately() == 0.5
    assert watch.lately(gpu(0.5)).watched == 1.0
    watch.trouble = "no_torch: torch is not installed"
    with pytest.raises(SourceError, match="no_torch"):
        watch.read()
    latest[0] = Snapshot()
    watch.trouble = ""
    assert watch.read().gpus == ()
    assert watch.end().contended is None


def test_a_window_that_opens_is_no_newcomer():
    """On a desktop the probe would never run: each window that draws is a new process on the card."""
    window = {"processes": (GpuProcess(8, "firefox", memory_bytes=2.0**24),), "computing": ()}
    recent = watched(*each_second(0, 5, computing=()), gpu(5.0, **window))
    assert recent.lately(6.0).youngest is None
    assert during(gpu(0.0, computing=()), gpu(1.0, **window)).contended is False


def test_a_newcomer_that_is_cut_from_the_list_is_seen():
    """With a short `process_limit`, a server that holds little yet would be disturbed while it starts."""
    old = {"processes": (process(7), process(0)), "computing": (7, 8)}
    new = {"processes": (process(7), process(0)), "computing": (7, 8, 9)}
    recent = watched(*each_second(0, 5, **old), gpu(5.0, **new))
    assert recent.lately(6.0).youngest == 1.0
    assert during(gpu(0.0, **old), gpu(1.0, **new)).contended is True


def test_a_turn_that_waits_counts_once_for_each_run_that_it_costs():
    """A day at work would be a thousand skips, or one; and words would blame an earlier run that took too long."""
    skips, schedule, counts = Skips(), Schedule(0.0, 100.0, lambda: 0.0), {}
    schedule.follow(["a"], 0.0)
    for now in range(0, 450, 10):
        turn = schedule.take(float(now))
        if turn is None:
            continue
        reason, lost = skips.begin(turn)
        counts[reason] = counts.get(reason, 0) + lost
        if now < 420:
            reason = reasons.BUSY if now % 20 else reasons.MEMORY_MOVES
            counts[reason] = counts.get(reason, 0) + skips.counts("a", reason)
            skips.is_news("a", reason)
            schedule.put_off("a", now + 10.0)
    assert counts == {reasons.MISSED: 0, reasons.MEMORY_MOVES: 5, reasons.BUSY: 5}


def test_points_that_nobody_tried_are_counted_by_what_stood_in_the_way():
    """A share that is used up for an hour would look like a run that took an hour."""
    skips = Skips()
    assert skips.begin(Turn("a", 2, again=False)) == (reasons.MISSED, 2)
    assert skips.counts("a", reasons.DUTY_CYCLE)
    assert skips.is_news("a", reasons.DUTY_CYCLE)
    assert skips.begin(Turn("a", 3, again=True)) == (reasons.DUTY_CYCLE, 2)
    assert skips.counts("a", reasons.DUTY_CYCLE)
    assert not skips.is_news("a", reasons.DUTY_CYCLE)
    skips.keep([])
    assert skips.is_news("a", reasons.DUTY_CYCLE)


@pytest.mark.parametrize("interval", [1.0, 10.0])
def test_the_peak_of_the_probes_own_run_never_counts(interval):
    """For five minutes after each run the card would be called busy, with nobody on it."""
    recent, peak, now, found = Recent(LIMITS, interval), TrailingMaximum(), 0.0, []
    while now < 500:
        # The driver's samples of a run from 310 to 320 come with the reading after it.
        peak.add(now, 1.0 if 310 < now <= 320 + interval else 0.0)
        recent.look(gpu(now, utilization_peak_ratio=peak.at(now)))
        if now in {310.0, 320.0}:
            recent.own_run(under_way=now == 310, now=now)
        now += interval
        found.append(recent.lately(now).busiest)
    assert set(found) == {0.0}


def test_a_run_that_never_took_the_card_says_nothing_of_the_next():
    """After a run that did not begin, the next one would be let in as if it took no time."""
    ledger = Ledger(0.01)
    ledger.spend("GPU-a", "m", 0.0, 4.0)
    ledger.spend("GPU-a", "m", 450.0, 0.0)
    assert not ledger.allows("GPU-a", "m", 500.0)
    assert ledger.allows("GPU-a", "m", 605.0)
