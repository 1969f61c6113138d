"""The runs of a module of the user's own as a table, for a terminal or in Markdown. Pure, over the bench's document."""

from collections.abc import Callable, Mapping, Sequence

from exporter.bench.module.plan import meaning
from exporter.bench.telling.columns import NOTHING, drawn
from exporter.bench.telling.words import Document, heading, remarks
from gpuwarden.units import format_value

Cell = Callable[[Document], str]


def _time(key: str) -> Cell:
    def cell(run: Document) -> str:
        return format_value(
            run["figures"][f"{'step' if run['spec']['training'] else 'batch'}_{key}_seconds"], "seconds"
        )

    return cell


def _bytes(*keys: str) -> Cell:
    return lambda run: format_value(next(run["figures"][key] for key in keys if key in run["figures"]), "bytes")


_COLUMNS: Mapping[str, Cell] = {
    "cold": _time("cold"),
    "p50": _time("p50"),
    "p90": _time("p90"),
    "items/s": lambda run: f"{run['figures']['items_per_second']:,.1f}",
    "allocated": _bytes("torch_allocated_peak_bytes"),
    "reserved": _bytes("torch_reserved_peak_bytes"),
    "process": _bytes("process_bytes", "process_resident_peak_bytes"),
}


def text(document: Document, *, markdown: bool = False) -> str:
    """All of it."""
    runs = [run for run in document["runs"] if run["reason"] != "not_run"]
    made = [run for run in runs if run["outcome"] == "ok"]
    parts = [
        heading(document),
        _about(made[0]) if made else "",
        _table(made, markdown=markdown) if made else "",
        "\n".join(
            f"- {run['name']}: {meaning(run['reason'] or run['outcome'], run['detail'])}"
            for run in runs
            if run["outcome"] != "ok"
        ),
        "\n".join(f"- {each}" for each in remarks(document)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(run: Document) -> str:
    figures = run["figures"]
    held = format_value(figures["weights_bytes"], "bytes")
    return f"{figures['parameters']:,} parameters, {held} in {run['spec']['precision']}"


def _table(runs: Sequence[Document], *, markdown: bool) -> str:
    rows = [(run["name"], *(_cell(read, run) for read in _COLUMNS.values())) for run in runs]
    return "\n".join(drawn(("run", *_COLUMNS), rows, markdown=markdown))


def _cell(read: Cell, run: Document) -> str:
    try:
        return read(run)
    except (KeyError, TypeError, StopIteration):  # not measured in this run
        return NOTHING
