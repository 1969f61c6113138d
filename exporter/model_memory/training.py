"""What training takes of a card's memory: the parts of answering.py in the larger of two moments.

1. The end of the forward pass: all that the way back needs is kept, and no gradient is there yet.
2. The optimizer's step: all gradients are there, and torch's optimizers make room for one more copy of them (AdamW for
   the roots of its second moments, SGD for the gradients with the weight decay in them).

Between the two, each layer on the way back frees what it kept and adds its gradients, so the height changes by the same
amount with each layer and is nowhere greater than at both ends.
"""

from exporter.model_memory.answering import LARGE_TENSOR_BYTES, Parts, Precision, large_tensors
from exporter.model_memory.counted import Counted
from exporter.model_memory.shapes import Cnn, Gpt, ResNet, Shape, parameters

ADAMW, SGD = "adamw", "sgd"
COPIES = {ADAMW: 2, SGD: 1}
"""What an optimizer remembers of each weight: two moments, or the momentum."""

FORWARD, STEP = "forward", "step"
"""The moment in which a training needs most."""

_KEPT, _KEPT_BY_CHECKPOINTING, _KEPT_BY_MIXED_CNN, _KEPT_BY_VOLUMES = 0.2, 0.5, 0.4, 0.45
"""Room that has been freed and fits nothing that comes after, as a share of what is in use for activations."""

_OF_A_CONVOLUTION = 10
"""cuDNN's workspace for a 3 x 3 convolution in fp32, in results of that layer, as it was seen."""


def training_gpt(
    shape: Gpt, precision: Precision, batch: int, sequence: int, *, optimizer: str = ADAMW, checkpointing: bool = False
) -> tuple[Parts, str]:
    """``batch`` texts of ``sequence`` positions; with ``checkpointing`` only what enters each layer is kept.

    Of a layer in fp32, 18 numbers of the model's width are kept for each position; mixed, sums and norms stay in fp32
    and the rest is halved. Logits are there three times in fp32: as they came, as what the loss made of them, and as
    its gradient; mixed, once more in half.
    """
    tokens = batch * sequence
    layer = tokens * shape.width * (38 if precision.cast else 18 * precision.working)
    kept = layer + tokens * shape.width * 4 * shape.layers if checkpointing else layer * shape.layers
    logits = tokens * shape.vocabulary
    forward = kept + 3 * 4 * logits + (precision.working * logits if precision.cast else 0)
    # The logits are still in the hands of the loop that computed them.
    share = _KEPT_BY_CHECKPOINTING if checkpointing else _KEPT
    return _larger(shape, precision, optimizer, forward, precision.working * logits, share)


def training_cnn(shape: Cnn, precision: Precision, batch: int, *, optimizer: str = SGD) -> tuple[Parts, str]:
    """A batch of images or volumes."""
    size = precision.working
    image = shape.input * (4 + (size if precision.cast else 0))
    kept, workspace = _of_counted(shape, size) if isinstance(shape, Counted) else _of_resnet(shape, precision)
    share = _KEPT_BY_MIXED_CNN if precision.cast else _KEPT
    if isinstance(shape, Counted) and shape.of_volumes:
        share = _KEPT_BY_VOLUMES
    return _larger(shape, precision, optimizer, batch * (kept + image + workspace), 0, share)


def _of_resnet(shape: ResNet, precision: Precision) -> tuple[int, int]:
    """What is kept of one image, and the workspace for it; bytes.

    Of each convolution its result is kept for the norm, and the ReLU's result for the next one; of the pooling also
    where each maximum was, in 8 bytes.
    """
    size, layers = precision.working, shape.convolutions
    kept = sum(each.result * (1 if each.shortcut else 2) for each in layers) * size + shape.pooled * (size + 8)
    workspace = 2 * max(each.result for each in layers)
    if not precision.cast:
        workspace = _OF_A_CONVOLUTION * max(each.result for each in layers if (each.kernel, each.stride) == (3, 1))
    return kept, workspace * size


def _of_counted(shape: Counted, size: int) -> tuple[int, int]:
    """As for a ResNet; what goes back through the widest layer is there twice."""
    return (shape.kept - shape.input) * size, 2 * shape.widest * size


def _larger(
    shape: Shape, precision: Precision, optimizer: str, forward: int, step: int, share: float
) -> tuple[Parts, str]:
    one_copy = 4 * parameters(shape)
    copies, room = COPIES[optimizer], large_tensors(shape, 4) * LARGE_TENSOR_BYTES
    # Mixed precision remembers each weight's half until the step.
    forward += precision.working * parameters(shape) if precision.cast else 0
    step += one_copy

    def parts(activations: int, gradients: int) -> Parts:
        return Parts(
            weights=one_copy + shape.buffers_bytes,
            gradients=gradients * one_copy,
            optimizer=copies * one_copy,
            activations=activations,
            allocator=room * (1 + copies + gradients) + round(share * activations),
        )

    moments = {FORWARD: parts(forward, 0), STEP: parts(step, 1)}
    worst = max(moments, key=lambda moment: moments[moment].total)
    return moments[worst], worst
