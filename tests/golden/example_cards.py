"""What the golden status pages show: a box of which everything is known, and one of which nothing is."""

from dataclasses import replace

from exporter.latency.observations import Observed
from exporter.snapshot import Gpu, GpuProcess, Host, Snapshot, SourceHealth, lost
from exporter.status.alerts import Alert, Alerts
from exporter.status.view import Known

GIB = float(2**30)
NOW = 1_780_000_065.0
HOSTILE = "</style><script>alert('\"&')</script>"

BUSY = Gpu(
    index="0",
    uuid="GPU-00000000-aaaa",
    read_at=100.0,
    info={"name": "NVIDIA GeForce RTX 3090", "pci_bus_id": "00000000:01:00.0", "driver_version": "580.95"},
    utilization_ratio=0.98,
    utilization_peak_ratio=1.0,
    memory_total_bytes=24 * GIB,
    memory_reserved_bytes=0.25 * GIB,
    memory_used_bytes=22.9 * GIB,
    memory_used_ratio=0.964,
    memory_used_peak_ratio=0.972,
    memory_unaccounted_bytes=1.5 * GIB,
    temperature_celsius=83.0,
    temperature_peak_celsius=84.0,
    temperature_margin_celsius=12.0,
    temperature_limit_celsius={"slowdown": 95.0, "shutdown": 98.0},
    power_watts=340.0,
    power_peak_watts=352.0,
    power_limit_watts=350.0,
    clock_hertz={"sm": 1.8e9},
    clock_max_hertz={"sm": 2.1e9},
    throttled={"sw_power_cap": 1.0, "sw_thermal": 0.0},
    xid_errors_total={("31", "application"): 2.0},
    xid_last_timestamp_seconds={("31", "application"): NOW - 7200},
    processes=(
        GpuProcess(5210, "train_gpt2.py", "ann", "trainer", "gpt", 20.2 * GIB, 0.9),
        GpuProcess(5333, HOSTILE, "bob", memory_bytes=1.2 * GIB),
        GpuProcess(0, "(others)", memory_bytes=0.1 * GIB),
    ),
    workload_memory_used_bytes={"gpt": 20.2 * GIB},
    workload_memory_budget_bytes={"gpt": 19 * GIB},
    workload_memory_budget_used_ratio={"gpt": 20.2 / 19},
)
DIVIDED = Gpu(
    index="1",
    uuid="GPU-00000001-bbbb",
    read_at=100.0,
    info={"name": "NVIDIA A100-PCIE-40GB"},
    memory_total_bytes=40 * GIB,
    memory_used_bytes=9 * GIB,
    memory_used_ratio=0.225,
    temperature_celsius=36.0,
    power_watts=41.0,
    processes_visible=0,
    memory_unaccounted_bytes=9 * GIB,
    row_remap_pending=1.0,
    mig_enabled=1.0,
    mig_info=({"mig": "1/0", "mig_uuid": "MIG-a", "profile": "1g.5gb"},),
    mig_memory_total_bytes={"1/0": 5 * GIB},
    mig_memory_used_bytes={"1/0": 4 * GIB},
    mig_memory_used_ratio={"1/0": 0.8},
)
GONE = lost(replace(BUSY, index="2", uuid="GPU-00000002-cccc"))

HOST = Host(
    read_at=100.0,
    info={"hostname": "gpubox", "system": "Linux", "kernel": "6.1.0"},
    boot_timestamp_seconds=NOW - 86_400,
    cpu_utilization_ratio=0.35,
    cpus=16.0,
    load_average={"1m": 5.5, "5m": 5.25, "15m": 4.875},
    memory_total_bytes=64 * GIB,
    memory_available_bytes=41 * GIB,
    memory_used_ratio=23 / 64,
    filesystem_size_bytes={("/dev/nvme0n1p2", "/", "ext4"): 1000 * GIB},
    filesystem_available_bytes={("/dev/nvme0n1p2", "/", "ext4"): 388 * GIB},
    filesystem_used_ratio={("/dev/nvme0n1p2", "/", "ext4"): 0.612},
)
SOURCES = (
    SourceHealth("host", True, 100.0, 0.002, NOW - 0.4),
    SourceHealth("nvml", True, 100.0, 0.001, NOW - 0.5),
    SourceHealth("nvml/2", False, 100.0, 0.001, NOW - 400, "the driver does not find the card (GPU is lost)"),
)
FULL = Alert(
    name="GpuMemoryAlmostFull",
    severity="critical",
    summary="GPU 0 memory is 96.4 % full",
    active_at=NOW - 65,
    gpu="0",
    uuid=BUSY.uuid,
    instance="gpubox:9400",
)
WAITING = Alert(name="HostMemoryAlmostFull", severity="warning", firing=False, summary=HOSTILE, instance="gpubox:9400")
FIRES = Alerts(source="http://127.0.0.1:9401", listed=(FULL, WAITING), answered_ago=1.5)

SLOW = tuple(4 if place == 11 else 2 if place == 12 else 0 for place in range(19))
OBSERVED = (
    Observed("model_request_duration_seconds", distributions={("gpt2", "app", "generate"): (SLOW, 12.0)}),
    Observed("model_requests_total", values={("gpt2", "app", "ok"): 6.0, ("gpt2", "app", "oom"): 1.0}),
    Observed("model_probe_duration_seconds", values={("resnet50", "fp16", "0", "GPU-a", "50"): 0.018}),
    Observed("model_probe_contended", values={("resnet50", "0", "GPU-a"): 1.0}),
    Observed("model_probe_last_run_timestamp_seconds", values={("resnet50", "0", "GPU-a"): NOW - 600}),
    Observed("model_probe_skipped_total", values={("resnet50", "0", "GPU-a", "vram"): 3.0}),
    Observed("model_probe_running", values={("0", "GPU-a"): 0.0}),
)

EVERYTHING = Known(
    snapshot=Snapshot((BUSY, DIVIDED, GONE), HOST, SOURCES, simulated=True, gpus_expected=4),
    observed=OBSERVED,
    alerts=FIRES,
    version="1.2.3",
    now=NOW,
)
NOTHING = Known(
    snapshot=Snapshot(sources=(SourceHealth("nvml", False, 100.0, 0.0, None, "no NVIDIA driver found"),)),
    alerts=Alerts(source="http://127.0.0.1:9401", answered_ago=43.0, trouble="Connection refused"),
    version="1.2.3",
    now=NOW,
)
PAGES = {"everything": EVERYTHING, "nothing": NOTHING}
