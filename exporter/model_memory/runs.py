"""What a run of exporter/workload takes, from the words in which it is asked for (exporter/workload/spec.py).

A key that is left out has the same default as there. Bytes, without the CUDA context.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast

from exporter.model_memory.answering import (
    AMP,
    FP16,
    FP32,
    INT8_DYNAMIC,
    LIBRARIES_BYTES,
    Parts,
    Precision,
    answering_cnn,
    answering_gpt,
)
from exporter.model_memory.counted import Counted
from exporter.model_memory.shapes import CNNS, GPTS, Cnn, Gpt
from exporter.model_memory.training import ADAMW, SGD, training_cnn, training_gpt

_PRECISIONS: Mapping[str, Precision] = MappingProxyType(
    {"fp32": FP32, "tf32": FP32, "fp16": FP16, "amp": AMP, "int8_dynamic": INT8_DYNAMIC}
)
_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "precision": "fp32",
        "batch": 1,
        "prompt": 32,
        "new_tokens": 992,
        "sequence": 512,
        "streams": 16,
        "attention": "sdpa",
        "attention_chunk": 128,
        "serving": "threads",
        "checkpointing": False,
        "optimizer": "",
        "stem": "imagenet",
        "image_size": 0,
        "volume": 64,
    }
)


def parts_of_run(spec: Mapping[str, object]) -> Parts | None:
    """The parts in the moment of the highest need; None for a run or a model that is not reckoned here."""
    asked = cast("Mapping[str, Any]", {**_DEFAULTS, **spec})
    precision = _PRECISIONS[asked["precision"]]
    if gpt := GPTS.get(asked.get("model", "")):
        return _of_gpt(gpt, precision, asked)
    if cnn := CNNS.get(asked.get("model", "")):
        return _of_cnn(_sized(cnn, asked), precision, asked)
    return None


def _of_gpt(shape: Gpt, precision: Precision, asked: Mapping[str, Any]) -> Parts | None:
    positions = asked["prompt"] + asked["new_tokens"]
    if asked["run"] == "generate":
        at_once = {"plain": asked["prompt"], "chunked": asked["attention_chunk"]}.get(asked["attention"], 0)
        return answering_gpt(shape, precision, asked["batch"], positions, asked["prompt"], at_once)
    if asked["run"] == "serve":
        parts = answering_gpt(shape, precision, asked["streams"], positions, asked["prompt"])
        # Each thread has a CUDA stream of its own, and torch keeps a workspace for every one.
        streams = asked["streams"] if asked["serving"] == "threads" else 0
        return replace(parts, libraries=LIBRARIES_BYTES * (1 + streams))
    if asked["run"] == "train":
        sizes, optimizer = (asked["batch"], asked["sequence"]), asked["optimizer"] or ADAMW
        return training_gpt(shape, precision, *sizes, optimizer=optimizer, checkpointing=asked["checkpointing"])[0]
    return None


def _of_cnn(shape: Cnn, precision: Precision, asked: Mapping[str, Any]) -> Parts | None:
    if asked["run"] == "infer":
        return answering_cnn(shape, precision, asked["batch"])
    if asked["run"] == "train":
        return training_cnn(shape, precision, asked["batch"], optimizer=asked["optimizer"] or SGD)[0]
    return None


def _sized(shape: Cnn, asked: Mapping[str, Any]) -> Cnn:
    if not isinstance(shape, Counted):
        return replace(shape, stem=asked["stem"], pixels=asked["image_size"])
    side = asked["volume"] if shape.of_volumes else asked["image_size"]
    return shape.at(side or shape.side)
