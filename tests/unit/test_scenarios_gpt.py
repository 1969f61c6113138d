"""What the guide claims of GPTs in its scenarios: which figure is held against which number."""

import pytest

from exporter.bench.claim import MIB, Result, judge
from exporter.bench.guide.scenarios import SCENARIOS
from exporter.bench.guide.scenarios_gpt import GPT_SCENARIOS
from exporter.bench.telling.words import REASONS

CLAIMS = {claim.id: claim for claim in GPT_SCENARIOS}


def rung(streams, seconds):
    return {
        "streams": streams,
        "per_token_seconds": seconds,
        "first_token_p50_seconds": 0.02,
        "tokens_per_second": streams / seconds,
    }


def served(seconds, doubles=2):
    rungs = [rung(1, 0.005), rung(2, 0.01), rung(4, 0.02), rung(5, seconds), rung(8, 0.05), rung(16, 0.1)]
    return {"served": {"rungs": rungs, "doubles_at_streams": doubles}}


def answer(seconds, mib):
    return {"answer_seconds": seconds, "process_bytes": mib * MIB}


def both(cnn, gpt):
    beside = {"images_per_second": cnn, "beside": {"tokens_per_second": gpt}}
    return {"cnn": {"images_per_second": 1000.0}, "gpt": {"tokens_per_second": 400.0}, "both": beside}


BIOGPT = {"first_token_p50_seconds": 0.1, "per_token_seconds": 0.01}


def judged(claim, found):
    return judge(claim, {claim.runs[key].name: Result(figures) for key, figures in found.items()})


@pytest.mark.parametrize(
    ("claim", "found", "worse", "value"),
    [
        (
            "biogpt-answer",
            {"answer": {**BIOGPT, "answer_p50_seconds": 0.7}},
            {"answer": {**BIOGPT, "answer_p50_seconds": 0.9}},
            0.7,
        ),
        ("dialogpt-5-threads", served(0.09), served(0.11), 0.09),
        ("dialogpt-5-batched", served(0.09, None), served(0.11), 0.09),
        (
            "distillation-large-medium",
            {"large": answer(8.0, 2508), "small": answer(2.0, 1530)},
            {"large": answer(7.02, 2508), "small": answer(5.65, 1530)},
            4.0,
        ),
        ("together-inference-cnn", both(600.0, 100.0), both(400.0, 300.0), 0.6),
        ("together-inference-gpt", both(400.0, 300.0), both(600.0, 100.0), 0.75),
        ("together-training-cnn", both(600.0, 100.0), both(400.0, 300.0), 0.6),
        ("together-training-gpt", both(400.0, 300.0), both(600.0, 100.0), 0.75),
    ],
)
def test_a_claim_is_met_or_not_by_its_own_figure(claim, found, worse, value):
    """A user would be told that his card does what it does not, or the other way round."""
    met, not_met = (judged(CLAIMS[claim], figures) for figures in (found, worse))

    assert (met.word, met.value) == ("met", value)
    assert not_met.word == "not met"
    assert met.detail
    assert not_met.detail


def test_a_biogpt_says_how_long_an_answer_may_be():
    """A user whose answers are longer than ours would take the verdict for his own."""
    found = judged(CLAIMS["biogpt-answer"], {"answer": {**BIOGPT, "answer_p50_seconds": 0.74}})

    assert "in 800 ms 71 tokens" in found.detail


def test_five_conversations_are_told_beside_one_and_sixteen():
    """A user could not see what the next user would cost him."""
    detail = judged(CLAIMS["dialogpt-5-threads"], served(0.04)).detail

    assert "tokens/s in all: 200 with 1, 125 with 5, 160 with 16" in detail
    assert "twice the time for a token from 2 on" in detail
    assert "never twice" in judged(CLAIMS["dialogpt-5-threads"], served(0.04, None)).detail


def test_a_card_that_holds_four_conversations_has_no_figure_of_five():
    """A card whose memory ends before would be told to keep a promise that was never tried."""
    found = served(0.09)
    found["served"]["rungs"] = found["served"]["rungs"][:3]

    assert judged(CLAIMS["dialogpt-5-threads"], found).word == "not measured"


def test_what_both_keep_is_told_with_each():
    """A user would see what one loses, and not that both together do more or less than one alone."""
    detail = judged(CLAIMS["together-inference-cnn"], both(600.0, 100.0)).detail

    assert detail == "1000 -> 600 images/s, 400 -> 100 tokens/s; together 85 % of what each does alone"


def test_a_pair_that_was_not_together_is_a_reason_with_words():
    """A user would look for the fault in his card."""
    claim = CLAIMS["together-inference-cnn"]
    found = judge(claim, {run.name: Result(reason="not_together") for run in claim.runs.values()})

    assert (found.word, found.reason) == ("not measured", "not_together")
    assert "not_together" in REASONS


@pytest.mark.parametrize("claim", GPT_SCENARIOS, ids=lambda claim: claim.id)
def test_every_claim_is_in_the_table(claim):
    """A claim of the guide would be promised and never held against anything."""
    assert claim in SCENARIOS
