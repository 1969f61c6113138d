"""What a run takes, from the words in which it is asked for."""

import dataclasses

import pytest

from exporter.model_memory import runs
from exporter.model_memory.answering import LIBRARIES_BYTES, MIB, Parts
from exporter.model_memory.context import CONTEXT_BYTES, LARGE_CONTEXT_BYTES, context_bytes
from exporter.model_memory.counted import COUNTED
from exporter.model_memory.margin import margin
from exporter.model_memory.runs import parts_of_run
from exporter.model_memory.shapes import CNNS, GPTS
from exporter.workload.known import ANYTHING, MODELS
from exporter.workload.spec import Spec

SERVE = {"run": "serve", "model": "dialogpt-small", "precision": "fp16", "prompt": 64, "new_tokens": 64}


def test_what_is_left_out_means_the_same_as_in_a_spec():
    """A run would be reckoned for another batch or precision than it has."""
    defaults = {field.name: field.default for field in dataclasses.fields(Spec)}

    assert {key: defaults[key] for key in runs._DEFAULTS} == dict(runs._DEFAULTS)


def test_every_model_that_can_be_run_has_a_size():
    """A new model would be let onto every card, or onto none."""
    sizes = {**GPTS, **CNNS}

    assert {name for name, family in MODELS.items() if family.reads != ANYTHING} == set(sizes)


@pytest.mark.parametrize("model", [name for name, family in MODELS.items() if family.reads != ANYTHING])
def test_every_run_but_with_onnx_is_reckoned(model):
    """A run would be taken to need nothing."""
    for run in MODELS[model].runs:
        parts = parts_of_run({"run": run, "model": model})

        assert (parts is None) == (run == "onnx")
        assert parts is None or parts.weights >= 4 * 198_400


def test_of_a_users_own_module_nothing_is_known():
    """A made-up figure would keep it off a card that has room."""
    assert parts_of_run({"run": "module", "model": "own"}) is None
    assert parts_of_run({"run": "module"}) is None


def test_each_conversation_adds_its_cache():
    """Sixteen conversations would be let onto a card with room for one."""
    one, many = (parts_of_run({**SERVE, "streams": count}) for count in (1, 16))

    assert many.kv_cache == 16 * one.kv_cache == 16 * 2 * 12 * 768 * 128 * 2


def test_each_thread_adds_a_workspace():
    """As above, with half a gigabyte of workspaces."""
    threads, batched = (parts_of_run({**SERVE, "serving": serving}) for serving in ("threads", "batched"))

    assert threads.libraries - batched.libraries == 16 * LIBRARIES_BYTES
    assert dataclasses.replace(threads, libraries=0) == dataclasses.replace(batched, libraries=0)


def test_plain_attention_takes_more_than_chunks_and_chunks_more_than_none():
    """A long prompt with plain attention would run out of memory on a card that had room for the fused kind."""
    long = {"run": "generate", "model": "gpt2-small", "prompt": 992, "new_tokens": 32, "batch": 8}
    needed = [parts_of_run({**long, "attention": kind}).total for kind in ("plain", "chunked", "sdpa")]

    assert needed == sorted(needed, reverse=True)
    assert len(set(needed)) == 3


@pytest.mark.parametrize(
    ("model", "key", "small", "large", "grown"),
    [("unet3d", "volume", 64, 128, 8), ("yolov5s", "image_size", 320, 640, 4), ("resnet50", "image_size", 112, 224, 4)],
)
def test_activations_grow_with_the_image_or_volume(model, key, small, large, grown):
    """A volume of 128 would be let onto a card with room for one of 64."""
    asked = {"run": "infer", "model": model}
    less, more = (parts_of_run({**asked, key: side}).activations for side in (small, large))

    assert more == pytest.approx(grown * less, rel=0.01)


def test_a_counted_cnn_without_linear_layers_needs_no_workspace_to_answer():
    """A third of the memory of a small detector would be made up."""
    assert {name: parts_of_run({"run": "infer", "model": name}).libraries > 0 for name in COUNTED} == {
        "efficientnet-b0": True,
        "yolov5s": False,
        "unet3d": False,
    }


@pytest.mark.parametrize(("gib", "expected"), [(0, CONTEXT_BYTES), (24, CONTEXT_BYTES), (32, LARGE_CONTEXT_BYTES)])
def test_the_context_is_that_of_a_card_of_this_size(gib, expected):
    """A large card's context would take 260 MiB that nobody counted."""
    assert context_bytes(gib * 1024 * MIB) == expected


def test_the_margin_is_half_a_gibibyte_or_a_tenth():
    """Somebody's desktop, or the job of somebody else, would lose its last memory."""
    assert (margin(0), margin(5120 * MIB), margin(10_000 * MIB)) == (512 * MIB, 512 * MIB, 1000 * MIB)


def test_the_total_is_all_parts():
    """A part that was forgotten would be missing on the card."""
    parts = Parts(*range(1, 9))

    assert parts.total == 36
    assert parts.in_torch == 36 - parts.context
