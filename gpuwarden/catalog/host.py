"""What is published of the machine."""

from gpuwarden.catalog.row import Kind, Metric
from gpuwarden.units import Unit


def _host(name: str, unit: Unit, text: str, *labels: str, by: str, kind: Kind = "gauge") -> Metric:
    return Metric(f"host_{name}", kind, unit, labels, text, read_from=by)


HOST_ROWS: tuple[Metric, ...] = (
    _host(
        "info", "count", "Description of the host.", "hostname", "system", "kernel", kind="info", by="/proc/sys/kernel"
    ),
    _host("boot_timestamp_seconds", "timestamp", "When the host was started.", by="/proc/stat"),
    _host("cpu_utilization_ratio", "ratio", "Share of all cores' time spent working.", by="/proc/stat"),
    _host("cpus", "count", "Logical processors.", by="/proc/stat"),
    _host("load_average", "count", "Runnable tasks, averaged over the window.", "window", by="/proc/loadavg"),
    _host("memory_total_bytes", "bytes", "Main memory.", by="/proc/meminfo"),
    _host(
        "memory_available_bytes",
        "bytes",
        "Main memory that programs can still get without swapping.",
        by="/proc/meminfo",
    ),
    _host("memory_used_ratio", "ratio", "Main memory that is not available, over all of it.", by="/proc/meminfo"),
    _host("swap_total_bytes", "bytes", "Swap space.", by="/proc/meminfo"),
    _host("swap_used_bytes", "bytes", "Swap space in use.", by="/proc/meminfo"),
    _host("filesystem_size_bytes", "bytes", "Size of the file system.", "device", "mountpoint", "fstype", by="statvfs"),
    _host(
        "filesystem_available_bytes", "bytes", "Space left for users.", "device", "mountpoint", "fstype", by="statvfs"
    ),
    _host("filesystem_used_ratio", "ratio", "Used over usable space.", "device", "mountpoint", "fstype", by="statvfs"),
    _host(
        "disk_read_bytes_total", "bytes", "Bytes read from the disk.", "device", kind="counter", by="/proc/diskstats"
    ),
    _host(
        "disk_written_bytes_total",
        "bytes",
        "Bytes written to the disk.",
        "device",
        kind="counter",
        by="/proc/diskstats",
    ),
    _host("network_received_bytes_total", "bytes", "Bytes received.", "device", kind="counter", by="/proc/net/dev"),
    _host("network_transmitted_bytes_total", "bytes", "Bytes sent.", "device", kind="counter", by="/proc/net/dev"),
)
