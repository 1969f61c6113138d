"""A model of one's own for ``gpuwarden bench --module docs/own_model.py``: copy this file and change it.

``model`` and ``inputs`` are all that is needed; ``loss`` makes it trainable.
"""

import torch
from torch import Tensor, nn


def model() -> nn.Module:
    """Make the module, with whatever weights; it is put on the card afterwards."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def inputs(batch: int, device: torch.device) -> tuple[Tensor, ...]:
    """Make what the module is called with."""
    return (torch.randn(batch, 3, 64, 64, device=device),)


def loss(module: nn.Module, given: tuple[Tensor, ...]) -> Tensor:
    """Say what a step of training makes smaller."""
    (images,) = given
    wanted = torch.zeros(len(images), dtype=torch.long, device=images.device)
    return nn.functional.cross_entropy(module(images), wanted)
