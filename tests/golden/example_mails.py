"""The notifications behind the golden mails: what people get, in the cases that differ."""

from dataclasses import replace

from alerts.mail_settings import MailSettings
from alerts.notify.notification import Holder, Notification

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
)

RESOLVED = replace(
    FIRING,
    id="bcdefghijklmnopqrstu",
    reason="resolved",
    at=1_780_001_000.0,
    value=0.412,
    summary="GPU 2 memory is 41.2 % full",
    holders=FIRING.holders[1:],
)

CHINESE = replace(
    FIRING,
    id="cdefghijklmnopqrstuv",
    root="cdefghijklmnopqrstuv",
    severity="warning",
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

EXAMPLES = {"firing": FIRING, "resolved": RESOLVED, "chinese": CHINESE, "hostile": HOSTILE}
