"""The shapes that ``bench --fit`` reckons with, beside the modules that the workload runs."""

import dataclasses

import pytest

from exporter.model_memory.shapes import GPTS, RESNETS, parameters

pytestmark = pytest.mark.torch

CNNS = [dataclasses.replace(shape, stem=stem) for shape in RESNETS.values() for stem in ("imagenet", "cifar")]


def elements(module):
    return sorted(each.numel() for each in module.parameters())


@pytest.mark.parametrize("shape", GPTS.values(), ids=lambda shape: shape.name)
def test_a_gpt_has_the_weights_of_the_real_one(torch, shape):
    """A user would be told that a model fits which is larger than it was reckoned."""
    from exporter.workload.gpt2 import GPT2, SIZES

    size = SIZES[shape.name]
    with torch.device("meta"):
        real = GPT2(size)

    assert sorted(shape.tensors) == elements(real)
    assert (shape.layers, shape.width, shape.heads) == (size.layers, size.width, size.heads)
    assert (shape.vocabulary, shape.positions) == (size.vocabulary, size.positions)


@pytest.mark.parametrize("shape", CNNS, ids=lambda shape: f"{shape.name} {shape.stem}")
def test_a_cnn_has_the_weights_of_the_real_one(torch, shape):
    """As for a GPT."""
    from exporter.workload.resnet import ResNet

    with torch.device("meta"):
        real = ResNet(shape.name, shape.stem, shape.classes)

    assert sorted(shape.tensors) == elements(real)
    assert shape.buffers_bytes == sum(each.numel() * each.element_size() for each in real.buffers())


@pytest.mark.parametrize("shape", CNNS, ids=lambda shape: f"{shape.name} {shape.stem}")
def test_a_cnns_layers_hand_on_what_the_real_ones_do(torch, shape):
    """The activations, which are most of what a training needs, would be those of another model."""
    from exporter.workload.resnet import ResNet

    results, pooled = [], []
    with torch.device("meta"):
        real = ResNet(shape.name, shape.stem, shape.classes)
    for module in real.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda _module, _given, result: results.append(result.numel()))
        if isinstance(module, torch.nn.MaxPool2d):
            module.register_forward_hook(lambda _module, _given, result: pooled.append(result.numel()))
    real(torch.zeros((1, 3, shape.side, shape.side), device="meta"))

    assert results == [each.result for each in shape.convolutions]
    assert sum(pooled) == shape.pooled


def test_the_counts_are_the_published_ones():
    """A user would compare with a paper and find another model."""
    assert {name: parameters(shape) for name, shape in {**GPTS, **RESNETS}.items()} == {
        "gpt2-small": 124_439_808,
        "gpt2-medium": 354_823_168,
        "gpt2-large": 774_030_080,
        "gpt2-xl": 1_557_611_200,
        "resnet18": 11_689_512,
        "resnet34": 21_797_672,
        "resnet50": 25_557_032,
    }
