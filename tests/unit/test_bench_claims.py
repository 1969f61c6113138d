"""The claims themselves: each can be run, here or without a card, and is judged as an H200's figures demand."""

import json

import pytest

from exporter.bench.claim import GB, MIB
from exporter.bench.claims import CLAIMS, SPARE_RUNS
from exporter.bench.guide_runs import ANSWERS, CHECKPOINTING, KV_HALF, TRAININGS
from exporter.bench.plan import Wishes, plan
from exporter.model_memory.answering import AMP, FP16, FP32, answering_gpt
from exporter.model_memory.shapes import GPTS, RESNETS
from exporter.model_memory.training import training_cnn, training_gpt
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
        assert planned.on_cpu == (planned.run.mib == 0), planned.run.name
        assert planned.on_cpu or planned.wants_bytes >= planned.needs_bytes + 512 * MIB


def test_the_sizes_in_the_notes_are_those_of_the_models():
    """A note that calls a reference wrong would be wrong itself."""
    parameters = {"small": 124_439_808, "medium": 354_823_168, "large": 774_030_080, "xl": 1_557_611_200}
    notes = {claim.id: claim.note for claim in CLAIMS}
    for size, count in parameters.items():
        note = notes[f"gpt2-{size}-memory"]

        assert f"weights are {2 * count / MIB:.0f} MiB" in note
        assert f"are {16 * count / GB:.2f} GB" in note


CONTEXT = 700 * MIB


def fitting(run):
    """What ``bench --fit`` says that the run takes, with the context that an H200's processes have."""
    spec, precision = run.spec, {"fp32": FP32, "fp16": FP16, "amp": AMP}[run.spec["precision"]]
    if spec["run"] == "generate":
        return answering_gpt(GPTS[spec["model"]], precision, spec.get("batch", 1), 1024, spec["prompt"]).total + CONTEXT
    if spec["model"] in GPTS:
        how = {"checkpointing": spec["checkpointing"]}
        return training_gpt(GPTS[spec["model"]], precision, spec["batch"], 512, **how)[0].total + CONTEXT
    return training_cnn(RESNETS[spec["model"]], precision, spec["batch"])[0].total + CONTEXT


RUNS = [*ANSWERS.values(), KV_HALF, *CHECKPOINTING.values(), *TRAININGS.values()]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_run_needs_what_fit_says(run):
    """The bench would refuse to start what --fit says fits, or the other way round."""
    assert fitting(run) == pytest.approx(run.mib * MIB, rel=0.25)
