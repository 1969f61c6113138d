"""What the guide claims of CNNs in its scenarios: which figure is held against which number."""

import json

import pytest

from exporter.bench.claim import Result, judge
from exporter.bench.guide.scenarios import SCENARIOS
from exporter.bench.guide.scenarios_cnn import CNN_SCENARIOS
from exporter.bench.plan import Wishes, plan
from exporter.bench.telling.words import REASONS
from exporter.workload.spec import parse

CLAIMS = {claim.id: claim for claim in CNN_SCENARIOS}
GB, MIB = 10**9, 2**20

UNET = {"step_seconds": 0.5}
SPEED = {"images_per_second": 45.0}
HELD = {"process_bytes": 10 * GB, "torch_allocated_peak_bytes": 5000 * MIB}
COMPARED = {
    "onnxruntime_speedup_ratio": 1.9,
    "torch_p50_seconds": 0.019,
    "onnxruntime_p50_seconds": 0.01,
    "onnxruntime_provider": "CUDAExecutionProvider",
    "onnxruntime_version": "1.32.0",
}


def judged(claim, figures, *besides, **more):
    results = {run.name: Result(figures, **more) for run in claim.runs.values()}
    others = claim.besides.values() if besides else ()
    return judge(claim, {**results, **{run.name: Result(besides[0], **more) for run in others}})


@pytest.mark.parametrize(
    ("claim", "figures", "worse", "value"),
    [
        ("unet3d-training", UNET, {"step_seconds": 1.0}, 2.0),
        ("efficientnet-b0-inference", SPEED, {"images_per_second": 44.0}, 45.0),
        ("yolov5s-memory", HELD, {**HELD, "process_bytes": 6 * GB}, 10 * GB),
        ("onnxruntime-card", COMPARED, {**COMPARED, "onnxruntime_speedup_ratio": 1.5}, 1.9),
        ("onnxruntime-cpu", COMPARED, {**COMPARED, "onnxruntime_speedup_ratio": 1.5}, 1.9),
    ],
)
def test_a_claim_is_met_or_not_by_its_own_figure(claim, figures, worse, value):
    """A user would be told that his card does what it does not, or the other way round."""
    met, not_met = (judged(CLAIMS[claim], found, found) for found in (figures, worse))

    assert (met.word, met.value) == ("met", value)
    assert not_met.word == "not met"
    assert met.detail


def test_what_really_ran_is_named_beside_the_speed_up():
    """A comparison by ONNX Runtime's CPU provider would be taken for one on the card."""
    assert "CUDAExecutionProvider of 1.32.0" in judged(CLAIMS["onnxruntime-card"], COMPARED).detail


def test_a_figure_of_the_processor_is_no_verdict_on_a_card():
    """A user without a card would be told that a card does not do what nobody tried on it."""
    found = judged(CLAIMS["efficientnet-b0-inference"], SPEED, on_cpu=True)

    assert (found.word, found.reason, found.value) == ("other", "cpu", 45.0)


def test_a_missing_library_is_a_reason_with_words():
    """A user would look for the fault in his card, or in us."""
    claim = CLAIMS["onnxruntime-cpu"]
    found = judge(claim, {run.name: Result(reason="no_onnxruntime") for run in claim.runs.values()})

    assert (found.word, found.reason) == ("not measured", "no_onnxruntime")
    assert "no_onnxruntime" in REASONS


@pytest.mark.parametrize("claim", CNN_SCENARIOS, ids=lambda claim: claim.id)
def test_every_claim_is_in_the_table(claim):
    """A claim of the guide would be promised and never held against anything."""
    assert claim in SCENARIOS


@pytest.mark.parametrize("wishes", [Wishes(card=True), Wishes(card=False), Wishes(card=False, tiny=True)], ids=str)
def test_every_run_makes_sense_to_the_workload(wishes):
    """A claim would be refused on every machine, for a mistake of ours."""
    for planned in plan(CNN_SCENARIOS, (), wishes).to_make:
        device = {} if planned.on_cpu else {"device": "cuda:0"}

        assert parse(json.dumps({**planned.spec, **device})).model == planned.spec["model"]
