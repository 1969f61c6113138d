"""Makes the reference pages from the code: ``python docs/remake.py`` writes them, ``--check`` names the stale ones."""

import dataclasses
import pathlib
import sys
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

from bench_page import bench_page
from fit_page import fit_page
from mail_page import mail_page
from reference import MADE, docstring, table
from rules_page import rules_page

from alerts.settings import AlerterSettings
from exporter.dialects import dcgm
from exporter.settings import ExporterSettings
from gpuwarden import settings
from gpuwarden.catalog import ALERTER_ROWS, EXPORTER_ROWS, GPU_ROWS, HOST_ROWS, MODEL_ROWS, SCRAPE_ROWS, Metric
from gpuwarden.cli_config import shown

FOLDER = pathlib.Path(__file__).parent


def metrics_page() -> str:
    """Every series of the catalog."""
    groups: tuple[tuple[str, tuple[Metric, ...]], ...] = (
        ("Cards", GPU_ROWS),
        ("Host", HOST_ROWS),
        ("Models", MODEL_ROWS),
        ("The exporter itself", EXPORTER_ROWS),
        ("The alerter itself (on :9401)", ALERTER_ROWS),
        ("Written by whoever scrapes", SCRAPE_ROWS),
    )
    parts = [
        (
            f"# Metrics\n\n{MADE}\n\n"
            "A series that a card or host does not support is absent: never 0, never NaN.\n"
            "Which rows a real card supplies depends on the driver and the card; `--demo` supplies every row.\n"
            "NVML's calls are written without `nvml`; a field is an id of `nvmlDeviceGetFieldValues`.\n"
        )
    ]
    for title, rows in groups:
        parts.append(f"## {title}\n\n{_metrics_table(rows)}\n")
    return "\n".join(parts)


def _metrics_table(rows: tuple[Metric, ...]) -> str:
    """Columns that no row of the table fills are left out."""
    head = ("name", "type", "unit", "labels", "meaning", "read from", "cards")
    cells = [
        (
            *(f"`{row.name}`", row.kind, row.unit, " ".join(f"`{label}`" for label in row.labels), row.help),
            *(row.read_from, row.cards),
        )
        for row in rows
    ]
    kept = [number for number in range(len(head)) if any(row[number] for row in cells)]
    return table((head[number] for number in kept), ([row[number] for number in kept] for row in cells))


_DCGM = """\
`exporter.dialects: [dcgm-4.8]` (or `GPUWARDEN_EXPORTER_DIALECTS=dcgm-4.8`) publishes the readings a second time under
the names, units and labels of dcgm-exporter 4.5.3-4.8.2, so that dashboards and alerts that were written for it work
on any card, a GeForce too. Our own series stay beside them. The list is frozen: it follows that version, not later
ones, which renamed the fields and changed eleven units.

- Labels: {labels}. Kubernetes' labels and `err_code`, `err_msg` on XID errors are not supplied.
- `device` is made from the card's index; where minor numbers differ from it, so does DCGM's.
- Fields of a card that does not supply them have no sample. XID_ERRORS is 0 before the first error and
  VGPU_LICENSE_STATUS 0 on a card without vGPU software, as there. A lost card has no row at all.
- PCIE_TX_THROUGHPUT and PCIE_RX_THROUGHPUT are not supplied: ours are exact counters of bytes
  (`gpu_pcie_transmitted_bytes_total`, `gpu_pcie_received_bytes_total`). The PROF fields need Hopper or later.
- On an OpenMetrics page the counters are of unknown type, since OpenMetrics knows no counter without `_total`.
"""


def dcgm_page() -> str:
    """Every field of the DCGM dialect."""
    rows = ((f"`{row.name}`", row.kind, row.help) for row in dcgm.ROWS)
    labels = ", ".join(f"`{label}`" for label in dcgm.LABELS)
    return f"# DCGM's names\n\n{MADE}\n\n{_DCGM.format(labels=labels)}\n{table(('name', 'type', 'meaning'), rows)}\n"


def settings_page() -> str:
    """Every key of the settings file."""
    parts = [
        (
            f"# Settings\n\n{MADE}\n\n"
            "Layers, the later wins: default, file, environment variable, flag. The file is the first found of\n"
            "`--config FILE`, `./gpuwarden.yml`, `~/.config/gpuwarden/gpuwarden.yml`, `/etc/gpuwarden/gpuwarden.yml`.\n"
            "`gpuwarden config` shows what is in force and where it was written.\n"
        )
    ]
    for section, cls in (("exporter", ExporterSettings), ("alerter", AlerterSettings)):
        rows = [*_setting_rows(section, cls()), *_entry_rows(section, cls)]
        parts.append(f"## {section}\n\n{table(('key', 'default', 'meaning'), rows)}\n")
    return "\n".join(parts)


def _setting_rows(section: str, defaults: Any) -> Iterator[tuple[str, str, str]]:
    for path, kind in settings.leaves(type(defaults)):
        holder, value = defaults, defaults
        for key in path:
            holder, name = value, settings.keys_of(type(value))[str(key)]
            value = getattr(value, name)
        yield f"`{'.'.join(map(str, (section, *path)))}`", f"`{shown(value, kind)}`", docstring(type(holder), name)


def _entry_rows(section: str, cls: Any) -> Iterator[tuple[str, str, str]]:
    """The keys of the entries of lists, which stand in the file only."""
    hints = get_type_hints(cls)
    for key, name in settings.keys_of(cls).items():
        entry = next(iter(get_args(hints[name])), None)
        if dataclasses.is_dataclass(entry):
            kinds = get_type_hints(entry)
            for item in dataclasses.fields(entry):
                meaning = docstring(entry if isinstance(entry, type) else type(entry), item.name)
                yield f"`{section}.{key}[].{item.name.removesuffix('_')}`", _default(item, kinds[item.name]), meaning


def _default(item: dataclasses.Field[Any], kind: Any) -> str:
    if item.default_factory is not dataclasses.MISSING:
        return f"`{shown(item.default_factory(), kind)}`"
    return "required" if item.default is dataclasses.MISSING else f"`{shown(item.default, kind)}`"


PAGES = {
    "metrics.md": metrics_page,
    "dcgm.md": dcgm_page,
    "rules.md": rules_page,
    "settings.md": settings_page,
    "mail.md": mail_page,
    "bench.md": bench_page,
    "fit.md": fit_page,
}


def main() -> int:
    """Write or check every page; 1 when ``--check`` finds one out of date."""
    stale = 0
    for name, make in PAGES.items():
        path, text = FOLDER / name, make()
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale += 1
            print(f"{path} is out of date: make generate", file=sys.stderr)  # noqa: T201 -- its output
    return int(stale > 0)


if __name__ == "__main__":
    sys.exit(main())
