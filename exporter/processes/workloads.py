"""Which workload group a process belongs to, and what each group holds: "CNN 80 %, GPT 20 %".

A process belongs to the first group whose expressions all match, each the whole of what it is about: the program's
name, the container's label (its name where known, else its short id), the user's name. What a group holds is summed
over all processes of a card before its list is cut. It is unknown, not 0, while the list cannot be seen or does not
say what a member holds; a group without a process on a card that can be seen holds 0.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from exporter.processes.labels import clean_label
from exporter.settings import WorkloadGroup
from exporter.snapshot import GpuProcess

_REMEMBERED = 4096


class Workloads:
    """Safe to share between threads."""

    def __init__(self, groups: Sequence[WorkloadGroup] = ()) -> None:
        self._groups = [(clean_label(group.name), _expressions(group)) for group in groups]
        self.ask_for_names = any(group.container or group.user for group in groups)
        self._budgets = {clean_label(group.name): group.budget for group in groups if group.budget is not None}
        # An expression may be slow (expressions.py), so the same names are matched once and not every second.
        self.group_of = lru_cache(_REMEMBERED if groups else 0)(self._group_of)

    def _group_of(self, process: str, container: str, user: str) -> str:
        """The name of the process's group, empty when it is in none."""
        for name, expressions in self._groups:
            whole = zip(expressions, (process, container, user), strict=True)
            if all(expression is None or expression.fullmatch(text) for expression, text in whole):
                return name
        return ""

    def held(self, processes: Iterable[GpuProcess]) -> dict[str, float]:
        """Bytes that each group holds among ``processes``, all of a card; without the groups that cannot be summed."""
        sums: dict[str, float] = {name: 0.0 for name, _ in self._groups}
        unknown: set[str] = set()
        for process in processes:
            if process.workload not in sums:  # in no group, or our own child
                continue
            if process.memory_bytes is None:
                unknown.add(process.workload)
            else:
                sums[process.workload] += process.memory_bytes or 0.0
        return {name: held for name, held in sums.items() if name not in unknown}

    def budgets(self, usable_bytes: float | None) -> dict[str, float]:
        """Bytes that each group may hold of a card with so many usable bytes; none for groups without a budget."""
        return {} if usable_bytes is None else {name: share * usable_bytes for name, share in self._budgets.items()}


def used_ratios(held: Mapping[str, float], budgets: Mapping[str, float]) -> dict[str, float]:
    """What is held over what may be, of the groups of which both are known."""
    return {name: held[name] / budget for name, budget in budgets.items() if name in held and budget > 0}


def _expressions(group: WorkloadGroup) -> tuple[re.Pattern[str] | None, ...]:
    # An empty expression stands for none given, as the settings have it.
    return tuple(re.compile(text) if text else None for text in (group.process, group.container, group.user))
