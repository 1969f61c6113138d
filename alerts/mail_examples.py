"""The groups of alerts behind ``gpuwarden mail preview``'s digests."""

from dataclasses import replace

from alerts.notify.digest import Group
from alerts.notify.notification import Notification


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
