import asyncio
import logging
import tracemalloc
from dataclasses import replace

import pytest

from alerts.evidence import local
from alerts.evidence.local import MOST_SERIES, LocalSeries, Recorder
from alerts.judge import judge
from alerts.notify.due import notifications
from alerts.rules import SHIPPED, load_rules
from alerts.series import Sample, Scrape, label_set

RULES = {rule.alert: rule for rule in load_rules(SHIPPED, [])}
NOW = 1_780_000_000.0
CARD = {"gpu": "0", "uuid": "GPU-a", "job": "gpuwarden", "instance": "box:9400"}


def scrape(value, at, **labels):
    samples = {"gpu_memory_used_ratio": (Sample(label_set(CARD | labels), value),)}
    return Scrape("", CARD["job"], CARD["instance"], at, samples=samples)


def told(rules, values, recorder, **labels):
    """The first notification of rounds that read these values, five seconds apart."""
    states = {}
    for number, value in enumerate(values):
        now = NOW + 5 * number
        page = scrape(value, now, **labels)
        changes = judge(rules, [page], states, now, max_gap=10, read=lambda found, now=now: recorder.take(found, now))
        found, changes = notifications(changes, [page], ["a@b.c"], lambda: "x" * 20)
        states = {change.key: change.state for change in changes if change.state}
        if found:
            return found[0]
    return None


def points(recorder, rules, notification):
    return asyncio.run(LocalSeries(recorder, lambda: rules).points_of([notification]))[notification.id]


@pytest.mark.parametrize("labels", [(), (("team", "vision"),), (("gpu", "first"),)], ids=["none", "new", "the same"])
def test_an_alert_finds_the_readings_that_led_to_it(labels):
    """The mail of a box without Prometheus would have no picture, or that of another card."""
    rule = replace(RULES["GpuMemoryAlmostFull"], for_=0.0, labels=labels)
    recorder = Recorder()
    notification = told([rule], [0.5, 0.6, 0.7, 0.95], recorder)

    assert points(recorder, [rule], notification).values == pytest.approx((0.5, 0.6, 0.7, 0.95))
    assert notification.peak == 0.95


def test_rules_that_compare_the_same_share_a_record():
    """Each rule of a ladder would take the memory of a further copy."""
    recorder, rules = Recorder(), [RULES["GpuMemoryAlmostFull"], RULES["GpuMemoryHigh"]]
    told(rules, [0.5], recorder)
    assert recorder._held == 1


def test_what_is_no_number_is_not_drawn():
    """A hole would be drawn as a fall to zero, or end the round."""
    rule, recorder = replace(RULES["GpuMemoryAlmostFull"], for_=0.0), Recorder()
    nothing = float("nan")
    notification = told([rule], [0.5, nothing, float("inf")], recorder)
    assert points(recorder, [rule], notification).values == (0.5,)


def test_a_foreign_alert_has_no_readings():
    """A rule that was renamed while it fired would end the composing of mails."""
    rule, recorder = replace(RULES["GpuMemoryAlmostFull"], for_=0.0), Recorder()
    notification = told([rule], [0.95], recorder)
    assert points(recorder, [], notification).values == ()


def test_the_record_is_bounded_and_says_when_it_is_full(caplog, monkeypatch):
    """A metric with a label that never repeats would fill the memory of the alerter."""
    monkeypatch.setattr(local, "MOST_SERIES", 10)
    recorder, rule = Recorder(), RULES["GpuMemoryAlmostFull"]
    for number in range(30):
        recorder.take({label_set({"gpu": str(number)}): (rule, 0.5)}, NOW)

    assert recorder._held == 10
    assert [record.levelno for record in caplog.records] == [logging.WARNING]

    recorder.take({}, NOW + 3600)
    recorder.take({label_set({"gpu": "new"}): (rule, 0.5)}, NOW + 8000)
    assert recorder._held == 1


def test_yes_and_no_leave_room_for_numbers(monkeypatch):
    """On a large site the pictures of memory would give way to lines between yes and no."""
    monkeypatch.setattr(local, "MOST_SERIES", 10)
    recorder = Recorder()
    for number in range(30):
        recorder.take({label_set({"gpu": str(number)}): (RULES["GpuLost"], 1.0)}, NOW)
    assert recorder._held == 5


def test_a_full_record_takes_what_is_promised():
    """The alerter would grow out of the memory that its unit grants it."""
    recorder, rule, part = Recorder(), RULES["GpuMemoryAlmostFull"], MOST_SERIES // 20
    tracemalloc.start()
    try:
        series = [label_set({name: f"{text} {number}" for name, text in CARD.items()}) for number in range(part)]
        for step in range(150):
            recorder.take(dict.fromkeys(series, (rule, step / 150)), NOW + 30 * step)
        taken = 20 * tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert recorder._held == part
    assert 2**20 < taken < 9 * 2**20
    print(f"{taken / 2**20:.1f} MiB")
