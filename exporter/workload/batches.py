"""What a model is given: the same random batch again and again, or CIFAR-10's images in a drawn order.

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
from .known import LABELS, VOLUMES
from .models import HOW_MANY_CLASSES
from .spec import Spec
from .unet3d import LABELS as LABELS_OF_A_VOXEL
from .yolov5 import candidates

Batch = tuple[torch.Tensor, torch.Tensor]

_CHANNELS = 3
IMAGES_OF_AN_EPOCH = {"cifar": 50_000, "imagenet": 1_281_167}


def text(spec: Spec, ground: Ground) -> Iterator[Batch]:
    """Random tokens, and as what is to be said the token that follows."""
    size = SIZES[spec.model]
    tokens = torch.randint(size.vocabulary, (spec.batch, spec.sequence + 1), device=ground.device)
    return itertools.repeat((tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()))


def pictures(spec: Spec, ground: Ground, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Random images: batch, 3, side, side; or volumes, with one more side."""
    sides = (spec.side,) * (3 if spec.family.reads == VOLUMES else 2)
    return torch.randn((spec.batch, _CHANNELS, *sides), device=ground.device, dtype=dtype)


def drawn_upon(spec: Spec, ground: Ground) -> Iterator[Batch]:
    """Random pictures and, as what is to be found in them, a label of each voxel or for each candidate, yes or no."""
    if spec.family.answers == LABELS:
        wanted = torch.randint(LABELS_OF_A_VOXEL, (spec.batch, *(spec.side,) * 3), device=ground.device)
    else:
        wanted = torch.randint(2, (spec.batch, candidates(spec.side)), device=ground.device).float()
    return itertools.repeat((pictures(spec, ground), wanted))


class Images:
    """Batches of images, each of one class, without end; one epoch is ``count`` images."""

    def __init__(self, spec: Spec, ground: Ground) -> None:
        self._spec, self._ground = spec, ground
        self.count = IMAGES_OF_AN_EPOCH[spec.dataset]
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
        images = pictures(spec, self._ground)
        labels = torch.randint(HOW_MANY_CLASSES[spec.dataset], (spec.batch,), device=device)
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
