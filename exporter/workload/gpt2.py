"""GPT-2 and what is built like it, in published sizes: plain linear layers, a key-value cache of fixed size.

No dropout: what is measured is the arithmetic. The last layer shares its weight with the token embedding, as published.

DialoGPT (Zhang et al., 2020) is GPT-2 trained on conversations: the same sizes under other names. BioGPT (Luo et al.,
2022) is GPT-2 medium with a vocabulary of its own, in the form that fairseq gave it: the first two rows of the table of
positions are never used, token embeddings are multiplied by the root of the width, and GELU is the exact one. Its three
projections are one here: the same numbers.
"""
# pyright: basic, reportMissingImports=false

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .attention import attend


@dataclass(frozen=True)
class Size:
    """What the models differ in."""

    layers: int
    width: int
    heads: int
    vocabulary: int = 50_257
    positions: int = 1024
    unused_positions: int = 0
    scaled_embeddings: bool = False
    gelu: str = "tanh"
    """As torch calls it: its approximation, or "none"."""


SIZES = {
    "gpt2-tiny": Size(2, 64, 4, vocabulary=512),  # published by nobody: for trying things out
    "gpt2-small": Size(12, 768, 12),
    "gpt2-medium": Size(24, 1024, 16),
    "gpt2-large": Size(36, 1280, 20),
    "gpt2-xl": Size(48, 1600, 25),
    "dialogpt-small": Size(12, 768, 12),
    "dialogpt-medium": Size(24, 1024, 16),
    "biogpt": Size(24, 1024, 16, 42_384, unused_positions=2, scaled_embeddings=True, gelu="none"),
}


class Cache:
    """Keys and values of all layers, allocated once for as many positions as will come."""

    def __init__(self, size: Size, batch: int, positions: int, device: torch.device, dtype: torch.dtype) -> None:
        shape = (size.layers, 2, batch, size.heads, positions, size.width // size.heads)
        self.tensor = torch.zeros(shape, device=device, dtype=dtype)
        self.length = 0

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write a layer's keys and values behind what is there; everything up to them."""
        end = self.length + keys.shape[2]
        self.tensor[layer, 0, :, :, self.length : end] = keys
        self.tensor[layer, 1, :, :, self.length : end] = values
        return self.tensor[layer, 0, :, :, :end], self.tensor[layer, 1, :, :, :end]


class Block(nn.Module):
    """One layer: attention, then two linear ones, each behind a norm and added to what came in."""

    def __init__(self, size: Size, attention: str, chunk: int) -> None:
        super().__init__()
        width = size.width
        self.heads, self.gelu, self.attention, self.chunk = size.heads, size.gelu, attention, chunk
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, hidden: Tensor, cache: Cache | None = None, layer: int = 0) -> Tensor:
        """The layer's output, of the input's shape."""
        batch, count, width = hidden.shape
        parts = self.query_key_value(self.norm_1(hidden)).view(batch, count, 3, self.heads, width // self.heads)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        if cache is not None:
            keys, values = cache.extend(layer, keys, values)
        seen = attend(queries, keys, values, kind=self.attention, chunk=self.chunk)
        hidden = hidden + self.out(seen.transpose(1, 2).reshape(batch, count, width))
        return hidden + self.down(nn.functional.gelu(self.up(self.norm_2(hidden)), approximate=self.gelu))


def _embedding(rows: int, width: int) -> nn.Embedding:
    """Without values: drawing them on the meta device, torch would load its compiler, two seconds and more."""
    return nn.Embedding.from_pretrained(torch.empty(rows, width), freeze=False)


class GPT2(nn.Module):
    """Token numbers in, logits out."""

    def __init__(self, size: Size, attention: str = "sdpa", chunk: int = 128, *, checkpointing: bool = False) -> None:
        super().__init__()
        self.size, self.checkpointing = size, checkpointing
        self.tokens = _embedding(size.vocabulary, size.width)
        self.positions = _embedding(size.unused_positions + size.positions, size.width)
        self.blocks = nn.ModuleList(Block(size, attention, chunk) for _ in range(size.layers))
        self.norm = nn.LayerNorm(size.width)
        self.head = nn.Linear(size.width, size.vocabulary, bias=False)
        self.head.weight = self.tokens.weight
        self.scale = math.sqrt(size.width) if size.scaled_embeddings else 1.0

    def forward(self, tokens: Tensor, cache: Cache | None = None, *, last_only: bool = False) -> Tensor:
        """Logits of all given positions or only of the last; ``cache`` holds what came before and is extended."""
        start = self.size.unused_positions + (0 if cache is None else cache.length)
        places = torch.arange(start, start + tokens.shape[1], device=tokens.device)
        hidden = self.tokens(tokens)
        if self.scale != 1.0:
            hidden = hidden * self.scale
        hidden = hidden + self.positions(places)
        for layer, block in enumerate(self.blocks):
            if self.checkpointing and torch.is_grad_enabled():
                hidden = checkpoint(block, hidden, use_reentrant=False)
            else:
                hidden = block(hidden, cache, layer)
        if cache is not None:
            cache.length += tokens.shape[1]
        return self.head(self.norm(hidden[:, -1:] if last_only else hidden))
