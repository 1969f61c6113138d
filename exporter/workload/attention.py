"""Three ways to the same numbers: torch's fused attention, the plain formula, the formula over chunks of queries.

The plain formula needs memory for every query times every key. In chunks it needs only a chunk's worth, and keys that
come after the chunk are not looked at; the fused kernels never write the scores out at all.
"""
# pyright: basic, reportMissingImports=false

import math

import torch
from torch import Tensor, nn


def attend(queries: Tensor, keys: Tensor, values: Tensor, *, kind: str, chunk: int) -> Tensor:
    """Causal attention of the last positions over all; shapes are batch, heads, positions, width."""
    if kind == "sdpa":
        return _fused(queries, keys, values)
    if kind == "plain":
        return _plain(queries, keys, values, keys.shape[2] - queries.shape[2])
    before = keys.shape[2] - queries.shape[2]
    parts: list[Tensor] = []
    for start in range(0, queries.shape[2], chunk):
        some = queries[:, :, start : start + chunk]
        seen = before + start + some.shape[2]
        parts.append(_plain(some, keys[:, :, :seen], values[:, :, :seen], before + start))
    return torch.cat(parts, dim=2)


def _fused(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    count, seen = queries.shape[2], keys.shape[2]
    if count == seen:
        return nn.functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
    # torch's is_causal puts the triangle at the first key; with keys from before it belongs at the last.
    mask = None if count == 1 else _allowed(count, seen, seen - count, queries.device)
    return nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)


def _plain(queries: Tensor, keys: Tensor, values: Tensor, before: int) -> Tensor:
    scores = queries @ keys.transpose(2, 3) / math.sqrt(queries.shape[3])
    if queries.shape[2] > 1:
        allowed = _allowed(queries.shape[2], keys.shape[2], before, queries.device)
        scores = scores.masked_fill(~allowed, float("-inf"))
    return scores.softmax(dim=-1).to(values.dtype) @ values


def _allowed(count: int, seen: int, before: int, device: torch.device) -> Tensor:
    """Which keys a query may look at: those up to its own position."""
    positions = torch.arange(before, before + count, device=device)
    return torch.arange(seen, device=device) <= positions[:, None]
