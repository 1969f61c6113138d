"""From a spec to a model on its device."""
# pyright: basic, reportMissingImports=false

from torch import nn

from .devices import Ground
from .gpt2 import GPT2, SIZES
from .memory import weights_bytes
from .resnet import ResNet
from .spec import Spec
from .weights import on_device, quantize_dynamically

CLASSES = {"cifar": 10, "imagenet": 1000}


def build(spec: Spec, ground: Ground) -> tuple[nn.Module, dict[str, int]]:
    """The model with random weights, and its figures."""

    def described() -> nn.Module:
        if not spec.gpt:
            return ResNet(spec.model, spec.stem, CLASSES[spec.stem])
        size = SIZES[spec.model]
        return GPT2(size, spec.attention, spec.attention_chunk, checkpointing=spec.checkpointing)

    model = on_device(described, ground)
    figures = {"parameters": sum(each.numel() for each in model.parameters()), "weights_bytes": weights_bytes(model)}
    if spec.precision == "int8_dynamic":
        figures["weights_before_bytes"] = figures["weights_bytes"]
        figures |= quantize_dynamically(model)
        figures["weights_bytes"] = weights_bytes(model)
    return model, figures
