"""What a run needs before it may start, against what runs on a card were seen to take."""

import pytest

from docs.measured_memory import RUNS, measured
from exporter.latency.needs import needs
from exporter.latency.probed import OPERATIONS
from exporter.latency.targets import Target, spec
from exporter.model_memory.answering import MIB
from exporter.model_memory.margin import margin
from exporter.workload.known import MODELS

H200 = 143_771 * MIB
SEEN = [
    each
    for each in measured()
    if OPERATIONS.get(each.run.spec["model"]) == each.run.spec["run"] and each.run.spec.get("precision") != "tf32"
]


@pytest.mark.parametrize("seen", SEEN, ids=lambda seen: f"{seen.run.name} {seen.process_mib:.0f}")
def test_no_run_takes_more_than_is_said(seen):
    """A probe would take the last memory of a card whose free memory seemed to be enough."""
    found = needs(seen.run.spec, H200)

    assert found.in_torch / MIB >= seen.allocated_mib
    assert found.total / MIB >= seen.process_mib


def test_there_are_measured_runs_to_compare_with():
    """A table that nothing is compared with would look checked."""
    assert len(SEEN) >= 15
    assert {"gpt2-small fp16 32+992", "gpt2-xl fp32 32+992", "resnet50 inference, batch 32, amp"} < RUNS.keys()


def asked(model, precision="fp32"):
    """The spec of a probe's run on a card."""
    return spec(Target(model, precision, "0", "GPU-a"), 4)


@pytest.mark.parametrize("model", OPERATIONS)
def test_what_can_be_probed_can_be_run_and_its_memory_is_known(model):
    """A model of the settings would be refused by its own child, or by us on every card."""
    assert OPERATIONS[model] in MODELS[model].runs
    assert needs(asked(model)).total > 500 * MIB


def test_of_an_unknown_run_nothing_is_said():
    """It would be taken to need nothing, and be started on a card that is full."""
    with pytest.raises(LookupError, match="serve of resnet18"):
        needs({"run": "serve", "model": "resnet18"})


def test_the_memory_of_a_run_is_that_of_its_precision():
    """A model in full precision would be let onto a card that is too small for it."""
    assert needs(asked("gpt2-xl")).weights == 2 * needs(asked("gpt2-xl", "fp16")).weights
    assert needs(asked("gpt2-small", "int8_dynamic")).weights > needs(asked("gpt2-small")).weights


def test_a_large_card_has_a_large_context():
    """What a process takes of it before its first tensor is there would not be counted."""
    assert needs(asked("resnet18"), H200).context > needs(asked("resnet18"), 8 * 1024 * MIB).context >= 500 * MIB


@pytest.mark.parametrize(("total", "free"), [(4, 512), (12, 1229), (141, 14438)])
def test_a_tenth_of_a_large_card_stays_free(total, free):
    """On a large card half a gigabyte is what a single request of somebody's model takes."""
    assert margin(total * 1024 * MIB) / MIB == pytest.approx(free, abs=1)
