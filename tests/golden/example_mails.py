"""The notifications behind the golden mails: what people get, in the cases that differ."""

import math
from dataclasses import replace
from pathlib import Path

from alerts.compose_mail import compose
from alerts.drawing import drawing_of
from alerts.evidence.points import Points, within
from alerts.evidence.trend import trend_of
from alerts.mail_settings import MailSettings
from alerts.notify.notification import Graver, Holder, Link, Notification

SETTINGS = MailSettings(
    host="smtp.example.com",
    from_="gpuwarden <alerts@example.com>",
    to=("ann@example.com", "Bob <bob@example.com>"),
)

FIRING = Notification(
    id="abcdefghijklmnopqrst",
    incident="abcdefghijklmnopqrst",
    root="abcdefghijklmnopqrst",
    reason="first",
    at=1_780_000_065.0,
    started_at=1_780_000_000.0,
    alertname="GpuMemoryAlmostFull",
    severity="critical",
    labels=(
        ("gpu", "2"),
        ("instance", "127.0.0.1:9400"),
        ("job", "gpuwarden"),
        ("uuid", "GPU-5f3c2a10-8c3e-4d0b-9a77-0d3f1b2c4e5f"),
    ),
    metric="gpu_memory_used_ratio",
    unit="ratio",
    comparison="above",
    threshold=0.9,
    value=0.961,
    summary="GPU 2 memory is 96.1 % full",
    action="Stop or shrink one of the processes above before the next allocation fails: lower the batch size, or move a"
    " model to another card.",
    host="gpubox",
    recipients=("ann@example.com", "Bob <bob@example.com>"),
    holders=(
        Holder("4711", "python3 train_gpt.py", 9.5 * 2**30, "ann", ""),
        Holder("815", "tritonserver", 1.75 * 2**30, "root", "inference"),
    ),
    suggestion="""\
rules:
  - override: GpuMemoryAlmostFull
    where: {uuid: "GPU-5f3c2a10-8c3e-4d0b-9a77-0d3f1b2c4e5f"}
    above: 0.97 # or: enabled: false
    clear: 0.97""",
)

REPEAT = replace(FIRING, id="ijklmnopqrstuvwxyzab", reason="repeat", at=FIRING.at + 4 * 3600.0)

FLAPPING = replace(
    FIRING,
    id="jklmnopqrstuvwxyzabc",
    incident="jklmnopqrstuvwxyzabc",
    reason="flapping",
    flaps=4,
    flaps_since=FIRING.at - 38 * 60.0,
    lasting=600.0,
)

RESOLVED = replace(
    FIRING,
    id="bcdefghijklmnopqrstu",
    reason="resolved",
    at=1_780_001_000.0,
    value=0.412,
    summary="GPU 2 memory is 41.2 % full",
    holders=FIRING.holders[1:],
    suggestion="",
)

CALM = replace(
    RESOLVED,
    id="klmnopqrstuvwxyzabcd",
    incident=FLAPPING.id,
    at=FIRING.at + 7200.0,
    flaps=7,
    flaps_since=FLAPPING.flaps_since,
    started_at=FLAPPING.flaps_since,
    lasting=1200.0,
)

LOWERED = replace(
    FIRING,
    id="efghijklmnopqrstuvwx",
    reason="lowered",
    at=1_780_000_700.0,
    started_at=1_779_999_990.0,
    alertname="GpuMemoryHigh",
    severity="warning",
    threshold=0.8,
    value=0.84,
    summary="GPU 2 memory is 84.0 % full",
    graver=Graver("GpuMemoryAlmostFull", "critical", 1_780_000_000.0, 1_780_000_700.0, FIRING.metric),
    suggestion=FIRING.suggestion.replace("0.97", "0.85").replace("GpuMemoryAlmostFull", "GpuMemoryHigh"),
)

PREDICTED = replace(
    FIRING,
    id="fghijklmnopqrstuvwxy",
    root="fghijklmnopqrstuvwxy",
    severity="warning",
    alertname="HostFilesystemFilling",
    metric="host_filesystem_used_ratio",
    labels=(("device", "/dev/sda1"), ("instance", "127.0.0.1:9400"), ("job", "gpuwarden"), ("mountpoint", "/data")),
    threshold=0.99,
    value=1.07,
    reading="predicted in 4 h",
    summary="File system /data on gpubox will be full within 4 h",
    action="Delete old checkpoints, or move them.",
    holders=(),
    suggestion="""\
rules:
  - override: HostFilesystemFilling
    where: {instance: "127.0.0.1:9400", mountpoint: "/data"}
    enabled: false""",
)

