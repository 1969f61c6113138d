"""From a spec to a model on its device."""
# pyright: basic, reportMissingImports=false

from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import nn

from . import known, own_module
from .devices import Ground
from .efficientnet import EfficientNetB0
from .gpt2 import GPT2, SIZES
from .memory import weights_bytes
from .resnet import ResNet
from .spec import Spec
from .unet3d import UNet3D
from .weights import on_device, quantize_dynamically
from .yolov5 import YoloV5s

HOW_MANY_CLASSES = {"cifar": 10, "imagenet": 1000}


def _gpt2(spec: Spec) -> nn.Module:
    return GPT2(SIZES[spec.model], spec.attention, spec.attention_chunk, checkpointing=spec.checkpointing)


def _resnet(spec: Spec) -> nn.Module:
    return ResNet(spec.model, spec.stem, HOW_MANY_CLASSES[spec.stem])


_BUILDERS: Mapping[known.Family, Callable[[Spec], nn.Module]] = MappingProxyType(
    {
        known.GPT2: _gpt2,
        known.RESNET: _resnet,
        known.EFFICIENTNET: lambda _: EfficientNetB0(HOW_MANY_CLASSES["imagenet"]),
        known.YOLOV5: lambda _: YoloV5s(),
        known.UNET3D: lambda _: UNet3D(),
    }
)


def build(spec: Spec, ground: Ground) -> tuple[nn.Module, dict[str, int]]:
    """The model with random weights, or the user's own as he made it, and its figures."""
    if spec.family == known.OWN:
        return own_module.build(spec, ground)
    model = on_device(lambda: _BUILDERS[spec.family](spec), ground)
    figures = {"parameters": sum(each.numel() for each in model.parameters()), "weights_bytes": weights_bytes(model)}
    if spec.precision == "int8_dynamic":
        figures["weights_before_bytes"] = figures["weights_bytes"]
        figures |= quantize_dynamically(model)
        figures["weights_bytes"] = weights_bytes(model)
    return model, figures
