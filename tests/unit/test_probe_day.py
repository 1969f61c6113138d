"""The probe's rules over a day at an office's box: an RTX 3060 that also drives somebody's desktop."""

import random

from exporter.latency import reasons
from exporter.latency.admission import Limits, admit
from exporter.latency.ledger import Ledger
from exporter.latency.needs import needs
from exporter.latency.recent import Recent
from exporter.latency.schedule import Schedule
from exporter.latency.settings import ProbeSettings
from exporter.latency.targets import Target, spec
from exporter.snapshot import Gpu, GpuProcess

GIB, HOUR, STEP, RUN_SECONDS = 2**30, 3600.0, 5.0, 2.5
DESKTOP = tuple(GpuProcess(pid, "gnome", memory_bytes=GIB / 8, utilization_ratio=0.0) for pid in (10, 11, 12))


class Desk:
    """Readings of the card: at work from 9 to 17 with windows that open and scroll, one break, and a still night."""

    def __init__(self):
        self._draw = random.Random(7)
        self._window, self._memory, self._peaks = 100, GIB, []

    def reading(self, now):
        hour, draw = now / HOUR, self._draw
        used = 9 <= hour < 17
        busiest = draw.uniform(0.02, 0.25)
        if used:
            # A window about every two minutes; a page that scrolls or a film's start every three.
            if draw.random() < STEP / 120:
                self._window += 1
            if draw.random() < STEP / 180:
                busiest = draw.uniform(0.35, 0.9)
            if draw.random() < STEP / 90:
                self._memory = GIB + draw.randrange(512) * 2**20
        self._peaks = [*self._peaks, busiest][-int(60 / STEP) :]
        windows = (GpuProcess(self._window, "firefox", memory_bytes=GIB / 16, utilization_ratio=0.0),)
        return Gpu(
            index="0",
            uuid="GPU-a",
            read_at=now,
            compute_mode=0.0,
            utilization_ratio=min(busiest, 0.25),
            utilization_peak_ratio=max(self._peaks),
            memory_used_bytes=float(self._memory),
            memory_free_bytes=12.0 * GIB - self._memory,
            memory_total_bytes=12.0 * GIB,
            temperature_margin_celsius=40.0,
            processes=(*DESKTOP, *windows),
            computing=(),
            processes_visible=1.0,
        )


def runs_of_a_day(settings):
    """The hours at which each model was run, as probe.py has it."""
    limits, desk, now = Limits(settings.quiet, settings.busy), Desk(), 0.0
    recent, ledger = Recent(limits, STEP), Ledger(settings.share)
    schedule, hours = Schedule(settings.quiet, settings.interval, lambda: 0.0), []
    schedule.follow(settings.models, now)
    while now < 24 * HOUR:
        gpu = desk.reading(now)
        recent.look(gpu)
        while (turn := schedule.take(now)) is not None:
            left = ledger.allows("GPU-a", turn.target, now)
            needed = needs(spec(Target(turn.target, "fp16", "0", "GPU-a"), 4), gpu.memory_total_bytes)
            skip = admit(gpu, recent.lately(now), needed, limits, share_left=left)
            if skip is None:
                hours.append(now / HOUR)
                ledger.spend("GPU-a", turn.target, now, RUN_SECONDS)
                recent.own_run(under_way=True, now=now)
                recent.own_run(under_way=False, now=now + RUN_SECONDS)
            elif skip.reason in reasons.PASSES:
                pause = reasons.PASSES[skip.reason]
                schedule.put_off(turn.target, max(now + pause, ledger.next_start("GPU-a")))
        now += STEP
    return hours


def test_the_defaults_find_their_moments_on_a_desktop():
    """On the usual office box the probe would be enabled, and its dashboard would stay empty all day."""
    hours = runs_of_a_day(ProbeSettings())
    at_night = [hour for hour in hours if not 9 <= hour < 17]
    # Two models, four times an hour, without the first minutes.
    assert len(at_night) >= 2 * 4 * 16 - 4
    # There are eight hours of work; tried on the grid of the schedule alone, a run has a chance of one in seven.
    assert len(hours) - len(at_night) >= 16
