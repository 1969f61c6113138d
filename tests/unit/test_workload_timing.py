"""How the torch workload times: idle device at both readings of the clock, warm-up, quantiles."""

import pytest

from exporter.workload.timing import Budget, Plan, Stopwatch, measure, p90, warm_up


class Device:
    """A device that works behind a call's back, and a clock that it moves."""

    def __init__(self, *durations):
        self.now, self.calls, self._waiting, self._durations = 0.0, 0, 0.0, durations

    def call(self):
        self._waiting += self._durations[min(self.calls, len(self._durations) - 1)]
        self.calls += 1

    def synchronise(self):
        self.now, self._waiting = self.now + self._waiting, 0.0

    @property
    def stopwatch(self):
        return Stopwatch(self.synchronise, lambda: self.now)


def test_the_clock_is_read_when_the_device_is_idle():
    """A card would seem to answer in the time that it takes to ask it."""
    device = Device(5.0)
    device.call()

    assert device.stopwatch.seconds(device.call) == 5.0


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.125, 4), (0.25, 3), (1.0, 3)], ids=["by time", "by count", "one is long"]
)
def test_warm_up_goes_by_count_and_by_time(seconds, expected):
    """A fast model would be measured while the card's clock still rises, a slow one with its libraries half loaded."""
    device = Device(seconds)
    plan = Plan(warmup_iterations=3, warmup_seconds=0.5)

    assert warm_up(device.call, device.stopwatch, plan, Budget(0.0, device.stopwatch.clock)) == expected


def test_the_cold_call_is_a_figure_of_its_own():
    """The first call's loading would be in the median, or would be lost."""
    device = Device(9.0, *[1.0] * 3, 0.5)
    timed = measure(device.call, device.stopwatch, Plan())

    assert timed.figures("answer") == {
        "answer_cold_seconds": 9.0,
        "answer_p50_seconds": 0.5,
        "answer_p90_seconds": 0.5,
        "answer_iterations": 64,
        "answer_warmup_iterations": 3,
    }


def test_a_spent_budget_ends_the_iterations():
    """A slow machine's probe would run into its time-out and have no figure at all."""
    device = Device(2.0)
    timed = measure(device.call, device.stopwatch, Plan(warmup_iterations=1, budget_seconds=9.0))

    assert timed.seconds == (2.0, 2.0, 2.0)
    assert timed.figures("answer")["answer_p90_seconds"] is None


def test_a_budget_spent_by_the_cold_call_leaves_no_warm_up():
    """A slow machine's probe would spend a minute on calls that no figure comes from."""
    device = Device(20.0)
    timed = measure(device.call, device.stopwatch, Plan(budget_seconds=5.0))

    assert (timed.cold_seconds, timed.warmup_iterations, timed.seconds) == (20.0, 0, (20.0,))


def test_a_budget_spent_in_the_warm_up_ends_it():
    """A slow machine's probe would spend a minute on calls that no figure comes from."""
    device = Device(2.0)
    timed = measure(device.call, device.stopwatch, Plan(warmup_seconds=60.0, budget_seconds=5.0))

    assert (timed.warmup_iterations, len(timed.seconds)) == (2, 1)


def test_two_runs_beside_each_other_are_measured_for_a_time():
    """What a run loses beside another would be told from the minutes in which the other had already ended."""
    device = Device(1.0)
    began_at = []
    plan = Plan(iterations=1, warmup_iterations=2, budget_seconds=4.0, run_seconds=3.0)
    timed = measure(device.call, device.stopwatch, plan, lambda: began_at.append(device.now))

    assert began_at == [3.0]
    assert len(timed.seconds) == 3


def test_one_iteration_is_measured_however_small_the_budget():
    """A run would end without any figure after all the loading."""
    device = Device(2.0)

    assert len(measure(device.call, device.stopwatch, Plan(budget_seconds=0.001)).seconds) == 1


def test_the_90th_percentile_is_one_of_the_measured_times():
    """A user would be told a time that never was, or the wrong one."""
    assert p90([float(number) for number in range(100, 0, -1)]) == 90.0
    assert p90([float(number) for number in range(1, 65)]) == 58.0


def test_there_is_no_90th_percentile_of_too_few():
    """A user would trust a figure that the next run moves by half."""
    assert p90([1.0] * 63) is None
