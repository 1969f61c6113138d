"""The table of what a run needs, against what runs on a card were seen to take (docs/workload.md)."""

import re
from pathlib import Path

import pytest

from exporter.latency.needs import MIB, SHAPES, margin, needs
from exporter.workload.known import MODELS

PAGE = (Path(__file__).parents[2] / "docs" / "workload.md").read_text()
SMALLEST_CARD = 4 * 1024 * MIB
RUN = re.compile(
    r"(?P<model>[\w-]+) (?:inference, batch (?P<images>\d+), )?(?:prompt of 992 x 8, )?(?P<precision>fp16|fp32|amp)"
    r"(?: 32\+992)?(?:, attention (?P<attention>\w+))?"
)


def memory_rows():
    """Each run of the page's table of memory that is one of ours: its name and its figures in MiB."""
    table = PAGE.split("**memory**")[1].strip().splitlines()
    head, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table if line.startswith("|")]
    for row in rows[1:]:
        found = dict(zip(head, row, strict=True))
        match = RUN.fullmatch(found["run"])
        if match and match["attention"] in {None, "sdpa"} and match["model"] in SHAPES:
            yield pytest.param(match, found, id=found["run"])


def mib(cell):
    return 0.0 if cell == "-" else float(cell.removesuffix(" MiB"))


@pytest.mark.parametrize(("run", "measured"), list(memory_rows()))
def test_no_run_takes_more_than_the_table_says(run, measured):
    """A probe would take the last memory of a card whose free memory seemed to be enough."""
    batch = 8 if "x 8" in measured["run"] else 1
    found = needs(run["model"], run["precision"], positions=1024, batch=batch, images=int(run["images"] or 1))
    weights, cache = mib(measured["weights"]), mib(measured["KV cache"])

    assert found.weights / MIB == pytest.approx(weights, abs=1)
    assert found.kv_cache / MIB == pytest.approx(cache, abs=1)
    if batch == 1:
        assert found.activations / MIB >= mib(measured["allocated peak"]) - weights - cache
        assert (found.total + margin(SMALLEST_CARD)) / MIB >= mib(measured["process (NVML)"])


def test_there_are_measured_runs_to_compare_with():
    """A table that nothing is compared with would look checked."""
    assert len(list(memory_rows())) >= 12


def test_what_can_be_probed_can_be_run():
    """A model of the settings would be refused by its own child."""
    assert [model for model, shape in SHAPES.items() if shape.operation not in MODELS[model].runs] == []


@pytest.mark.parametrize(("total", "free"), [(4, 512), (12, 1229), (141, 14438)])
def test_a_tenth_of_a_large_card_stays_free(total, free):
    """On a large card half a gigabyte is what a single request of somebody's model takes."""
    assert margin(total * 1024 * MIB) / MIB == pytest.approx(free, abs=1)
