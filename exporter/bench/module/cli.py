"""``gpuwarden bench --module FILE``: a torch module of the user's own under the bench's harness.

His code runs in the child only; here its name is all that is known.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from exporter.bench.around import Options, card_to_measure, circumstances, progress
from exporter.bench.module.plan import OF_THE_FILE, PRECISIONS, Asked, can_be_trained, planned, split
from exporter.bench.module.report import text
from exporter.bench.plan import Plan, Planned
from exporter.bench.running.measuring import Bench, Record
from exporter.bench.running.progress import Progress
from exporter.bench.running.session import make_all
from exporter.bench.telling.document import document
from exporter.bench.telling.saving import files
from gpuwarden.options import FAILED, WRONG_INPUT

_INTERRUPTED = 130

MODULE_OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.option("--module", metavar="FILE[:NAME]", help="Measure it; what it must hold: docs/own_module.md"),
    click.option(
        "--precision",
        "precisions",
        type=click.Choice(PRECISIONS),
        multiple=True,
        help="May be repeated [default: fp32]",
    ),
)
SHARED = frozenset({"device", "gpu", "python", "quick", "minutes", "json_file", "markdown_file", "batch", "optimizer"})
"""Options that other modes have, too."""


def measure_module(options: Options) -> int:
    """Measure it, print the table, write the files; the exit status."""
    file, name = split(options["module"])
    precisions = tuple(dict.fromkeys(options["precisions"])) or PRECISIONS[:1]
    asked = Asked(file, name, precisions, options["batch"] or 1, options["optimizer"] or "", options["quick"])
    card = card_to_measure(options)
    around = circumstances(options, card)
    until = time.monotonic() + 60 * options["minutes"] if options["minutes"] else None
    session = _Session(Bench(options["python"], card, threading.Event(), until), progress(len(precisions)))

    def found() -> Mapping[str, Any]:
        return document(session.plan, session.records, around)

    kept = files(options, lambda each: text(each, markdown=True), found)
    kept.write()  # a file that cannot be written is told now
    for _ in session.all_runs(asked):
        kept.save()
    kept.save()  # the run that Ctrl-C ended is no longer handed on
    click.echo(text(found()), nl=False)
    return session.status or (0 if kept.complete else FAILED)


@dataclass(slots=True)
class _Session:
    """The runs one by one, since what follows depends on what was found."""

    bench: Bench
    progress: Progress
    records: list[Record] = field(default_factory=list[Record])
    interrupted: bool = False

    @property
    def plan(self) -> Plan:
        """What was made so far."""
        return Plan((), tuple(record.planned for record in self.records))

    def all_runs(self, asked: Asked) -> Iterator[Record]:
        """Answers in each precision, and training where it can be trained."""
        for precision in asked.precisions:
            record = self._made(self._planned(asked, precision, training=False))
            if record is None:
                return
            yield record
            if record.done.reason in OF_THE_FILE:
                return
            if can_be_trained(record.done, precision):
                self.progress.total += 1
                if (record := self._made(self._planned(asked, precision, training=True))) is None:
                    return
                yield record

    def _planned(self, asked: Asked, precision: str, *, training: bool) -> Planned:
        return planned(asked, precision, training=training, on_cpu=self.bench.card is None)

    def _made(self, one: Planned) -> Record | None:
        outcome = make_all(Plan((), (one,)), self.bench, self.progress, lambda _: None)
        self.interrupted = self.interrupted or outcome.interrupted
        self.records += outcome.records
        return outcome.records[0] if outcome.records and not self.interrupted else None

    @property
    def status(self) -> int:
        """0 when every run came to its end, 2 when the file is wrong, 130 after Ctrl-C, else 1."""
        if self.interrupted:
            return _INTERRUPTED
        if any(record.done.reason in OF_THE_FILE for record in self.records):
            return WRONG_INPUT
        return 0 if all(record.done.outcome == "ok" for record in self.records) else FAILED
