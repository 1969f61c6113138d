"""Random weights, made where they will be used: no copy of the model ever exists on the host."""
# pyright: basic, reportMissingImports=false

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from .devices import Ground
from .spec import NO_INT8, Refused

Model = TypeVar("Model", bound=nn.Module)


def on_device(build: Callable[[], Model], ground: Ground) -> Model:
    """Build on torch's meta device, where tensors have no memory; then give it memory on the device and values."""
    with torch.device("meta"):
        model = build()
    model.to(ground.weights_dtype)
    # A weight that two modules share would be given memory twice.
    shared = _release_shared(model)
    _give_memory(model, ground.device)
    for module, name, owner, owned in shared:
        setattr(module, name, getattr(owner, owned))
    with torch.no_grad():
        for module in model.modules():
            _give_values(module)
    return model


def _give_memory(model: nn.Module, device: torch.device) -> None:
    """As ``to_empty``, without the parts of a compiler that torch loads to find a meta tensor's like."""
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            there = torch.empty(weight.shape, dtype=weight.dtype, device=device)
            setattr(module, name, nn.Parameter(there, requires_grad=weight.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, torch.empty(buffer.shape, dtype=buffer.dtype, device=device))


def _release_shared(model: nn.Module) -> list[tuple[nn.Module, str, nn.Module, str]]:
    first: dict[int, tuple[nn.Module, str]] = {}
    shared: list[tuple[nn.Module, str, nn.Module, str]] = []
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in first:
                shared.append((module, name, *first[id(parameter)]))
            else:
                first[id(parameter)] = (module, name)
    for module, name, *_ in shared:
        setattr(module, name, None)
    return shared


def _give_values(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose3d):
        # Of a convolution in groups torch would count all channels as seen by each.
        mode = "fan_out" if module.groups == 1 else "fan_in"
        nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
        if module.bias is not None:
            module.bias.zero_()
    elif isinstance(module, nn.Linear | nn.Embedding):
        module.weight.normal_(0.0, 0.02)
        bias = getattr(module, "bias", None)
        if bias is not None:
            bias.zero_()
    elif isinstance(module, nn.LayerNorm | nn.BatchNorm2d | nn.BatchNorm3d):
        module.reset_parameters()


def quantize_dynamically(model: nn.Module) -> dict[str, int]:
    """Turn the linear layers into INT8 ones with activations quantized on the way; how many, and their weights' bytes.

    Before, a weight that a linear layer shares with an embedding counts as the layer's own: afterwards it is one, for
    the embedding keeps the old. torch has announced the end of this; a torch without it refuses.
    """
    before = sum(each.weight.numel() * each.weight.element_size() for each in _linear_layers(model))
    engines = [engine for engine in torch.backends.quantized.supported_engines if engine != "none"]
    try:
        from torch.ao.nn.quantized import dynamic  # noqa: PLC0415 - absent from some later torch
        from torch.ao.quantization import quantize_dynamic  # noqa: PLC0415

        if not engines:
            message = f"torch {torch.__version__} has no engine for quantized layers on this machine"
            raise Refused(NO_INT8, message)
        quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8, inplace=True)
    except (ImportError, AttributeError, NotImplementedError) as error:
        message = f"torch {torch.__version__} has no dynamic quantization: {error}"
        raise Refused(NO_INT8, message) from error
    weights = [module.weight() for module in model.modules() if isinstance(module, dynamic.Linear)]
    return {
        "quantized_layers": len(weights),
        "linear_weights_before_bytes": before,
        "linear_weights_bytes": sum(each.numel() * each.element_size() for each in weights),
    }


def _linear_layers(model: nn.Module) -> list[nn.Linear]:
    return [module for module in model.modules() if isinstance(module, nn.Linear)]
