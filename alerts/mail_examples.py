"""What ``gpuwarden mail test`` and ``mail preview`` tell of: made up, and marked as simulated."""

from dataclasses import replace

from alerts.mail_settings import MailSettings
from alerts.notify.digest import Group
from alerts.notify.notification import Graver, Holder, Notification
from alerts.report.facts import AlertFacts, CardFacts, ModelFacts, OutboxFacts, Readings, ReportFacts
from alerts.report.schedule import Period

_SUGGESTION = """\
rules:
  - override: GpuMemoryAlmostFull
    where: {uuid: "GPU-example"}
    above: 0.97 # or: enabled: false
    clear: 0.97"""


def firing_example(settings: MailSettings, now: float) -> Notification:
    """A card that is almost full."""
    return Notification(
        id="example1111111111111",
        incident="example1111111111111",
        root="example1111111111111",
        reason="first",
        at=now,
        started_at=now - 65.0,
        alertname="GpuMemoryAlmostFull",
        severity="critical",
        labels=(("gpu", "2"), ("instance", "127.0.0.1:9400"), ("job", "gpuwarden"), ("uuid", "GPU-example")),
        metric="gpu_memory_used_ratio",
        unit="ratio",
        comparison="above",
        threshold=0.9,
        value=0.961,
        summary="GPU 2 memory is 96.1 % full",
        action="Stop or shrink one of the processes above before the next allocation fails.",
        host="demo",
        recipients=settings.recipients,
        holders=(
            Holder("4711", "python3 train.py", 9.5 * 2**30, "ann"),
            Holder("815", "tritonserver", 1.75 * 2**30, "root", "inference"),
        ),
        simulated=True,
        suggestion=_SUGGESTION,
        peak=0.961,
    )


def repeat_of(firing: Notification) -> Notification:
    """It goes on."""
    at = firing.at + 4 * 3600.0
    return replace(firing, id="example5555555555555", reason="repeat", at=at)


def flapping_of(firing: Notification) -> Notification:
    """It comes and goes."""
    since = firing.at - 38 * 60.0
    return replace(firing, id="example6666666666666", reason="flapping", flaps=4, flaps_since=since, lasting=10 * 60.0)


def lowered_of(firing: Notification) -> Notification:
    """The card is less full, not well."""
    at = firing.at + 900.0
    return replace(
        firing,
        id="example3333333333333",
        reason="lowered",
        at=at,
        alertname="GpuMemoryHigh",
        severity="warning",
        threshold=0.8,
        value=0.84,
        summary="GPU 2 memory is 84.0 % full, above 80.0 % for a while",
        action="Do not start another job there without looking.",
        graver=Graver(firing.alertname, firing.severity, firing.started_at, at, firing.metric),
        suggestion="",
    )


def predicted_of(firing: Notification) -> Notification:
    """It will be full soon."""
    return replace(
        firing,
        id="example4444444444444",
        incident="example4444444444444",
        root="example4444444444444",
        alertname="GpuMemoryFullSoon",
        severity="warning",
        threshold=0.98,
        value=1.07,
        peak=1.07,
        reading="predicted in 30 min",
        summary="GPU 2 memory grows and would be full within half an hour",
        action="See which process grows, and save a checkpoint now.",
        suggestion="",
    )


def resolved_of(firing: Notification) -> Notification:
    """It is over."""
    return replace(
        firing,
        id="example2222222222222",
        reason="resolved",
        at=firing.at + 900.0,
        value=0.52,
        summary="GPU 2 memory is 52.0 % full",
        peak=0.982,
        suggestion="",
        holders=firing.holders[:1],
    )


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
            peak=86.0 + number,
            summary=f"GPU {number} is at {86 + number} °C",
            host=("demo", "demo-2")[number % 2],
        )
        for number in range(6)
    ]
    return (firing, *cards)


def night_of(firing: Notification, resolved: Notification) -> Group:
    """What quiet hours held: an alert that came and went, and one that goes on."""
    until = resolved.at + 600.0
    goes_on = replace(
        _named(firing, "examplenight22222222"),
        alertname="GpuMemoryHigh",
        labels=(("gpu", "3"), *firing.labels[1:]),
        threshold=0.8,
        value=0.84,
        peak=0.84,
        summary="GPU 3 memory is 84.0 % full, above 80.0 % for a while",
    )
    held = (firing, replace(resolved, peak=0.987), goes_on)
    return tuple(replace(one, severity="warning", held_until=until) for one in held)


def _named(notification: Notification, identity: str) -> Notification:
    return replace(notification, id=identity, incident=identity, root=identity)


def example_report(now: float) -> ReportFacts:
    """A day with two cards, one of which was almost full twice."""
    cards = (
        CardFacts(
            host="demo",
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
    longest = (1900.0, "GpuMemoryAlmostFull on demo")
    return ReportFacts(
        period=Period(now - 86_400.0, now),
        readings=Readings(cards=tuple(cards), models=models, simulated=True),
        alerts=AlertFacts(count=2, by_rule={"GpuMemoryAlmostFull": 2}, longest=longest, simulated=True),
        outbox=OutboxFacts(sent=4),
    )
