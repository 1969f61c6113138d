"""What a training step is given: the same random batch again and again, or CIFAR-10's images in a drawn order.

Random data lies on the device from the beginning, so a loader is no part of that figure; the result says which it was.
"""
# pyright: basic, reportMissingImports=false

import itertools
from collections.abc import Iterator
from pathlib import Path

import torch

from . import cifar
from .devices import Ground
from .gpt2 import SIZES
from .models import CLASSES
from .spec import Spec

Batch = tuple[torch.Tensor, torch.Tensor]

IMAGES_OF_AN_EPOCH = {"cifar": 50_000, "imagenet": 1_281_167}


def text(spec: Spec, ground: Ground) -> Iterator[Batch]:
    """Random tokens, and as what is to be said the token that follows."""
    size = SIZES[spec.model]
    tokens = torch.randint(size.vocabulary, (spec.batch, spec.sequence + 1), device=ground.device)
    return itertools.repeat((tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()))


class Images:
    """Batches of images without end; one epoch is ``count`` images."""

    def __init__(self, spec: Spec, ground: Ground) -> None:
        self._spec, self._ground = spec, ground
        self.count = IMAGES_OF_AN_EPOCH[spec.stem]
        self._images: torch.Tensor | None = None
        if spec.data:
            images, labels = cifar.read(Path(spec.data))
            self.count = len(labels)
            self._images = torch.frombuffer(images, dtype=torch.uint8).view(-1, 3, 32, 32)
            self._labels = torch.frombuffer(labels, dtype=torch.uint8)

    def __iter__(self) -> Iterator[Batch]:
        """Epoch after epoch; the last batch of each is what is left."""
        if self._images is None:
            return self._random()
        return self._real(self._images)

    def _random(self) -> Iterator[Batch]:
        spec, device = self._spec, self._ground.device
        images = torch.randn((spec.batch, 3, spec.side, spec.side), device=device)
        labels = torch.randint(CLASSES[spec.stem], (spec.batch,), device=device)
        while True:
            for start in range(0, self.count, spec.batch):
                left = min(spec.batch, self.count - start)
                yield images[:left], labels[:left]

    def _real(self, images: torch.Tensor) -> Iterator[Batch]:
        drawn = torch.Generator().manual_seed(self._spec.seed)
        while True:
            for chosen in torch.randperm(self.count, generator=drawn).split(self._spec.batch):
                some = images[chosen].to(self._ground.device).float().div_(127.5).sub_(1.0)
                yield some, self._labels[chosen].long().to(self._ground.device)