XID = replace(
    FIRING,
    id="ghijklmnopqrstuvwxyz",
    root="ghijklmnopqrstuvwxyz",
    alertname="GpuXid",
    metric="gpu_xid_last_timestamp_seconds",
    unit="seconds",
    comparison="within",
    threshold=600.0,
    value=65.0,
    reading="age",
    labels=(*FIRING.labels, ("xid", "79")),
    summary="GPU 2 reported XID 79",
    action="Look into the kernel log.",
    holders=(),
    suggestion="",
)

GONE = replace(RESOLVED, id="hijklmnopqrstuvwxyza", value=None, gone=True, holders=())

CHINESE = replace(
    FIRING,
    id="cdefghijklmnopqrstuv",
    root="cdefghijklmnopqrstuv",
    severity="warning",
    suggestion="",
    summary="显卡 2 的显存已使用 96.1 % 请尽快处理 否则下一次分配内存会失败",
    action="请停止或缩小下列进程之一。",
    host="图形工作站",
    holders=(Holder("4711", "训练程序", 9.5 * 2**30, "李雷", ""),),
)

HOSTILE = replace(
    FIRING,
    id="defghijklmnopqrstuvw",
    root="defghijklmnopqrstuvw",
    simulated=True,
    value=None,
    summary="x\r\nBcc: everyone@example.com\r\n\r\n<script>alert(1)</script>\u202e\x00\udcff",
    host="evil\nhost",
    holders=tuple(
        Holder(
            str(pid), f'</td><img src="https://example.com/{pid}">\r\n.\r\n{{{{ 7 * 7 }}}}' + "A" * 300, 2.0**30 + pid
        )
        for pid in range(14)
    ),
)


def _climb(minute):
    """A card that fills while somebody trains, and is emptied by whoever read the mail."""
    if minute > 2.5:
        return 0.412
    return min(0.982, 0.36 + max(0.0, minute + 24) * 0.0243 + 0.008 * math.sin(2.1 * minute))


READINGS = Points(
    tuple(FIRING.started_at + 30.0 * number for number in range(-120, 40)),
    tuple(_climb(number / 2) for number in range(-120, 40)),
    30.0,
)
PICTURED = replace(
    FIRING,
    id="ijklmnopqrstuvwxyzab",
    root="ijklmnopqrstuvwxyzab",
    peak=0.974,
    trend=trend_of(within(READINGS, 0.0, FIRING.at), "ratio", FIRING.at),
    links=(
        Link(
            "Dashboard in Grafana", "https://grafana.example.com/d/gpuwarden-wall?from=1779996465000&to=1780000365000"
        ),
        Link("Status page", "http://gpubox:9400/"),
    ),
)

PICTURED_END = replace(
    RESOLVED, id="jklmnopqrstuvwxyzabc", root=PICTURED.root, peak=0.982, links=PICTURED.links, simulated=True
)

DOWN = replace(
    FIRING,
    id="klmnopqrstuvwxyzabcd",
    root="klmnopqrstuvwxyzabcd",
    alertname="TargetDown",
    metric="up",
    unit="bool",
    comparison="equals",
    threshold=0.0,
    value=0.0,
    labels=(("instance", "gpubox:9400"), ("job", "gpuwarden")),
    summary="Nothing can be read from gpubox:9400",
    action="While it lasts, no GPU of that machine is watched. Check that the machine runs and can be reached.",
    holders=(),
    suggestion="",
)

EXAMPLES = {
    "firing": FIRING,
    "repeat": REPEAT,
    "flapping": FLAPPING,
    "calm": CALM,
    "resolved": RESOLVED,
    "lowered": LOWERED,
    "predicted": PREDICTED,
    "xid": XID,
    "gone": GONE,
    "down": DOWN,
    "chinese": CHINESE,
    "hostile": HOSTILE,
    "pictured": PICTURED,
    "pictured-end": PICTURED_END,
}


DRAWINGS = {name: drawing_of(EXAMPLES[name], READINGS) for name in ("pictured", "pictured-end")}
"""What stands on the pictures; the PNGs lie beside the mails."""


def mail(name):
    """The final mail of one example."""
    picture = Path(__file__).parent / "mails" / f"{name}.png"
    return compose(EXAMPLES[name], SETTINGS, picture=picture.read_bytes() if name in DRAWINGS else None)
