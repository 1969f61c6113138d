"""What training takes of a card's memory: the parts of answering.py in the larger of two moments.

1. The end of the forward pass: all that the way back needs is kept, and no gradient is there yet.
2. The optimizer's step: all gradients are there, and torch's optimizers make room for one more copy of them (AdamW for
   the roots of its second moments, SGD for the gradients with the weight decay in them).

Between the two, each layer on the way back frees what it kept and adds its gradients, so the height changes by the same
amount with each layer and is nowhere greater than at both ends.
"""

from exporter.model_memory.answering import LARGE_TENSOR_BYTES, Parts, Precision, large_tensors
from exporter.model_memory.shapes import Gpt, ResNet, parameters

ADAMW, SGD = "adamw", "sgd"
COPIES = {ADAMW: 2, SGD: 1}
"""What an optimizer remembers of each weight: two moments, or the momentum."""

FORWARD, STEP = "forward", "step"
"""The moment in which a training needs most."""

_KEPT, _KEPT_BY_MIXED_CNN = 0.2, 0.4
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
    return _larger(shape, precision, optimizer, forward, precision.working * logits, _KEPT)


def training_cnn(shape: ResNet, precision: Precision, batch: int, *, optimizer: str = SGD) -> tuple[Parts, str]:
    """A batch of images.

    Of each convolution its result is kept for the norm, and the ReLU's result for the next one; of the pooling also
    where each maximum was, in 8 bytes.
    """
    size, layers = precision.working, shape.convolutions
    kept = sum(each.result * (1 if each.shortcut else 2) for each in layers) * size + shape.pooled * (size + 8)
    image = 3 * shape.side**2 * (4 + (size if precision.cast else 0))
    workspace = 2 * max(each.result for each in layers)
    if not precision.cast:
        workspace = _OF_A_CONVOLUTION * max(each.result for each in layers if (each.kernel, each.stride) == (3, 1))
    share = _KEPT_BY_MIXED_CNN if precision.cast else _KEPT
    return _larger(shape, precision, optimizer, batch * (kept + image + workspace * size), 0, share)


def _larger(
    shape: Gpt | ResNet, precision: Precision, optimizer: str, forward: int, step: int, share: float
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
