"""Several conversations in one process, two processes at once, and what attention needs, on a real card."""

import importlib.util
import sys

import pynvml
import pytest

from exporter.bench.running import together
from exporter.latency.torch_child import Asked

pytestmark = pytest.mark.gpu

MIB = 2**20
CHAT = {"run": "generate", "model": "gpt2-small", "precision": "fp16"}
CNN = {"run": "infer", "model": "resnet50", "batch": 32, "precision": "amp"}


@pytest.fixture(scope="module")
def done():
    """Does what a spec asks on this machine's last card; skips where torch is missing."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    pynvml.nvmlInit()
    uuid = pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(pynvml.nvmlDeviceGetCount() - 1))
    yield lambda spec: together.run(Asked(spec, sys.executable, 100.0, uuid=uuid))
    pynvml.nvmlShutdown()


@pytest.mark.parametrize("serving", ["threads", "batched"])
def test_sixteen_conversations_are_served(done, serving):
    """A user would not learn how many people his card can talk with."""
    spec = {"run": "serve", "model": "dialogpt-small", "precision": "fp16", "new_tokens": 32, "serving": serving}
    found = done({**spec, "budget_seconds": 0.5})
    rungs = found.figures["rungs"]

    assert (found.outcome, found.detail) == ("ok", "")
    assert [rung["streams"] for rung in rungs] == [1, 2, 4, 5, 8, 16]
    # A cache of 64 positions takes 36,864 bytes for each.
    more = rungs[-1]["torch_allocated_peak_bytes"] - rungs[0]["torch_allocated_peak_bytes"]
    assert more > 15 * 64 * 36_864
    assert all(rung["tokens_per_second"] > 0 for rung in rungs)


def test_a_biogpt_writes_on_the_card(done):
    """A user would have no figure for the model that he was promised one of."""
    found = done({**CHAT, "model": "biogpt", "new_tokens": 64})

    assert (found.outcome, found.detail) == ("ok", "")
    assert found.figures["weights_bytes"] == 2 * 346_763_264


def test_a_model_that_does_not_fit_tells_how_much_did(done):
    """A user would not learn whether a megabyte was missing or the whole card."""
    found = done({**CHAT, "batch": 100_000})

    assert found.outcome == "oom"
    assert found.figures["phase"] == "first token"
    assert found.figures["torch_allocated_peak_bytes"] >= found.figures["weights_bytes"] == 2 * 124_439_808
    assert found.figures["device_seconds"] > 0


def test_a_cnn_and_a_gpt_share_the_card(done):
    """A user who runs both on one card would not learn what each costs the other."""
    cnn, gpt = ({**spec, "run_seconds": 3.0} for spec in (CNN, CHAT))
    alone = [done(spec) for spec in (cnn, gpt)]
    both = done({**cnn, together.BESIDE: gpt})

    assert (both.outcome, both.detail) == ("ok", "")
    assert both.figures["overlap_ratio"] > 0.9
    shares = [
        together.kept(alone[0].figures, both.figures),
        together.kept(alone[1].figures, both.figures[together.BESIDE]),
    ]
    assert all(share > 0 for share in shares)


def test_attention_in_chunks_needs_less_of_the_card(done):
    """A user with a long prompt would be told to switch on what saves nothing."""
    prompt = {**CHAT, "batch": 8, "prompt": 992, "new_tokens": 2, "iterations": 2}
    plain, chunked = (
        done({**prompt, "attention": kind}).figures["torch_allocated_peak_bytes"] for kind in ("plain", "chunked")
    )

    assert plain - chunked > 150 * MIB
