"""What becomes of a model's answer: how far it is from what was wanted, and what of it reaches the host.

A class for each image and a label for each voxel are the ordinary thing. A detector's answer here ends before its boxes
are sifted: the candidates that score highest go to the host, as many as are usually kept. Its loss in training is a
STAND-IN, as the real one needs boxes that somebody drew: whether there is anything, for every candidate, and all
numbers of one candidate in a hundred. All weights are trained by it, and it costs little beside the rest.
"""
# pyright: basic, reportMissingImports=false

from torch import Tensor
from torch.nn import functional

from .known import BOXES, LABELS
from .spec import Spec

_KEPT = 300
_ONE_IN = 100
_ANYTHING = 4


def loss(spec: Spec, answered: Tensor, wanted: Tensor) -> Tensor:
    """How far the answer is from what was wanted."""
    if spec.family.answers == LABELS:
        return functional.cross_entropy(answered, wanted)
    if spec.family.answers == BOXES:
        some, wanted_of_some = answered[:, ::_ONE_IN], wanted[:, ::_ONE_IN, None]
        anything = functional.binary_cross_entropy_with_logits(answered[..., _ANYTHING], wanted)
        return anything + functional.binary_cross_entropy_with_logits(some, wanted_of_some.expand_as(some))
    return functional.cross_entropy(answered.flatten(0, -2), wanted.flatten())


def on_host(spec: Spec, answered: Tensor) -> Tensor:
    """Classes; labels, a byte each; the candidates with the highest score of any class."""
    if spec.family.answers == LABELS:
        return answered.argmax(dim=1).byte().cpu()
    if spec.family.answers == BOXES:
        sure = answered[..., _ANYTHING].sigmoid() * answered[..., _ANYTHING + 1 :].sigmoid().amax(dim=-1)
        best = sure.topk(min(_KEPT, sure.shape[1]), dim=1).indices
        return answered.take_along_dim(best[..., None], dim=1).cpu()
    return answered.argmax(dim=-1).cpu()
