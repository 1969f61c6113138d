"""EfficientNet-B0 of Tan and Le (2019): depthwise convolutions, and channels that are weighed by what is in the image.

No dropout and no stochastic depth: what is measured is the arithmetic. Strided convolutions are padded alike on both
sides, as in torchvision; the authors' TensorFlow pads one side more. Sizes and costs are the same.
"""
# pyright: basic, reportMissingImports=false

from torch import Tensor, nn

# Of each stage: how much wider inside, the kernel, the first one's stride, channels out, how many blocks.
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_STEM, _HEAD = 32, 1280
_SQUEEZED_TO = 4
_EPSILON = 1e-3


def _convolution(inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inside, outside, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outside, eps=_EPSILON))


class Weigh(nn.Module):
    """Squeeze and excitation: each channel times a number that all channels' means decide."""

    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(width, squeezed, 1), nn.Conv2d(squeezed, width, 1)

    def forward(self, images: Tensor) -> Tensor:
        """The channels, weighed."""
        means = images.mean(dim=(2, 3), keepdim=True)
        return images * self.excite(nn.functional.silu(self.squeeze(means))).sigmoid()


class Block(nn.Module):
    """Widen, convolve each channel by itself, weigh the channels, narrow; added to what came in where shapes allow."""

    def __init__(self, inside: int, outside: int, wider: int, kernel: int, stride: int) -> None:
        super().__init__()
        width = inside * wider
        self.widen = nn.Identity() if wider == 1 else nn.Sequential(_convolution(inside, width, 1), nn.SiLU())
        self.depthwise = _convolution(width, width, kernel, stride, groups=width)
        self.weigh = Weigh(width, inside // _SQUEEZED_TO)
        self.narrow = _convolution(width, outside, 1)
        self.added = stride == 1 and inside == outside

    def forward(self, images: Tensor) -> Tensor:
        """The block's output."""
        found = nn.functional.silu(self.depthwise(self.widen(images)))
        found = self.narrow(self.weigh(found))
        return found + images if self.added else found


class EfficientNetB0(nn.Module):
    """Images in, a number for each class out."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = _convolution(3, _STEM, 3, 2)
        blocks: list[Block] = []
        inside = _STEM
        for wider, kernel, stride, outside, count in _STAGES:
            for number in range(count):
                blocks.append(Block(inside, outside, wider, kernel, 1 if number else stride))
                inside = outside
        self.blocks = nn.Sequential(*blocks)
        self.last = _convolution(inside, _HEAD, 1)
        self.head = nn.Linear(_HEAD, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        found = self.blocks(nn.functional.silu(self.stem(images)))
        return self.head(nn.functional.silu(self.last(found)).mean(dim=(2, 3)))
