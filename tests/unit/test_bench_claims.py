"""The claims themselves: each can be run, here or without a card, and is judged as an H200's figures demand."""

import json

import pytest

from docs.measured_memory import RUNS, measured
from exporter.bench.claim import GB, MIB
from exporter.bench.guide.claims import CLAIMS, SPARE_RUNS
from exporter.bench.guide.scenarios_gpt import ALONE, BESIDE
from exporter.bench.plan import Wishes, plan
from exporter.model_memory.runs import parts_of_run
from exporter.workload.spec import parse

WAYS = {
    "card": Wishes(card=True, spare=True),
    "processor": Wishes(card=False, spare=True),
    "quick": Wishes(card=True, spare=True, quick=True),
    "quick processor": Wishes(card=False, spare=True, quick=True),
    "whole epoch": Wishes(card=True, spare=True, full_epoch=True, data="/somewhere"),
    "whole epoch, processor": Wishes(card=False, spare=True, full_epoch=True, quick=True),
    "tiny": Wishes(card=False, spare=True, tiny=True),
}


def specs(planned):
    """Its spec, and that of the run beside it."""
    spec = dict(planned.spec)
    beside = spec.pop("beside", None)
    device = {} if planned.on_cpu else {"device": "cuda:0"}
    return [{**spec, **device}, *([{**beside, "device": spec.get("device", "cuda:0")}] if beside else [])]


@pytest.mark.parametrize("way", WAYS)
def test_the_workload_takes_every_spec(way):
    """A claim would never be measured, because its run is refused."""
    found = plan(CLAIMS, SPARE_RUNS, WAYS[way])

    assert len(found.to_make) > 3
    for planned in found.to_make:
        for spec in specs(planned):
            assert parse(json.dumps(spec)).run == spec["run"], planned.run.name


def test_a_name_means_one_run():
    """Two claims would share the figures of one run, which are not those of the other."""
    runs = [run for claim in CLAIMS for run in claim.all_runs] + [*SPARE_RUNS]
    runs += [run.on_cpu for run in runs if run.on_cpu]

    for run in runs:
        assert all(other == run for other in runs if other.name == run.name), run.name
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)


def test_each_claim_says_what_it_means():
    """A reader of the table could not tell what was measured, or why the reference does not hold."""
    for claim in CLAIMS:
        assert claim.says, claim.id
        assert claim.how, claim.id
        assert not claim.how.endswith("."), claim.id
        assert claim.note.endswith(".") or not claim.note, claim.id
        assert claim.comparable or claim.note, claim.id
        assert not set(claim.runs) & set(claim.besides), claim.id


def test_a_run_on_a_card_says_what_memory_it_needs():
    """A run would be started on a card that is too full for it."""
    for planned in plan(CLAIMS, SPARE_RUNS, Wishes(card=True, spare=True)).runs:
        assert planned.on_cpu == (planned.run.needs_bytes == 0), planned.run.name
        assert planned.on_cpu or planned.wants_bytes >= planned.needs_bytes + 512 * MIB


def test_the_sizes_in_the_notes_are_those_of_the_models():
    """A note that calls a reference wrong would be wrong itself."""
    parameters = {"small": 124_439_808, "medium": 354_823_168, "large": 774_030_080, "xl": 1_557_611_200}
    notes = {claim.id: claim.note for claim in CLAIMS}
    for size, count in parameters.items():
        note = notes[f"gpt2-{size}-memory"]

        assert f"weights are {2 * count / MIB:.0f} MiB" in note
        assert f"are {16 * count / GB:.2f} GB" in note


@pytest.mark.parametrize("seen", measured(), ids=lambda seen: f"{seen.run.name} {seen.process_mib:.0f}")
def test_a_run_finds_the_memory_that_it_was_seen_to_take(seen):
    """The bench would start a run that takes the card's last memory, or refuse one that has room."""
    (planned,) = plan([], [seen.run], Wishes(card=True, spare=True)).runs

    assert planned.needs_bytes == pytest.approx(seen.process_mib * MIB, rel=0.2)
    assert planned.wants_bytes > seen.process_mib * MIB


@pytest.mark.parametrize("run", [run for run in RUNS.values() if run.mib], ids=lambda run: run.name)
def test_only_what_nothing_reckons_is_written_by_hand(run):
    """A figure in two places would be wrong in one of them some day."""
    assert parts_of_run(run.spec) is None or run.mib in {
        round(seen.process_mib) for seen in measured() if seen.run == run
    }


def test_two_runs_at_once_need_the_memory_of_both():
    """The second of the two would find no room, in the middle of the first one's run."""
    alone = [ALONE["chat"].needs_bytes, ALONE["training"].needs_bytes]

    assert BESIDE["training"].needs_bytes == sum(alone)
