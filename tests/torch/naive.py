"""GPT-2, BioGPT and ResNet once more, from their papers, by head, position and pixel: slow and without layers."""

import math

import torch


def _norm(values, weight, bias):
    spread = ((values - values.mean(-1, keepdim=True)) ** 2).mean(-1, keepdim=True)
    return (values - values.mean(-1, keepdim=True)) / (spread + 1e-5).sqrt() * weight + bias


def _gelu(values):
    return 0.5 * values * (1 + (math.sqrt(2 / math.pi) * (values + 0.044715 * values**3)).tanh())


def _attention(queries, keys, values):
    """One head: each position looks at itself and what is before it."""
    rows = []
    for here in range(len(queries)):
        weights = (keys[: here + 1] @ queries[here] / math.sqrt(queries.shape[1])).exp()
        rows.append((weights / weights.sum()) @ values[: here + 1])
    return torch.stack(rows)


def gpt2(weights, size, tokens):
    """The logits of one text."""
    hidden = weights["tokens.weight"][tokens] + weights["positions.weight"][: len(tokens)]
    return _decoder(weights, size, hidden, _gelu)


def biogpt(weights, size, tokens):
    """The logits of one text: row 0 of fairseq's positions is nobody's, row 1 is the padding's."""
    hidden = weights["tokens.weight"][tokens] * size.width**0.5 + weights["positions.weight"][2 : 2 + len(tokens)]
    return _decoder(weights, size, hidden, lambda values: values * 0.5 * torch.erfc(-values / math.sqrt(2)))


def _decoder(weights, size, hidden, activation):
    for layer in range(size.layers):
        of = {key.removeprefix(f"blocks.{layer}."): value for key, value in weights.items()}

        def linear(name, values, of=of):
            return values @ of[f"{name}.weight"].T + of[f"{name}.bias"]

        normed = _norm(hidden, of["norm_1.weight"], of["norm_1.bias"])
        queries, keys, values = linear("query_key_value", normed).split(size.width, dim=1)
        wide = size.width // size.heads
        heads = [
            _attention(*(part[:, at : at + wide] for part in (queries, keys, values)))
            for at in range(0, size.width, wide)
        ]
        hidden = hidden + linear("out", torch.cat(heads, dim=1))
        normed = _norm(hidden, of["norm_2.weight"], of["norm_2.bias"])
        hidden = hidden + linear("down", activation(linear("up", normed)))
    return _norm(hidden, weights["norm.weight"], weights["norm.bias"]) @ weights["tokens.weight"].T


def _convolve(image, weight, stride):
    """One image: each pixel of the result is a product with a window."""
    side, around = weight.shape[2], weight.shape[2] // 2
    padded = torch.nn.functional.pad(image, (around,) * 4)
    windows = padded.unfold(1, side, stride).unfold(2, side, stride)
    return torch.einsum("chwij,ocij->ohw", windows, weight)


def _convolve_and_norm(image, weights, name, stride):
    found = _convolve(image, weights[f"{name}.0.weight"], stride)
    mean, spread, weight, bias = (
        weights[f"{name}.1.{key}"][:, None, None] for key in ("running_mean", "running_var", "weight", "bias")
    )
    return (found - mean) / (spread + 1e-5).sqrt() * weight + bias


def resnet(weights, depths, stem, image):
    """The logits of one image; whether the blocks are bottlenecks is told by their weights."""
    found = _convolve_and_norm(image, weights, "stem", 1 if stem == "cifar" else 2).relu()
    if stem == "imagenet":
        padded = torch.nn.functional.pad(found, (1, 1, 1, 1), value=-math.inf)
        found = padded.unfold(1, 3, 2).unfold(2, 3, 2).amax(dim=(3, 4))
    firsts = {sum(depths[:stage]) for stage in range(1, 4)}
    for block in range(sum(depths)):
        stride = 2 if block in firsts else 1
        name = f"blocks.{block}.convolutions"
        bottleneck = f"{name}.2.0.weight" in weights
        inner = found
        for number, own in enumerate([1, stride, 1] if bottleneck else [stride, 1]):
            inner = _convolve_and_norm(inner if number == 0 else inner.relu(), weights, f"{name}.{number}", own)
        shortcut = f"blocks.{block}.shortcut"
        beside = (
            found if f"{shortcut}.0.weight" not in weights else _convolve_and_norm(found, weights, shortcut, stride)
        )
        found = (inner + beside).relu()
    return weights["head.weight"] @ found.mean(dim=(1, 2)) + weights["head.bias"]
