"""A model of somebody's own, of which only the outline is known, and what it takes: pure arithmetic, in bytes.

It is taken for a Llama-like one, that is, with gated linear layers, no biases, and keys and values for fewer heads than
there are queries.
"""

from dataclasses import dataclass, field

from exporter.model_memory.answering import KEPT_BY_GPT, LARGE_TENSOR_BYTES, MIB, Parts, Precision

_LOGITS_BYTES = MIB
"""One position's, for a vocabulary of 150,000 in half precision and once more in full."""

INT8 = Precision("int8", 8.5 / 8, 2, cast=True)
"""With the scales: 8.5 bits a weight, as llama.cpp's Q8_0 has them."""
INT4 = Precision("int4", 4.9 / 8, 2, cast=True)
"""4.9 bits a weight, as llama.cpp's Q4_K_M comes to with what it leaves at six bits."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A Llama-like model of which only this is known; ``kv_heads`` 0 means as many as ``heads``."""

    parameters: int
    layers: int
    width: int
    heads: int
    kv_heads: int = 0
    name: str = field(default="your model")

    @property
    def kv_width(self) -> int:
        """Elements of one position's keys in one layer; as many are its values."""
        return self.width // self.heads * (self.kv_heads or self.heads)

    @property
    def attention(self) -> int:
        """Weights of one layer's attention: queries and output, keys and values."""
        return 2 * self.width**2 + 2 * self.width * self.kv_width

    @property
    def inner_width(self) -> int:
        """Of the gated layers, from what a layer has left; the embeddings are counted in, so it comes out a bit high.

        Where there is more than eight times the width, as with many experts of which a few are asked, it is eight.
        """
        left = self.parameters // self.layers - self.attention
        return max(0, min(8 * self.width, -(-left // (3 * self.width))))

    @property
    def large_tensors(self) -> int:
        """Queries, keys, values, output, and three of the gated layers, in each layer; two embeddings."""
        return 7 * self.layers + 2


def answering_outline(shape: Outline, precision: Precision, batch: int, positions: int, chunk: int = 0) -> Parts:
    """The user's own; a prompt is read at once or in pieces of ``chunk`` positions. Keys and values are fp16."""
    read = min(chunk or positions, positions)
    # What came in, what attention added, the norm of it; with queries, keys, values and what they found, or with the
    # two gated layers and their product.
    within = max(3 * shape.inner_width, 2 * shape.width + 2 * shape.kv_width)
    activations = batch * (read * (3 * shape.width + within) * precision.working + _LOGITS_BYTES)
    if precision.cast:
        activations += shape.width * max(shape.inner_width, shape.width) * precision.working
    return Parts(
        weights=round(shape.parameters * precision.weight),
        kv_cache=2 * shape.layers * shape.kv_width * positions * batch * precision.working,
        activations=activations,
        allocator=shape.large_tensors * LARGE_TENSOR_BYTES + round(KEPT_BY_GPT * activations),
    )
