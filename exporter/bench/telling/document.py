"""The outcome as one JSON document, from which every table is made: pure, and a file that is replaced whole.

``runs`` and ``claims`` are in the order of the plan from the first to the last version of the document; what has not
been made yet has the reason ``not_run``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.bench.claim import Claim, Result, judge
from exporter.bench.plan import Plan, Planned
from exporter.bench.running.measuring import Record, figures_of
from exporter.latency.torch_child import Done
from gpuwarden.errors import GpuwardenError
from gpuwarden.whole_files import replace_file

FORMAT = 1
MADE = frozenset({"ok"})
_NOT_YET = Done("not run", "not_run")


class OutputError(GpuwardenError, OSError):
    """A file of results cannot be written."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What does not change from run to run: program's version, when it began (ISO 8601), options, card, host."""

    version: str
    began: str
    options: Mapping[str, object]
    card: Mapping[str, object]
    host: Mapping[str, object]


def document(plan: Plan, records: Sequence[Record], circumstances: Circumstances) -> dict[str, Any]:
    """All that is known by now; ``records`` are those of the plan's first runs."""
    made = {record.planned.run.name: record for record in records}
    runs = [made.get(planned.run.name) or Record(planned, _unmade(planned)) for planned in plan.runs]
    results = {name: _result(record) for record in runs for name in record.planned.stands_for}
    versions = [record.done.started for record in runs if record.done.started]
    return {
        "gpuwarden_bench": FORMAT,
        "version": circumstances.version,
        "began": circumstances.began,
        "options": dict(circumstances.options),
        "card": dict(circumstances.card),
        "host": {**circumstances.host, **_versions(versions)},
        "claims": [_claim(claim, results) for claim in plan.claims],
        "runs": [_run(record) for record in runs],
    }


def _unmade(planned: Planned) -> Done:
    return Done("not run", planned.left_out) if planned.left_out else _NOT_YET


def _versions(told: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """As the first run that told them did; only one on the card knows of cudnn."""
    found: dict[str, object] = {}
    for started in told:
        for key in ("torch", "cuda", "cudnn", "python"):
            if started.get(key):
                found.setdefault(key, started[key])
    return found


def _result(record: Record) -> Result:
    reason = "" if record.done.outcome == "ok" else record.done.reason or record.done.outcome
    planned = record.planned
    return Result(
        figures=dict(figures_of(record)),
        reason=reason,
        on_cpu=planned.on_cpu,
        tiny=planned.tiny,
        contended=bool(record.contended) and not planned.on_cpu,
    )


def _claim(claim: Claim, results: Mapping[str, Result]) -> dict[str, Any]:
    verdict = judge(claim, results)
    return {
        "id": claim.id,
        "says": claim.says,
        "reference": claim.reference.text,
        "reference_value": claim.reference.value,
        "reference_card": claim.card,
        "unit": claim.unit,
        "value": verdict.value,
        "detail": verdict.detail,
        "verdict": verdict.word,
        "reason": verdict.reason,
        "how": claim.how,
        "note": claim.note,
        "runs": [run.name for run in claim.all_runs],
    }


def _run(record: Record) -> dict[str, Any]:
    planned, done = record.planned, record.done
    return {
        "name": planned.run.name,
        "kind": "together" if "beside" in planned.spec else planned.spec["run"],
        "serves": list(planned.serves),
        "stands_for": list(planned.stands_for),
        "needs_bytes": planned.needs_bytes,
        "on_cpu": planned.on_cpu,
        "tiny": planned.tiny,
        "outcome": done.outcome,
        "reason": done.reason,
        "detail": done.detail,
        "seconds": round(done.seconds, 3),
        "spec": dict(done.spec or planned.spec),
        "started": dict(done.started),
        "figures": dict(figures_of(record)),
        "card": {moment: reading.as_document() for moment, reading in record.card.items()},
        "settled_seconds": record.settled_seconds,
        "contended": list(record.contended),
    }


def write(path: Path, text: str) -> None:
    """Replace a file, so that a reader, and a crash, find the old one or the new one; of a link, what it points to.

    Raises:
        OutputError: it cannot be written, or is a device or a pipe, which nothing may take the place of.
    """
    if path.exists() and not path.is_file():
        message = f"{path} cannot be written: it is no ordinary file"
        raise OutputError(message)
    path, given = path.resolve(), path
    try:
        replace_file(path, text)
    except OSError as error:
        message = f"{given} cannot be written: {error.strerror or error}"
        raise OutputError(message) from error


def as_json(found: Mapping[str, Any]) -> str:
    """The document as text."""
    return json.dumps(found, indent=1, default=str) + "\n"
