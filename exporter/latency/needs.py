"""How much memory a run takes at most, known before it starts: pure arithmetic from the models' published sizes.

weights      parameters x 4 bytes, or 2 in half precision; quantizing starts from the whole and adds the quarter
KV cache     positions x layers x 2 x width x bytes of the arithmetic (a key and a value of each layer)
activations  64 MiB for the workspaces of the matrix library, 1/32 of the weights for what lies between the layers;
             in mixed precision a copy in half precision of the largest weight, the embedding; 16 MiB for each image
context      500 MiB: what CUDA, or torch on the processor, takes before the first tensor is there

On top of that comes what must stay free for everybody else: 512 MiB or a tenth of the card, whichever is more. Context,
allocator and kernels take more on some cards; that is in this margin. tests/unit/test_probe_needs.py holds these
figures against those that docs/workload.md has from a card.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

MIB = 2**20
PROMPT, NEW_TOKENS, IMAGES = 32, 32, 1
"""What a probe's run is given; a first token does not depend on how many follow."""

_WORKSPACE, _IMAGE, _CONTEXT, _LEAST_MARGIN = 64 * MIB, 16 * MIB, 500 * MIB, 512 * MIB
_BETWEEN_LAYERS, _MARGIN = 1 / 32, 0.1
_HALF_WEIGHTS, _HALF_ARITHMETIC = frozenset({"fp16"}), frozenset({"fp16", "amp"})


@dataclass(frozen=True, slots=True)
class Shape:
    """A model's size; ``operation`` is the run that is probed. Layers, width, vocabulary are a GPT's."""

    operation: str
    parameters: int
    layers: int = 0
    width: int = 0
    vocabulary: int = 0


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "gpt2-tiny": Shape("generate", 198_400, 2, 64, 512),
        "gpt2-small": Shape("generate", 124_439_808, 12, 768, 50_257),
        "gpt2-medium": Shape("generate", 354_823_168, 24, 1024, 50_257),
        "gpt2-large": Shape("generate", 774_030_080, 36, 1280, 50_257),
        "gpt2-xl": Shape("generate", 1_557_611_200, 48, 1600, 50_257),
        "resnet18": Shape("infer", 11_689_512),
        "resnet34": Shape("infer", 21_797_672),
        "resnet50": Shape("infer", 25_557_032),
    }
)
"""The models that can be probed. Parameter counts: Radford et al. 2019 and He et al. 2016 as torchvision has them."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes."""

    weights: float
    kv_cache: float
    activations: float
    context: float = _CONTEXT

    @property
    def total(self) -> float:
        """All of it."""
        return self.weights + self.kv_cache + self.activations + self.context


def needs(
    model: str, precision: str, *, positions: int = PROMPT + NEW_TOKENS, batch: int = 1, images: int = IMAGES
) -> Needs:
    """What a run takes at most.

    Raises:
        KeyError: the model is not in ``SHAPES``.
    """
    shape = SHAPES[model]
    weights = shape.parameters * (2.0 if precision in _HALF_WEIGHTS else 5.0 if precision == "int8_dynamic" else 4.0)
    working = 2.0 if precision in _HALF_ARITHMETIC else 4.0
    between = _WORKSPACE + weights * _BETWEEN_LAYERS + (0 if shape.layers else images * _IMAGE)
    copied = 2.0 * shape.vocabulary * shape.width if precision == "amp" else 0.0
    return Needs(weights, batch * positions * shape.layers * 2 * shape.width * working, between + copied)


def margin(total_bytes: float) -> float:
    """What must stay free of a memory of this size."""
    return max(_LEAST_MARGIN, _MARGIN * total_bytes)
