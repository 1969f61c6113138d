"""One thread per source: pace, failures, order, and an end that does not wait."""

import logging
import threading
import time

import pytest

from exporter.sampler import Sampler, next_due
from exporter.snapshot import Gpu, Host
from exporter.sources.reader import Part, SourceError


class Source:
    """A source whose readings are handed in: each a part or an error; ``gate`` holds the reading up."""

    def __init__(self, name, *answers):
        self.source = name
        self.answers = list(answers)
        self.readings = 0
        self.gate = threading.Event()
        self.gate.set()

    def read(self):
        self.gate.wait()
        answer = self.answers[min(self.readings, len(self.answers) - 1)]
        self.readings += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


def gpu(index, **values):
    return Gpu(index=index, uuid=f"GPU-{index}", read_at=time.monotonic(), **values)


def until(reached):
    end = time.monotonic() + 5
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def sampler():
    sampler = Sampler(0.02)
    yield sampler
    sampler.stop(0.1)


@pytest.mark.parametrize(
    ("now", "expected"),
    [(10.0, 11.0), (10.4, 11.0), (10.999, 11.0), (11.0, 12.0), (17.3, 18.0), (9.0, 11.0)],
)
def test_the_next_reading_is_on_the_grid(now, expected):
    """Readings that drift or come in a burst after a stall distort every rate."""
    assert next_due(10.0, now, 1.0) == expected


def test_cards_come_in_the_order_of_their_indices(sampler):
    """Card 10 must not stand between 1 and 2."""
    for index in ("10", "2", "1"):
        sampler.add(Source(f"nvml/{index}", Part((gpu(index),))))
    until(lambda: len(sampler.latest().gpus) == 3)
    assert [card.index for card in sampler.latest().gpus] == ["1", "2", "10"]


def test_the_parts_make_one_snapshot(sampler):
    """Host and cards come from different sources and belong on one page, which says when it is simulated."""
    sampler.add(Source("host", Part(host=Host(read_at=1.0, cpus=2))))
    sampler.add(Source("demo", Part((gpu("0"),), simulated=True)))
    until(lambda: all(health.up for health in sampler.latest().sources))
    snapshot = sampler.latest()
    assert snapshot.host.cpus == 2
    assert snapshot.simulated
    assert {health.source for health in snapshot.sources} == {"host", "demo"}


def test_a_source_that_blocks_holds_up_nobody(sampler):
    """A device that hangs must not keep the others or the page waiting."""
    stuck, well = Source("nvml/0", Part((gpu("0"),))), Source("nvml/1", Part((gpu("1"),)))
    stuck.gate.clear()
    sampler.add(stuck, lambda: Part((gpu("0", up=False),)))
    sampler.add(well)
    until(lambda: well.readings > 5)
    until(lambda: len(sampler.latest().gpus) == 2)
    assert [card.up for card in sampler.latest().gpus] == [False, True]
    assert "under way" in sampler.latest().sources[0].detail
    stuck.gate.set()
    until(lambda: sampler.latest().gpus[0].up)


def test_each_reading_is_announced_when_it_can_be_seen_whatever_came_of_it(sampler):
    """The page would show a reading an interval late, or a failed card as well for as long."""
    seen = []
    sampler.landed = lambda: seen.append([health.up for health in sampler.latest().sources])
    sampler.add(Source("x", Part((gpu("0"),)), SourceError("broken")))
    until(lambda: len(seen) > 1)
    assert seen[:2] == [[True], [False]]


def test_sources_that_come_later_are_read_on_the_same_grid():
    """Cards would be compared at different moments, and each would cost a page of its own."""
    times = {}

    class Timed(Source):
        def read(self):
            times.setdefault(self.source, []).append(time.monotonic())
            return super().read()

    sampler = Sampler(0.2)
    sampler.add(Timed("x", Part()))
    until(lambda: len(times.get("x", [])) > 1)
    sampler.add(Timed("y", Part()))
    until(lambda: len(times.get("y", [])) > 2)
    sampler.stop(5)
    assert min(abs(at - times["y"][2]) for at in times["x"]) < 0.1


def test_a_failed_reading_takes_the_cards_values_away_at_once(sampler):
    """Old values beside an error would be believed."""
    sampler.add(Source("x", Part((gpu("0", power_watts=100.0, info={"name": "card"}),)), SourceError("broken")))
    until(lambda: sampler.latest().gpus and not sampler.latest().gpus[0].up)
    snapshot = sampler.latest()
    card = snapshot.gpus[0]
    assert (card.power_watts, card.info) == (None, {"name": "card"})
    health = snapshot.sources[0]
    assert (health.up, health.detail) == (False, "broken")
    assert health.succeeded_at == pytest.approx(time.time(), abs=5)


def test_a_source_that_is_well_may_have_something_to_say(sampler):
    """That one card of many cannot be opened must be seen although the driver is well."""
    sampler.add(Source("x", Part(detail="GPU 1 of 2 cannot be opened")))
    sampler.add(Source("y", Part()))
    until(lambda: all(health.up for health in sampler.latest().sources))
    assert [health.detail for health in sampler.latest().sources] == ["GPU 1 of 2 cannot be opened", ""]


