"""Who holds a card's memory, in words: pure."""

from collections.abc import Sequence

from exporter.snapshot import Gpu, GpuProcess
from exporter.status.bars import ratio_bar, said
from exporter.status.model import Bar, Group, Holder
from exporter.status.words import cut
from gpuwarden.units import format_value

_LONGEST_BRIEF = 32
_LEAST_UNACCOUNTED_BYTES = 2**20
"""Less than that is the driver's rounding, and no person looks for it."""


def holding(gpu: Gpu) -> tuple[Group | None, tuple[Holder, ...]]:
    """The line about holders and what is behind it; None where nothing is known of any."""
    holders = [_holder(process, gpu.processes) for process in gpu.processes]
    hidden = gpu.memory_unaccounted_bytes or 0.0
    if hidden >= _LEAST_UNACCOUNTED_BYTES:
        holders.append(Holder("no visible process", format_value(hidden, "bytes"), (("", _why(gpu)),)))
    if not holders:
        return (Group("No process is on the card"), ()) if gpu.processes_visible else (None, ())
    number = sum(process.pid != 0 for process in gpu.processes)
    title = (f"{number} processes" if number > 1 else "1 process") if number else "No visible process"
    brief = f"{cut(holders[0].name, _LONGEST_BRIEF)} {holders[0].held}" if number else holders[0].held
    return Group(title, f"{brief} and others" if number > 1 else brief), tuple(holders)


def _holder(process: GpuProcess, among: Sequence[GpuProcess]) -> Holder:
    if process.pid == 0:
        cut = f"beyond the {len(among) - 1} largest"
        return Holder(process.name, said(process.memory_bytes, "bytes"), (("", cut), *_load(process)))
    details = (
        ("pid", str(process.pid)),
        ("user", process.user),
        ("container", process.container),
        ("workload", process.workload),
    )
    known = tuple((what, which) for what, which in details if which)
    return Holder(process.name, said(process.memory_bytes, "bytes"), (*known, *_load(process)))


def _load(process: GpuProcess) -> tuple[tuple[str, str], ...]:
    if process.utilization_ratio is None:
        return ()
    return (("utilization", format_value(process.utilization_ratio, "ratio")),)


def _why(gpu: Gpu) -> str:
    if gpu.processes_visible == 0:
        return "the driver's process ids cannot be seen from here"
    return "the driver itself, or processes that cannot be seen from here"


def budget_bars(gpu: Gpu) -> tuple[Bar, ...]:
    """Each workload group on its way to its budget."""
    used, budgets = gpu.workload_memory_used_bytes, gpu.workload_memory_budget_bytes
    return tuple(
        ratio_bar(
            name,
            gpu.workload_memory_budget_used_ratio.get(name),
            [f"{said(used.get(name), 'bytes')} of {format_value(budget, 'bytes')}"],
            limit=format_value(budget, "bytes"),
        )
        for name, budget in sorted(budgets.items())
    )


def instance_bars(gpu: Gpu) -> tuple[Bar, ...]:
    """Each MIG device's memory, while the card is divided."""
    if not gpu.mig_enabled:
        return ()
    profiles = {info.get("mig", ""): info.get("profile", "") for info in gpu.mig_info}
    names = sorted({*profiles, *gpu.mig_memory_used_bytes, *gpu.mig_memory_used_ratio})
    return tuple(_instance(gpu, name, profiles.get(name, "")) for name in names)


def _instance(gpu: Gpu, name: str, profile: str) -> Bar:
    used, total = gpu.mig_memory_used_bytes.get(name), gpu.mig_memory_total_bytes.get(name)
    amount = [] if used is None else [f"{format_value(used, 'bytes')} of {said(total, 'bytes')}"]
    active = [
        f"{part} active {format_value(value, 'ratio')}"
        for (mig, part), value in gpu.mig_activity_ratio.items()
        if mig == name
    ]
    return ratio_bar(f"MIG {name} {profile}".rstrip(), gpu.mig_memory_used_ratio.get(name), [*amount, *active])
