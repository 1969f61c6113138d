"""The files that a bench was asked for, written anew after each run.

A file that cannot be written from the beginning ends the command at once. Later on, on a disk that has become full,
say, the runs are worth more than the file: it is told once, each further run tries again, and the table comes anyway.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from exporter.bench.telling.document import OutputError, as_json, write

Text = Callable[[Mapping[str, Any]], str]


@dataclass(slots=True)
class Files:
    """Those of ``--json`` and ``--markdown``; ``found`` is what a document is made of, whenever it is asked for."""

    texts: Mapping[Path, Text]
    found: Callable[[], Mapping[str, Any]]
    complete: bool = True
    """Whether the last time everything could be written."""
    _told: bool = False

    def write(self) -> None:
        """Write all.

        Raises:
            OutputError: one cannot be written.
        """
        for path, text in self.texts.items():
            write(path, text(self.found()))

    def save(self) -> None:
        """Write all, or say once why not."""
        try:
            self.write()
        except OutputError as error:
            self.complete = False
            if not self._told:
                click.echo(f"{error}; the runs go on, and their table comes at the end", err=True)
            self._told = True
        else:
            self.complete = True


def files(options: Mapping[str, Any], markdown: Text, found: Callable[[], Mapping[str, Any]]) -> Files:
    """The files that the options name."""
    asked = {options["json_file"]: as_json, options["markdown_file"]: markdown}
    return Files({path: text for path, text in asked.items() if path}, found)