def test_an_error_says_what_is_left(sampler):
    """A card that never answered is known all the same and must be shown as down."""
    sampler.add(Source("x", SourceError("lost", Part((gpu("7", up=False),)))))
    until(lambda: sampler.latest().gpus)
    assert sampler.latest().gpus[0].index == "7"


def test_a_lasting_failure_is_logged_once_and_its_end_too(sampler, caplog):
    """A log that says the same every second hides everything else."""
    caplog.set_level(logging.INFO)
    source = Source("x", *[SourceError("broken")] * 5, SourceError("no card", quiet=True), Part())
    sampler.add(source)
    until(lambda: source.readings > 9)
    assert [record.getMessage() for record in caplog.records] == ["x: broken", "x: answers again"]


def test_a_mistake_in_a_source_does_not_end_it(sampler, caplog):
    """A programming error in one reading must not silence the source until a restart."""
    source = Source("x", ZeroDivisionError("oops"), ZeroDivisionError("oops"), Part((gpu("0"),)))
    sampler.add(source)
    until(lambda: sampler.latest().gpus)
    assert sum("ZeroDivisionError: oops" in record.getMessage() for record in caplog.records) == 1
    assert caplog.records[0].exc_info


def test_a_removed_source_leaves_no_trace(sampler):
    """What is no longer watched must vanish from the page."""
    source = Source("x", Part((gpu("0"),)))
    sampler.add(source)
    until(lambda: sampler.latest().gpus)
    sampler.remove("x")
    assert sampler.latest().gpus == ()
    assert sampler.latest().sources == ()
    sampler.add(Source("x", Part((gpu("1"),))))
    until(lambda: sampler.latest().gpus)


def test_one_name_one_source(sampler):
    """Two sources of one name would put the same series on the page twice."""
    sampler.add(Source("x", Part()))
    with pytest.raises(ValueError, match="x is being read already"):
        sampler.add(Source("x", Part()))


def test_stopping_does_not_wait_for_the_interval():
    """Ctrl-C must not take as long as the sampling interval."""
    sampler = Sampler(3600)
    source = Source("x", Part())
    sampler.add(source)
    until(lambda: source.readings == 1)
    began = time.monotonic()
    assert sampler.stop(5)
    assert time.monotonic() - began < 2


def test_stopping_tells_of_a_thread_that_is_stuck():
    """The program must know that it has to leave without waiting for the driver."""
    sampler = Sampler(0.02)
    source = Source("x", Part())
    source.gate.clear()
    sampler.add(source)
    assert not sampler.stop(0.05)
    source.gate.set()


def first_gpu(part):
    return part.gpus[0] if part.gpus else None


def test_a_card_can_be_read_at_once(sampler):
    """A probe would start on what the card was like a minute ago."""
    slow = Sampler(60)
    source = Source("nvml/0", Part((gpu("0", memory_used_bytes=1.0),)), Part((gpu("0", memory_used_bytes=2.0),)))
    slow.add(source)
    slow.add(Source("host", Part(host=Host(read_at=0.0))))
    until(lambda: slow.latest().gpus and slow.latest().host)
    assert slow.latest().gpus[0].memory_used_bytes == 1
    found = slow.read_now(first_gpu, 5)
    slow.stop(1)

    assert found.memory_used_bytes == 2
    assert source.readings == 2


def test_a_reading_that_is_under_way_is_not_the_one_that_was_asked_for(sampler):
    """What was read before a process came would stand for what is there now."""
    source = Source("nvml/0", Part((gpu("0"),)))
    sampler.add(source)
    until(lambda: sampler.latest().gpus)
    source.gate.clear()
    found = []
    asking = threading.Thread(target=lambda: found.append(sampler.read_now(first_gpu, 5)))
    asking.start()
    source.answers = [Part((gpu("0", utilization_ratio=0.5),))]
    source.gate.set()
    asking.join(5)

    assert found[0].utilization_ratio == 0.5


def test_a_card_that_hangs_is_not_waited_for(sampler):
    """A driver call that never comes back would take the probe with it."""
    source = Source("nvml/0", Part((gpu("0"),)))
    sampler.add(source)
    until(lambda: sampler.latest().gpus)
    source.gate.clear()
    assert sampler.read_now(first_gpu, 0.05) is None
    assert sampler.read_now(lambda part: part.host, 0.05) is None
    source.gate.set()


def test_a_card_that_fails_when_it_is_asked_stands_as_lost(sampler):
    """A probe would start on a card that has just fallen off the bus."""
    source = Source("nvml/0", Part((gpu("0"),)))
    sampler.add(source)
    until(lambda: sampler.latest().gpus)
    source.answers = [SourceError("gone")]
    until(lambda: not sampler.read_now(first_gpu, 5).up)


def test_the_end_does_not_wait_for_the_next_grid_point():
    """Ctrl-C would take as long as the interval, or leave threads behind."""
    slow = Sampler(60)
    sources = [Source(f"source {number}", Part()) for number in range(20)]
    for source in sources:
        slow.add(source)
    until(lambda: all(source.readings for source in sources))
    assert slow.stop(5)
