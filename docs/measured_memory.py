"""The estimates of memory beside what was measured on an H200, in MiB.

The figures are read where they were recorded: the recording of a bench, and the table of an earlier one in workload.md.
A run had all the memory there that it liked, so what torch had reserved and what the driver counted for the process are
an upper end: with less memory torch gives back what it does not use, and cuDNN takes ways with less workspace.
"""

import json
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.bench.claim import Run
from exporter.bench.guide.claims import CLAIMS, SPARE_RUNS
from exporter.model_memory.answering import MIB
from exporter.model_memory.runs import parts_of_run

_DOCS = pathlib.Path(__file__).parent
_RECORDING = _DOCS.parent / "tests" / "golden" / "bench" / "h200.json"
_FIGURES = ("torch_allocated_peak_bytes", "torch_reserved_peak_bytes", "process_bytes")
_COLUMNS = ("allocated peak", "reserved peak", "process (NVML)")

RUNS = {run.name: run for run in (*(run for claim in CLAIMS for run in claim.all_runs), *SPARE_RUNS)}
"""The bench's runs by name."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run; ``process_mib`` is the driver's count, with the context."""

    run: Run
    allocated_mib: float
    reserved_mib: float
    process_mib: float

    @property
    def estimate_mib(self) -> float | None:
        """Without a context; None for a run that is not reckoned."""
        parts = parts_of_run(self.run.spec)
        return None if self.run.mib or parts is None else parts.in_torch / MIB

    @property
    def of_reserved(self) -> float:
        """The estimate as a multiple of what torch had reserved."""
        return (self.estimate_mib or 0) / self.reserved_mib

    @property
    def context_mib(self) -> float:
        """What the driver counted beyond torch."""
        return self.process_mib - self.reserved_mib


def measured() -> tuple[Measured, ...]:
    """Every run that was on the card, twice where two benches saw other figures."""
    found: dict[tuple[str, int], Measured] = {}
    for each in (*_of_the_page(), *_of_the_recording()):
        found.setdefault((each.run.name, round(each.reserved_mib)), each)
    order = list(RUNS)
    return tuple(sorted(found.values(), key=lambda each: order.index(each.run.name)))


def estimated() -> tuple[Measured, ...]:
    """Those of which there is an estimate."""
    return tuple(each for each in measured() if each.estimate_mib is not None)


def _of_the_recording() -> Iterator[Measured]:
    for run in json.loads(_RECORDING.read_text())["runs"]:
        if run["name"] in RUNS and _FIGURES[-1] in run["figures"]:
            yield Measured(RUNS[run["name"]], *(run["figures"][key] / MIB for key in _FIGURES))


def _of_the_page() -> Iterator[Measured]:
    table = (_DOCS / "workload.md").read_text().split("**memory**")[1].strip().splitlines()
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table if line.startswith("|")]
    for row in rows:
        cells = dict(zip(head, row, strict=True))
        seen = [cells[column] for column in _COLUMNS]
        if cells["run"] in RUNS and all(cell.endswith(" MiB") for cell in seen):
            yield Measured(RUNS[cells["run"]], *(float(cell.removesuffix(" MiB")) for cell in seen))


def comparison() -> str:
    """All of it as a table in Markdown."""
    lines = [
        "| run | estimate | torch allocated | torch reserved | estimate to reserved | process | of it context |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in estimated():
        cells = (
            *(f"{size:.0f}" for size in (each.estimate_mib, each.allocated_mib, each.reserved_mib)),
            *(f"{100 * (each.of_reserved - 1):+.0f} %", f"{each.process_mib:.0f}", f"{each.context_mib:.0f}"),
        )
        lines.append(f"| {each.run.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
