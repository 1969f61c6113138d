"""The page about ``gpuwarden bench``: what is claimed, how it is measured, and what an H200 said."""

import json
import pathlib

from reference import MADE, table

from exporter.bench.claim import Claim, Run
from exporter.bench.guide.claims import CLAIMS, SPARE_RUNS
from exporter.bench.plan import Wishes, plan
from exporter.bench.telling.recorded import judged_anew
from exporter.bench.telling.words import REASONS, heading, reference, shown, summary, verdict
from gpuwarden.units import format_value

_RECORDING = pathlib.Path(__file__).parents[1] / "tests" / "golden" / "bench" / "h200.json"
_INTRODUCTION = """\
`gpuwarden bench` runs GPTs and CNNs of published sizes, with random weights, on one card or on the processor,
and holds what they take against figures that a guide for people with their own cards promises. It needs a Python with
torch: this one (`pip install 'gpuwarden[probe]'`) or any other (`--python`). Each run is a process of its own; the
card's memory is read before it, while it holds everything, and after its end.

```console
gpuwarden bench --list                       # what would be run and the memory that it needs; no torch needed
gpuwarden bench --json here.json --markdown here.md
gpuwarden bench --quick --only first-token   # one claim, with fewer steps
gpuwarden bench --device cpu                 # what makes sense without a card
gpuwarden bench --show here.json             # the table again, judged by the claims of today
```

A run starts only where the card has free what it needs and 512 MiB or a tenth beside it, and never on a card that is
divided or in another compute mode than Default. The exit status is 0 when every run came to a result (out of memory is
one) or cannot be made here (`vram`, `no_card`, `no_onnxruntime`, `no_int8`), 1 otherwise, 2 when the input is wrong,
130 after Ctrl-C, which ends the child at once and keeps what is there.

With `--minutes` a run is begun only while as much time is left as its kind takes at least.

The JSON is written anew after each run; a disk that becomes full meanwhile is told, costs the file and ends nothing.
It has `claims`, each with its `value` in its `unit`, `verdict`, `reason` and `note`, and `runs`, each with its `spec`,
`outcome`, `reason`, the `figures` of the workload in seconds and bytes, who `contended`, and the `card`: `before` the
run, at the `start` of what is timed, at the `barrier` where everything is in memory, and `after` its end.
"""
_VERDICTS = """\
- **met**, **not met**: of this machine, whatever card the reference names in brackets.
- **other**: there is a figure, and comparing it with the reference would mislead; the reason says why.
- **not measured**: there is no figure; the reason says why.
"""
_ON_AN_H200 = "Recorded in seven minutes beside a probe; what is `no_time` was left when they were over."


def bench_page() -> str:
    """Every claim, every reason, every run."""
    sections = {
        "Verdicts": f"{_VERDICTS}\n{_reasons()}",
        "Claims": "\n\n".join(map(_claim, CLAIMS)),
        "Runs": f"Memory is the card's as it is reckoned ([fit.md](fit.md)), CUDA context included.\n\n{_runs()}",
        "On an H200": f"{_ON_AN_H200}\n\n{_recorded()}",
    }
    parts = [f"## {title}\n\n{text}\n" for title, text in sections.items()]
    return "\n".join([f"# Bench\n\n{MADE}\n\n{_INTRODUCTION}", *parts])


def _reasons() -> str:
    return table(("reason", "meaning"), ((f"`{reason}`", meaning) for reason, meaning in REASONS.items()))


def _claim(claim: Claim) -> str:
    words = {"at most": "or less", "at least": "or more", "about": "within a quarter"}[claim.reference.test]
    card = f", of an {claim.card}" if claim.card else ""
    lines = [
        f"- reference: {claim.reference.text} {words}{card}",
        f"- measured: {claim.how}",
        f"- runs: {'; '.join(run.name for run in claim.all_runs)}",
    ]
    note = f"\n\n{claim.note}" if claim.note else ""
    return f"### {claim.id}\n\n> {claim.says}\n\n{chr(10).join(lines)}{note}"


def _runs() -> str:
    """With a card; the last column is what is made without one."""
    planned = plan(CLAIMS, SPARE_RUNS, Wishes(card=True, spare=True)).runs
    rows = ((each.run.name, _memory(each.needs_bytes), _without_card(each.run)) for each in planned)
    return table(("run", "memory", "without a card"), rows)


def _memory(needs_bytes: int) -> str:
    return format_value(needs_bytes, "bytes") if needs_bytes else "-"


def _without_card(run: Run) -> str:
    if run.where == "cpu":
        return "the same"
    return run.on_cpu.name if run.on_cpu else "-"


def _recorded() -> str:
    document = judged_anew(json.loads(_RECORDING.read_text("utf-8")), CLAIMS)
    rows = (
        (claim["says"], reference(claim), shown(claim["value"], claim["unit"]), claim["detail"] or "-", verdict(claim))
        for claim in document["claims"]
    )
    found = table(("claim", "reference", "found", "more", "verdict"), rows)
    return f"{heading(document)}\n\n{found}\n\n{summary(document)}."
