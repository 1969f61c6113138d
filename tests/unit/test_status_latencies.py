import pytest

from exporter.latency.observations import Observations
from exporter.status.latencies import models, percentile
from exporter.status.model import NO_READING
from tests.golden.example_cards import NOW, OBSERVED

BOUNDS = (1.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("counts", "half", "most"),
    [
        ((0, 0, 0, 0), NO_READING, NO_READING),
        ((4, 0, 0, 0), "≈ 500 ms", "≈ 900 ms"),
        ((0, 4, 0, 0), "≈ 1.5 s", "≈ 1.9 s"),
        ((1, 1, 0, 0), "≈ 1 s", "≈ 1.8 s"),
        ((0, 0, 0, 3), "over 4 s", "over 4 s"),
        ((2, 0, 0, 2), "≈ 1 s", "over 4 s"),
    ],
)
def test_a_percentile_lies_within_its_bucket(counts, half, most):
    """A model would look faster or slower than it was."""
    assert (percentile(BOUNDS, counts, 0.5), percentile(BOUNDS, counts, 0.9)) == (half, most)


def test_each_way_to_know_a_models_speed_says_which_it_is():
    """A probe's idle milliseconds would be taken for what users wait."""
    gpt2, resnet50 = models(OBSERVED, NOW)

    (counted,) = gpt2.latencies
    assert (counted.what, counted.source) == ("whole answer, generate", "told by the application, 6 times")
    assert (counted.p50, counted.p90) == ("≈ 2.12 s", "≈ 4.25 s")
    assert gpt2.notes == ("1 of its requests ended in oom (told by the application)",)
    (probed,) = resnet50.latencies
    assert (probed.what, probed.p50, probed.p90, probed.source) == (
        *("whole answer", "18 ms", "-"),
        "probed by gpuwarden on GPU 0, fp16, last run, contended",
    )
    assert resnet50.notes == (
        "last probed on GPU 0 10 min 0 s ago",
        "3 probes on GPU 0 not started: too little memory was free on the card",
    )


def test_what_was_really_observed_can_be_shown():
    """The page would break on the first latency that comes in."""
    seen = Observations()
    seen.observe("model_time_to_first_token_seconds", ("gpt2", "server"), 500.0)
    seen.set("model_probe_duration_seconds", ("gpt2", "fp32", "", "", "90"), 2.0)
    seen.add("model_probe_skipped_total", ("gpt2", "", "", "memory"), 0)
    (gpt2,) = models(seen.observed(), NOW)

    assert [(item.what, item.p50, item.p90) for item in gpt2.latencies] == [
        ("first token", "over 1 min 20 s", "over 1 min 20 s"),
        ("whole answer", "-", "2 s"),
    ]
    assert gpt2.notes == ()
    assert models((), NOW) == ()
