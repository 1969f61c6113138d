"""A detector of the shape of YOLOv5s, version 6: images in, numbers of 25 200 candidate boxes out (at 640 x 640).

A backbone of five halvings, a way back up to an eighth and down again with joints between them, and at each of the
three scales three boxes a cell: four numbers for its place, one for whether there is anything, one for each class. The
numbers come out raw. What turns them into boxes, and non-maximum suppression, belong to a detector's user.
"""
# pyright: basic, reportMissingImports=false

import torch
from torch import Tensor, nn

CLASSES = 80
_BOXES = 3
_NUMBERS = 5 + CLASSES
_STRIDES = (8, 16, 32)
_EPSILON, _MOMENTUM = 1e-3, 0.03


class Convolution(nn.Module):
    """A convolution, its norm, SiLU."""

    def __init__(self, inside: int, outside: int, kernel: int = 1, stride: int = 1, padding: int | None = None) -> None:
        super().__init__()
        around = kernel // 2 if padding is None else padding
        self.convolution = nn.Conv2d(inside, outside, kernel, stride, padding=around, bias=False)
        self.norm = nn.BatchNorm2d(outside, eps=_EPSILON, momentum=_MOMENTUM)

    def forward(self, images: Tensor) -> Tensor:
        """The layer's output."""
        return nn.functional.silu(self.norm(self.convolution(images)))


class Bottleneck(nn.Module):
    """A 1 x 1 and a 3 x 3 convolution, in the backbone added to what came in."""

    def __init__(self, width: int, *, added: bool) -> None:
        super().__init__()
        self.added = added
        self.both = nn.Sequential(Convolution(width, width), Convolution(width, width, 3))

    def forward(self, images: Tensor) -> Tensor:
        """The block's output."""
        return images + self.both(images) if self.added else self.both(images)


class C3(nn.Module):
    """Half the channels through bottlenecks, half past them, then joined."""

    def __init__(self, inside: int, outside: int, depth: int, *, added: bool = True) -> None:
        super().__init__()
        half = outside // 2
        self.through, self.past = Convolution(inside, half), Convolution(inside, half)
        self.bottlenecks = nn.Sequential(*(Bottleneck(half, added=added) for _ in range(depth)))
        self.join = Convolution(outside, outside)

    def forward(self, images: Tensor) -> Tensor:
        """The block's output."""
        return self.join(torch.cat([self.bottlenecks(self.through(images)), self.past(images)], dim=1))


class Pyramid(nn.Module):
    """SPPF: what lies within 5, 9 and 13 pixels, by pooling three times over 5."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.narrow, self.join = Convolution(width, width // 2), Convolution(2 * width, width)
        self.pool = nn.MaxPool2d(5, 1, padding=2)

    def forward(self, images: Tensor) -> Tensor:
        """The block's output."""
        found = [self.narrow(images)]
        for _ in range(3):
            found.append(self.pool(found[-1]))
        return self.join(torch.cat(found, dim=1))


class YoloV5s(nn.Module):
    """Images whose sides are multiples of 32 in; batch, candidates, 85 numbers out."""

    def __init__(self) -> None:
        super().__init__()
        self.to_eighth = nn.Sequential(
            *(Convolution(3, 32, 6, 2, padding=2), Convolution(32, 64, 3, 2), C3(64, 64, 1)),
            *(Convolution(64, 128, 3, 2), C3(128, 128, 2)),
        )
        self.to_sixteenth = nn.Sequential(Convolution(128, 256, 3, 2), C3(256, 256, 3))
        self.to_thirtysecond = nn.Sequential(Convolution(256, 512, 3, 2), C3(512, 512, 1), Pyramid(512))
        self.narrow = nn.ModuleList([Convolution(512, 256), Convolution(256, 128)])
        self.up = nn.ModuleList([C3(512, 256, 1, added=False), C3(256, 128, 1, added=False)])
        self.halve = nn.ModuleList([Convolution(128, 128, 3, 2), Convolution(256, 256, 3, 2)])
        self.down = nn.ModuleList([C3(256, 256, 1, added=False), C3(512, 512, 1, added=False)])
        self.detect = nn.ModuleList(nn.Conv2d(width, _BOXES * _NUMBERS, 1) for width in (128, 256, 512))

    def forward(self, images: Tensor) -> Tensor:
        """Raw numbers: four of the place, one for anything at all, one for each class."""
        eighth = self.to_eighth(images)
        sixteenth = self.to_sixteenth(eighth)
        narrow_32 = self.narrow[0](self.to_thirtysecond(sixteenth))
        narrow_16 = self.narrow[1](self.up[0](_joined(_doubled(narrow_32), sixteenth)))
        finest = self.up[1](_joined(_doubled(narrow_16), eighth))
        middle = self.down[0](_joined(self.halve[0](finest), narrow_16))
        coarsest = self.down[1](_joined(self.halve[1](middle), narrow_32))
        scales = zip(self.detect, (finest, middle, coarsest), strict=True)
        return torch.cat([_candidates(detect(scale)) for detect, scale in scales], dim=1)


def candidates(side: int) -> int:
    """How many there are in an image of so many pixels on each side."""
    return sum(_BOXES * (side // stride) ** 2 for stride in _STRIDES)


def _doubled(images: Tensor) -> Tensor:
    return nn.functional.interpolate(images, scale_factor=2.0, mode="nearest")


def _joined(one: Tensor, other: Tensor) -> Tensor:
    return torch.cat([one, other], dim=1)


def _candidates(scale: Tensor) -> Tensor:
    """From batch, boxes x numbers, rows, columns to batch, candidates, numbers."""
    batch, _, rows, columns = scale.shape
    apart = scale.view(batch, _BOXES, _NUMBERS, rows, columns)
    return apart.permute(0, 1, 3, 4, 2).reshape(batch, _BOXES * rows * columns, _NUMBERS)
