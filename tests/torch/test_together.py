"""A CNN and a GPT at once, for real but small: two processes of the workload that begin together."""

import sys

import pytest

from exporter.bench.running.together import kept, run
from exporter.latency.torch_child import Asked

pytestmark = pytest.mark.torch

FOR_A_TIME = {"device": "cpu", "threads": 1, "warmup_seconds": 0.0, "iterations": 2, "run_seconds": 3.0}
CNN = {"run": "infer", "model": "resnet18", "stem": "cifar", "batch": 1, **FOR_A_TIME}
GPT = {"run": "generate", "model": "gpt2-tiny", "prompt": 8, "new_tokens": 24, **FOR_A_TIME}


def test_a_cnn_and_a_gpt_at_once():
    """A user who runs both on one card would not learn what each costs the other."""
    done = run(Asked({**CNN, "beside": GPT}, sys.executable, 100.0))
    alone = run(Asked(GPT, sys.executable, 100.0))

    assert done.outcome == "ok", (done.reason, done.detail)
    assert done.figures["images_per_second"] > 0
    assert done.figures["overlap_ratio"] > 0.9
    assert kept(alone.figures, done.figures["beside"]) > 0
    assert done.figures["beside"]["answers"] > 1
