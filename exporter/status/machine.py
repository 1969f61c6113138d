"""The host in words: pure."""

from collections.abc import Iterator

from exporter.snapshot import Host
from exporter.status.bars import ratio_bar, said
from exporter.status.model import Bar
from gpuwarden.units import format_value


def host_bars(host: Host) -> tuple[Bar, ...]:
    """CPU, memory, swap where there is any, and each file system."""
    return tuple(_bars(host))


def _bars(host: Host) -> Iterator[Bar]:
    cpus = [] if host.cpus is None else [f"{host.cpus:g} CPUs"]
    yield ratio_bar("CPU", host.cpu_utilization_ratio, [*cpus, *_load(host)])
    total, available = host.memory_total_bytes, host.memory_available_bytes
    held = None if total is None or available is None else total - available
    amount = [] if held is None else [f"{said(held, 'bytes')} of {said(total, 'bytes')}"]
    yield ratio_bar(
        "Memory", host.memory_used_ratio, amount, limit="" if total is None else format_value(total, "bytes")
    )
    if host.swap_total_bytes and host.swap_used_bytes is not None:
        amount = [f"{format_value(host.swap_used_bytes, 'bytes')} of {format_value(host.swap_total_bytes, 'bytes')}"]
        yield ratio_bar("Swap", host.swap_used_bytes / host.swap_total_bytes, amount)
    for key, ratio in sorted(host.filesystem_used_ratio.items(), key=lambda item: item[0][1:2]):
        device, mountpoint, *_ = (*key, "", "")
        size, free = host.filesystem_size_bytes.get(key), host.filesystem_available_bytes.get(key)
        amount = [] if free is None else [f"{format_value(free, 'bytes')} free of {said(size, 'bytes')}"]
        yield ratio_bar(f"Files at {mountpoint}" if mountpoint else device, ratio, amount)


def _load(host: Host) -> list[str]:
    if not host.load_average:
        return []
    return [f"load {' '.join(f'{value:.1f}' for value in host.load_average.values())}"]


def host_facts(host: Host, now: float) -> tuple[tuple[str, str], ...]:
    """What the machine is, as of ``now`` (Unix seconds)."""
    facts = [(key.capitalize(), host.info[key]) for key in ("system", "kernel") if host.info.get(key)]
    if host.boot_timestamp_seconds is not None:
        facts.append(("Up for", format_value(max(0.0, now - host.boot_timestamp_seconds), "seconds")))
    return tuple(facts)
