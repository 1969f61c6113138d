"""What a run takes of a card's memory, part by part, before anybody has run it. Pure arithmetic, in bytes.

A run's memory is the highest of what it needs at one moment, so each part is what it is in that moment. This file knows
the parts and what answering takes; training.py knows training. A GPT is thought to read its whole prompt at once,
as a rule with fused attention: no matrix of all pairs of positions is ever written.

Three parts cannot be derived: the libraries' workspace, what torch's allocator keeps without using it, and the CUDA
context, of which torch knows nothing. They are set so that the estimates come close to what was measured on an H200
(docs/fit.md), rather above than below. A card with little memory makes do with less of them, since torch gives back
what it keeps before it says that there is no more.
"""

from dataclasses import asdict, dataclass, replace

from exporter.model_memory.counted import Counted
from exporter.model_memory.shapes import Cnn, Gpt, Shape, parameters

MIB = 2**20

LOWEST_RATIO, HIGHEST_RATIO = 0.92, 1.27
"""Between these is each estimate, divided by what torch had reserved on an H200; the lower may never fall below 0.9."""

LIBRARIES_BYTES = 32 * MIB
"""The workspace that torch gives to cuBLAS on Hopper and later; on earlier cards it is 8 MiB."""

LARGE_TENSOR_BYTES = MIB
"""Above this a tensor has room of its own, and torch's allocator leaves up to as much behind it unused."""

KEPT_BY_GPT, _KEPT_BY_RESNET, _KEPT_BY_COUNTED = 0.5, 0.75, 0.4
"""Room that has been freed and fits nothing that comes after, as a share of what is in use for activations."""


@dataclass(frozen=True, slots=True)
class Precision:
    """Bytes of a weight as it is kept, and of what a layer hands on; ``cast``: weights are turned for each use."""

    name: str
    weight: float
    working: int
    cast: bool = False


FP32 = Precision("fp32", 4, 4)
FP16 = Precision("fp16", 2, 2)
AMP = Precision("amp", 4, 2, cast=True)
INT8_DYNAMIC = Precision("int8_dynamic", 5, 4)
"""torch's, on the processor: it starts from the whole in fp32 and adds the quarter."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Bytes, in the moment of the highest need; all but ``context`` is in the hands of torch's allocator."""

    weights: int
    kv_cache: int = 0
    gradients: int = 0
    optimizer: int = 0
    activations: int = 0
    libraries: int = LIBRARIES_BYTES
    allocator: int = 0
    context: int = 0

    @property
    def total(self) -> int:
        """What the card must have free."""
        return sum(asdict(self).values())

    @property
    def in_torch(self) -> int:
        """What torch's allocator has reserved."""
        return self.total - self.context


def answering_gpt(
    shape: Gpt, precision: Precision, batch: int, positions: int, prompt: int = 0, queries_at_once: int = 0
) -> Parts:
    """``batch`` texts of ``positions`` each, their first ``prompt`` read at once (0: all of them).

    Without fused attention the numbers of so many queries at once are written for all pairs, and again as shares.
    """
    first = prompt or positions
    read = batch * first * shape.width
    pairs = batch * shape.heads * min(queries_at_once, first) * first
    # What came in, what attention added, the norm of it; then the wide layer before and after its GELU.
    activations = (11 * read + batch * shape.vocabulary + 2 * pairs) * precision.working
    kv_cache = 2 * shape.layers * shape.width * positions * batch * precision.working
    return _answering(shape, precision, activations, kv_cache, KEPT_BY_GPT)


def answering_cnn(shape: Cnn, precision: Precision, batch: int) -> Parts:
    """A batch of images or volumes."""
    if isinstance(shape, Counted):
        # What came in, a result, and what is made of the two.
        parts = _answering(shape, precision, batch * 3 * shape.widest * precision.working, 0, _KEPT_BY_COUNTED)
        return parts if shape.linear else replace(parts, libraries=0)
    largest = max(each.result for each in shape.convolutions)
    # A block holds what came in, its result, their sum and the ReLU of that.
    activations = batch * (4 * largest + shape.input) * precision.working
    return _answering(shape, precision, activations, 0, _KEPT_BY_RESNET)


def _answering(shape: Shape, precision: Precision, activations: int, kv_cache: int, kept: float) -> Parts:
    if precision.cast:
        activations += max(shape.tensors) * precision.working
    return Parts(
        weights=round(parameters(shape) * precision.weight) + shape.buffers_bytes,
        kv_cache=kv_cache,
        activations=activations,
        allocator=large_tensors(shape, precision.weight) * LARGE_TENSOR_BYTES + round(kept * activations),
    )


def large_tensors(shape: Shape, bytes_of_one: float) -> int:
    """How many of the weights have room of their own."""
    return sum(each * bytes_of_one > LARGE_TENSOR_BYTES for each in shape.tensors)
