"""What ``gpuwarden mail preview`` shows beside mails about one alert: digests and a report."""

from dataclasses import replace

from alerts.notify.digest import Group
from alerts.notify.notification import Notification
from alerts.report.facts import AlertFacts, CardFacts, ModelFacts, OutboxFacts, Readings, ReportFacts
from alerts.report.schedule import Period


def burst_of(firing: Notification) -> Group:
    """Much at once: ``firing`` and six cards that are hot, on two hosts."""
    hot = replace(
        firing,
        alertname="GpuHot",
        severity="warning",
        metric="gpu_temperature_celsius",
        unit="celsius",
        threshold=85.0,
        holders=(),
        suggestion="",
    )
    cards = [
        replace(
            _named(hot, f"examplehot{number:2>10}"),
            labels=(("gpu", str(number)), *firing.labels[1:]),
            value=86.0 + number,
            summary=f"GPU {number} is at {86 + number} °C",
            host=("example", "example-2")[number % 2],
        )
        for number in range(6)
    ]
    return (firing, *cards)


def night_of(firing: Notification, resolved: Notification) -> Group:
    """What quiet hours held: an alert that came and went, and one that goes on."""
    until = resolved.at + 600.0
    goes_on = replace(
        _named(firing, "examplenight22222222"), alertname="GpuMemoryHigh", summary="GPU 2 memory is high", value=0.84
    )
    held = (firing, replace(resolved, peak=0.987), goes_on)
    return tuple(replace(one, severity="warning", held_until=until) for one in held)


def _named(notification: Notification, identity: str) -> Notification:
    return replace(notification, id=identity, incident=identity, root=identity)


def example_report(now: float) -> ReportFacts:
    """A day with two cards, one of which was almost full twice."""
    cards = (
        CardFacts(
            host="example",
            gpu=str(number),
            uuid=f"GPU-example-{number}",
            name="Example card",
            memory_ratio=(0.52, 0.961)[number],
            celsius=(61.0, 79.0)[number],
            watts=(120.0, 168.0)[number],
            utilization=(0.12, 0.85)[number],
            joules=(3.1e6, 9.4e6)[number],
        )
        for number in range(2)
    )
    models = (ModelFacts(model="my-gpt", what="app generate", count=4821.0, p50=0.84, p90=2.1),)
    longest = (1900.0, "GpuMemoryAlmostFull on example")
    return ReportFacts(
        period=Period(now - 86_400.0, now),
        readings=Readings(cards=tuple(cards), models=models, simulated=True),
        alerts=AlertFacts(count=2, by_rule={"GpuMemoryAlmostFull": 2}, longest=longest, simulated=True),
        outbox=OutboxFacts(sent=4),
    )
