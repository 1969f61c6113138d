"""An earlier document, judged anew by the claims of today: what was found stays, what it means may have been mended."""

import contextlib
import json
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

from exporter.bench.claim import Claim, Run
from exporter.bench.plan import Plan, Planned
from exporter.bench.running.card import Holder, Reading
from exporter.bench.running.measuring import Record
from exporter.bench.telling.document import FORMAT, Circumstances, document
from exporter.latency.torch_child import Done
from gpuwarden.errors import UserInputError


class RecordingError(UserInputError, ValueError):
    """The file is no document of ``gpuwarden bench --json``."""


@contextlib.contextmanager
def understood(path: Path) -> Generator[None]:
    """Around whatever is done with a document that somebody may have changed or cut off.

    Raises:
        RecordingError: what it holds is not what was expected.
    """
    try:
        yield
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise RecordingError(message) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        if isinstance(error, RecordingError):
            raise
        message = f"{path} is not what gpuwarden bench --json writes: {error!r}"
        raise RecordingError(message) from error


def read(path: Path, claims: Iterable[Claim]) -> dict[str, Any]:
    """The document in a file, judged anew.

    Raises:
        RecordingError: it cannot be read, or is none of ours.
    """
    with understood(path):
        found = json.loads(path.read_text("utf-8"))
        if found["gpuwarden_bench"] != FORMAT:
            message = f"{path} is of another format, {found['gpuwarden_bench']}"
            raise RecordingError(message)
        return judged_anew(found, claims)


def judged_anew(recorded: Mapping[str, Any], claims: Iterable[Claim]) -> dict[str, Any]:
    """The same runs, and those of ``claims`` that it has, with today's verdicts and words."""
    known = {claim["id"] for claim in recorded["claims"]}
    records = [_record(run) for run in recorded["runs"]]
    chosen = tuple(claim for claim in claims if claim.id in known)
    circumstances = Circumstances(*(recorded[key] for key in ("version", "began", "options", "card", "host")))
    return document(Plan(chosen, tuple(record.planned for record in records)), records, circumstances)


def _record(run: Mapping[str, Any]) -> Record:
    planned = Planned(
        Run(run["name"], run["spec"], run["needs_bytes"] // 2**20),
        tuple(run["stands_for"]),
        run["spec"],
        tuple(run["serves"]),
        on_cpu=run["on_cpu"],
        tiny=run["tiny"],
        left_out=run["reason"] if run["outcome"] == "not run" else "",
    )
    done = Done(
        run["outcome"],
        run["reason"],
        run["detail"],
        figures=run["figures"],
        started=run["started"],
        seconds=run["seconds"],
        spec=run["spec"],
    )
    card = {moment: _reading(reading) for moment, reading in run["card"].items()}
    return Record(planned, done, card, run["settled_seconds"])


def _reading(reading: Mapping[str, Any]) -> Reading:
    plain: dict[str, Any] = {**reading, "throttled": tuple(reading.get("throttled", ()))}
    plain["others"] = tuple(Holder(**other) for other in reading.get("others", ()))
    return Reading(**plain)
