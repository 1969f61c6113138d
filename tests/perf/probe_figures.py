"""Arithmetic on what was seen while a job and a probe shared a card: pure; times are seconds of one clock.

A segment is a dict with ``job``, ``probe`` (on or off), ``began`` and ``ended``; a run is (began, ended).
"""

import bisect
import statistics
from collections.abc import Sequence

BEFORE, AFTER = 1.0, 3.0
"""Seconds around a run that are looked at with it: its start and its end cost something, too."""
WINDOW = 5.0


def count(steps: Sequence[float], began: float, ended: float) -> int:
    """How many steps were done from one moment to another."""
    return bisect.bisect_left(steps, ended) - bisect.bisect_left(steps, began)


def rate(steps: Sequence[float], began: float, ended: float) -> float:
    """Steps per second, from the first to the last step in between: no part of a step is lost at the ends."""
    inside = steps[bisect.bisect_left(steps, began) : bisect.bisect_left(steps, ended)]
    return (len(inside) - 1) / (inside[-1] - inside[0]) if len(inside) > 1 else 0.0


def window_rates(steps: Sequence[float], segment: dict) -> list[float]:
    """The rates of the segment's windows."""
    number = int((segment["ended"] - segment["began"]) // WINDOW)
    begins = [segment["began"] + WINDOW * each for each in range(number)]
    return [rate(steps, begin, begin + WINDOW) for begin in begins]


def ratios(steps: Sequence[float], segments: Sequence[dict], job: str) -> list[float]:
    """For each segment with the probe on: its rate over that of the segments with it off beside it."""
    own = [each for each in segments if each["job"] == job]
    found = []
    for position, segment in enumerate(own):
        beside = [each for each in own[max(0, position - 1) : position + 2] if each["probe"] == "off"]
        if segment["probe"] == "on" and beside:
            still = statistics.fmean(rate(steps, each["began"], each["ended"]) for each in beside)
            found.append(rate(steps, segment["began"], segment["ended"]) / still if still else 0.0)
    return found


def spread_of_off(steps: Sequence[float], segments: Sequence[dict], job: str) -> float | None:
    """Standard deviation of the rates of windows without a probe, over their mean: what is noise."""
    rates = [
        each for one in segments if (one["job"], one["probe"]) == (job, "off") for each in window_rates(steps, one)
    ]
    return statistics.stdev(rates) / statistics.fmean(rates) if len(rates) > 1 and statistics.fmean(rates) else None


def lost_seconds(steps: Sequence[float], segment: dict, runs: Sequence[tuple[float, float]]) -> list[float]:
    """For each run that began in the segment: how many seconds of the job's work it cost before the segment's end.

    What the job would have done without it is taken from the rest of the same segment.
    """
    around = [
        (max(segment["began"], began - BEFORE), min(segment["ended"], ended + AFTER))
        for began, ended in runs
        if segment["began"] <= began < segment["ended"]
    ]
    seconds = segment["ended"] - segment["began"] - sum(end - begin for begin, end in around)
    done = count(steps, segment["began"], segment["ended"]) - sum(count(steps, *each) for each in around)
    if not around or seconds <= 0 or not done:
        return []
    still = done / seconds
    return [(end - begin) - count(steps, begin, end) / still for begin, end in around]


def worst_share(runs: Sequence[tuple[float, float]], began: float, ended: float, window: float) -> float:
    """The largest share of any window of that length that runs took; of the whole, where that is shorter.

    The worst window begins with a run or ends with one.
    """
    length = min(window, ended - began)
    begins = {began, ended - length}
    for start, end in runs:
        begins |= {min(max(start, began), ended - length), min(max(end - length, began), ended - length)}
    return max(
        (sum(max(0.0, min(end, at + length) - max(start, at)) for start, end in runs) / length for at in begins),
        default=0.0,
    )
