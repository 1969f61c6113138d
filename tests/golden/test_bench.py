"""The tables of the bench for what was found on an H200, as somebody has read them.

The recording's figures are those of docs/workload.md; of the card's memory it has what was more than before the run.
"""

import json
from pathlib import Path

import pytest

from exporter.bench.guide.claims import CLAIMS
from exporter.bench.telling import markdown, report
from exporter.bench.telling.recorded import judged_anew

FOLDER = Path(__file__).parent / "bench"
RECORDING = FOLDER / "h200.json"


def tables():
    """Each table by its file's name."""
    document = judged_anew(json.loads(RECORDING.read_text("utf-8")), CLAIMS)
    return {
        "h200.md": markdown.markdown(document),
        "h200.txt": report.table(document),
        "h200-120.txt": report.table(document, 120),
    }


@pytest.mark.parametrize("name", ["h200.md", "h200.txt", "h200-120.txt"])
def test_a_table_is_the_one_that_somebody_has_read(name):
    """A change of what the table says would reach people without anybody having looked at it (make generate)."""
    assert tables()[name] == (FOLDER / name).read_text("utf-8")
