"""What the torch workload is asked to do, checked before torch is loaded."""

import json

import pytest

from exporter.workload.spec import Refused, Spec, parse

GPT = {"run": "generate", "model": "gpt2-small"}
CNN = {"run": "infer", "model": "resnet18"}
OWN = {"run": "module", "model": "own", "module": "net.py"}
TRAINING = {"run": "train", "model": "resnet18", "stem": "cifar"}


def test_what_is_not_said_is_the_whole_answer_of_gpt2():
    """A probe with no settings would measure something that nobody has a figure of."""
    spec = parse(json.dumps(GPT))

    assert spec == Spec(run="generate", model="gpt2-small")
    assert (spec.prompt, spec.new_tokens, spec.iterations) == (32, 992, 64)


@pytest.mark.parametrize(
    ("document", "side"),
    [
        (CNN, 224),
        ({**CNN, "stem": "cifar"}, 32),
        ({**CNN, "image_size": 96}, 96),
        ({**CNN, "model": "efficientnet-b0", "stem": "cifar"}, 224),
        ({**CNN, "model": "yolov5s"}, 640),
        ({**CNN, "model": "unet3d"}, 64),
        ({**CNN, "model": "unet3d", "volume": 96, "image_size": 224}, 96),
    ],
    ids=str,
)
def test_an_image_is_of_the_size_that_belongs_to_model_and_stem(document, side):
    """A CIFAR epoch would be measured on images fifty times as large."""
    assert parse(json.dumps(document)).side == side


def test_a_whole_number_is_a_number_of_seconds():
    """A spec that says 60 where 60.0 is meant would be refused."""
    assert parse(json.dumps({**GPT, "budget_seconds": 60})).budget_seconds == 60


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no JSON"),
        ("[]", "no JSON object"),
        ("{}", "missing: run, model"),
        ({"run": "generate"}, "missing: model"),
        ({**GPT, "colour": "red"}, "unknown key 'colour'"),
        ({**GPT, "batch": "8"}, "batch must be int, not str"),
        ({**GPT, "batch": True}, "batch must be int, not bool"),
        ({**GPT, "batch": None}, "batch must be int, not NoneType"),
        ({**GPT, "checkpointing": 1}, "checkpointing must be bool, not int"),
        ({**GPT, "batch": 0}, "batch must be at least 1"),
        ({**GPT, "seed": -1}, "seed must be a number that is not negative"),
        ('{"run": "generate", "model": "gpt2-small", "budget_seconds": NaN}', "budget_seconds must be a number"),
        ('{"run": "generate", "model": "gpt2-small", "hold_seconds": Infinity}', "hold_seconds must be a number"),
        ({**GPT, "model": "gpt3"}, "model must be one of gpt2-tiny, gpt2-small"),
        ({**GPT, "run": "play"}, "run must be one of generate, serve, infer, train, onnx"),
        ({**GPT, "run": "serve", "prompt": 33}, "gpt2-small has 1024 positions"),
        ({**GPT, "run": "serve", "serving": "well"}, "serving must be one of threads, batched"),
        ({**GPT, "run": "serve", "streams": 0}, "streams must be at least 1"),
        ({**CNN, "run": "serve"}, "resnet18 cannot serve"),
        ({**GPT, "run": "serve", "run_seconds": 5}, "serve is measured by number only"),
        ({**CNN, "run": "onnx", "run_seconds": 5}, "onnx is measured by number only"),
        ({**TRAINING, "run_seconds": 5, "full": True}, "a run for a time is no whole epoch"),
        ({**GPT, "precision": "fp8"}, "precision must be one of"),
        ({**GPT, "device": "tpu"}, "device must be cpu, cuda or cuda:N"),
        ({**GPT, "device": "cuda:x"}, "device must be cpu, cuda or cuda:N"),
        ({**GPT, "prompt": 33}, "gpt2-small has 1024 positions, and 1025 are asked for"),
        ({"run": "train", "model": "gpt2-small", "sequence": 1025}, "gpt2-small has 1024 positions"),
        ({**GPT, "run": "infer"}, "gpt2-small cannot infer"),
        ({**CNN, "run": "generate"}, "resnet18 cannot generate"),
        ({**TRAINING, "device": "cuda", "precision": "fp16"}, "no training in fp16; mixed precision is amp"),
        ({**TRAINING, "precision": "int8_dynamic"}, "no training in int8_dynamic"),
        ({"run": "module", "model": "own"}, "module names no file"),
        ({**OWN, "model": "resnet18"}, "resnet18 cannot module"),
        ({**OWN, "run": "infer"}, "own cannot infer"),
        ({**OWN, "precision": "int8_dynamic"}, "measured as it is"),
        ({**OWN, "training": True, "device": "cuda", "precision": "fp16"}, "no training in fp16"),
        ({**TRAINING, "stem": "imagenet", "full": True}, "full and data belong to"),
        ({**TRAINING, "image_size": 64, "data": "there"}, "full and data belong to"),
        ({**TRAINING, "model": "efficientnet-b0", "image_size": 32, "full": True}, "full and data belong to"),
        ({**CNN, "model": "yolov5s", "image_size": 600}, "yolov5s needs sides that are multiples of 32, not 600"),
        ({**CNN, "model": "unet3d", "volume": 100}, "unet3d needs sides that are multiples of 8, not 100"),
        ({**CNN, "model": "unet3d", "volume": 0}, "volume must be at least 1"),
        ({**CNN, "model": "unet3d", "run": "generate"}, "unet3d cannot generate"),
        ({**GPT, "run": "onnx", "prompt": 1025}, "gpt2-small has 1024 positions, and 1025 are asked for"),
        ({**CNN, "run": "onnx", "precision": "int8_dynamic"}, "compared in fp32, tf32 or fp16, not in int8_dynamic"),
    ],
    ids=str,
)
def test_a_spec_that_makes_no_sense_is_refused_by_what_is_wrong(text, complaint):
    """A minute of a card would go into a figure of something else, or into a traceback."""
    with pytest.raises(Refused, match=complaint) as caught:
        parse(text if isinstance(text, str) else json.dumps(text))

    assert caught.value.reason == "bad_spec"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({**GPT, "precision": "fp16"}, "no_cuda"),
        ({**GPT, "precision": "tf32"}, "no_cuda"),
        ({**GPT, "precision": "amp"}, "no_cuda"),
        ({**GPT, "precision": "int8_dynamic", "device": "cuda"}, "no_int8"),
        ({**CNN, "model": "unet3d", "precision": "amp"}, "no_cuda"),
        ({**CNN, "model": "yolov5s", "precision": "fp16"}, "no_cuda"),
        ({**CNN, "model": "unet3d", "precision": "int8_dynamic"}, "no_int8"),
        ({**CNN, "model": "yolov5s", "precision": "int8_dynamic"}, "no_int8"),
    ],
    ids=str,
)
def test_arithmetic_that_a_device_does_not_have_is_refused_by_name(document, reason):
    """A figure would be published under the name of an arithmetic that was not used."""
    with pytest.raises(Refused) as caught:
        parse(json.dumps(document))

    assert caught.value.reason == reason
