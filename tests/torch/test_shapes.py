"""The shapes that memory is reckoned from, beside the modules that the workload runs."""

import dataclasses

import pytest

from exporter.model_memory.counted import COUNTED
from exporter.model_memory.shapes import CNNS, GPTS, RESNETS, parameters

pytestmark = pytest.mark.torch

STEMS = [dataclasses.replace(shape, stem=stem) for shape in RESNETS.values() for stem in ("imagenet", "cifar")]


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
    assert shape.unused_positions == size.unused_positions


@pytest.mark.parametrize("shape", STEMS, ids=lambda shape: f"{shape.name} {shape.stem}")
def test_a_cnn_has_the_weights_of_the_real_one(torch, shape):
    """As for a GPT."""
    from exporter.workload.resnet import ResNet

    with torch.device("meta"):
        real = ResNet(shape.name, shape.stem, shape.classes)

    assert sorted(shape.tensors) == elements(real)
    assert shape.buffers_bytes == sum(each.numel() * each.element_size() for each in real.buffers())


@pytest.mark.parametrize("shape", STEMS, ids=lambda shape: f"{shape.name} {shape.stem}")
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


def counted(torch, name, side):
    """The real module, each result of a layer in elements, and each tensor that the way back needs."""
    from exporter.workload.efficientnet import EfficientNetB0
    from exporter.workload.unet3d import UNet3D
    from exporter.workload.yolov5 import YoloV5s

    build = {"efficientnet-b0": lambda: EfficientNetB0(1000), "yolov5s": YoloV5s, "unet3d": UNet3D}
    shape, results, kept = COUNTED[name], [], {}
    with torch.device("meta"):
        real = build[name]()
    own = {each.untyped_storage()._cdata for each in (*real.parameters(), *real.buffers())}

    def remember(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    for module in real.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _module, _given, result: results.append(result.numel()))
    with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
        real(torch.zeros((1, 3, *[side] * shape.dimensions), device="meta"))
    return real, results, sum(storage.nbytes() for storage in kept.values()) // 4


@pytest.mark.parametrize("shape", COUNTED.values(), ids=lambda shape: shape.name)
def test_a_counted_cnn_is_the_real_one(torch, shape):
    """A user would be told that a detector's training fits, of which half was forgotten."""
    real, results, kept = counted(torch, shape.name, shape.side)

    assert shape.parameters == sum(elements(real))
    assert sorted(shape.tensors) == [count for count in elements(real) if 4 * count > 2**20]
    assert shape.buffers_bytes == sum(each.numel() * each.element_size() for each in real.buffers())
    assert (shape.kept, shape.widest) == (kept, max(results))
    assert shape.linear == any(isinstance(module, torch.nn.Linear) for module in real.modules())


@pytest.mark.parametrize(("name", "side"), [("unet3d", 96), ("efficientnet-b0", 448), ("yolov5s", 320)])
def test_a_counted_cnn_grows_with_what_it_reads(torch, name, side):
    """A volume of 96 would be let onto a card that has room for one of 64."""
    shape = COUNTED[name].at(side)
    _, results, kept = counted(torch, name, side)

    assert shape.kept == pytest.approx(kept, rel=0.01)
    assert shape.widest == max(results)
    assert shape.input == 3 * side**shape.dimensions


def test_the_counts_are_the_published_ones():
    """A user would compare with a paper and find another model."""
    assert {name: parameters(shape) for name, shape in {**GPTS, **CNNS}.items()} == {
        "gpt2-tiny": 198_400,
        "gpt2-small": 124_439_808,
        "gpt2-medium": 354_823_168,
        "gpt2-large": 774_030_080,
        "gpt2-xl": 1_557_611_200,
        "dialogpt-small": 124_439_808,
        "dialogpt-medium": 354_823_168,
        "biogpt": 346_763_264,
        "resnet18": 11_689_512,
        "resnet34": 21_797_672,
        "resnet50": 25_557_032,
        "efficientnet-b0": 5_288_548,
        "yolov5s": 7_235_389,
        "unet3d": 19_069_955 + 4672,
    }
