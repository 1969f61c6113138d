"""The facts behind the golden reports: a busy day, and a quiet one of which not all is known."""

from alerts.report.facts import AlertFacts, CardFacts, ModelFacts, OutboxFacts, Readings, ReportFacts
from alerts.report.schedule import Period
from alerts.report.view import Tariff

PERIOD = Period(1_780_000_000.0, 1_780_086_400.0)
TARIFF = Tariff(0.30, "EUR")


def _card(host, gpu, **values):
    return CardFacts(host=host, gpu=str(gpu), uuid=f"GPU-{host}-{gpu}", name="NVIDIA GeForce RTX 3060", **values)


BUSY = ReportFacts(
    period=PERIOD,
    readings=Readings(
        cards=(
            _card("gpubox", 0, memory_ratio=0.961, celsius=83, watts=168.4, utilization=0.62, joules=8.1e6),
            _card("gpubox", 1, memory_ratio=0.42, celsius=61, watts=120, utilization=0.05, joules=2.0e6),
            _card("trainer-1", 0, memory_ratio=0.871, celsius=79, watts=171, utilization=0.97, joules=1.4e7),
        ),
        models=(
            ModelFacts(model="my-gpt", what="app generate", count=48_211, p50=0.84, p90=2.1),
            ModelFacts(model="resnet50", what="probe", count=96, p50=0.012, p90=0.013),
        ),
        since=PERIOD.begin,
        until=PERIOD.end,
    ),
    alerts=AlertFacts(
        count=4,
        by_rule={"GpuMemoryAlmostFull": 3, "GpuHot": 1},
        longest=(5400.0, "GpuMemoryAlmostFull on gpubox"),
        firing=("GpuHot on trainer-1, GPU 0, since 2026-05-29 19:00:00 UTC",),
    ),
    outbox=OutboxFacts(sent=7, waiting=1, dead=1),
)

QUIET = ReportFacts(
    period=PERIOD,
    readings=Readings(
        cards=(CardFacts(host="<b>evil\nhost", gpu="0", uuid="u", name="显卡" * 200, celsius=44),),
        simulated=True,
        missing=("There are no readings before 2026-05-29 09:12:00 UTC.",),
    ),
    alerts=AlertFacts(),
    outbox=OutboxFacts(),
)

REPORTS = {"report": BUSY, "report_quiet": QUIET}
