"""ResNet-18, -34 and -50 with the stem of ImageNet (7 x 7 by two, then pooling) or of CIFAR (3 x 3, no pooling).

The stem decides what an epoch over 32 x 32 images means: CIFAR's brings fifteen times the arithmetic of ImageNet's.
"""
# pyright: basic, reportMissingImports=false

from torch import Tensor, nn

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
_WIDTHS = (64, 128, 256, 512)


def _convolution(inside: int, outside: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(outside)
    )


class Block(nn.Module):
    """Two 3 x 3 convolutions, or a 3 x 3 one between two 1 x 1, added to what came in."""

    def __init__(self, inside: int, width: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        outside = 4 * width if bottleneck else width
        plan = [(inside, width, 1, 1), (width, width, 3, stride), (width, outside, 1, 1)]
        if not bottleneck:
            plan = [(inside, width, 3, stride), (width, width, 3, 1)]
        self.convolutions = nn.ModuleList(_convolution(*each) for each in plan)
        same = inside == outside and stride == 1
        self.shortcut = nn.Identity() if same else _convolution(inside, outside, 1, stride)

    def forward(self, images: Tensor) -> Tensor:
        """The block's output."""
        found = images
        for number, convolution in enumerate(self.convolutions, start=1):
            found = convolution(found)
            if number < len(self.convolutions):
                found = nn.functional.relu(found)
        return nn.functional.relu(found + self.shortcut(images))


class ResNet(nn.Module):
    """Images in, a number for each class out."""

    def __init__(self, name: str, stem: str, classes: int) -> None:
        super().__init__()
        bottleneck = name == "resnet50"
        small = stem == "cifar"
        self.stem = _convolution(3, 64, 3) if small else _convolution(3, 64, 7, 2)
        self.pool = nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1)
        blocks: list[Block] = []
        inside = 64
        for stage, (width, depth) in enumerate(zip(_WIDTHS, DEPTHS[name], strict=True)):
            for number in range(depth):
                stride = 2 if stage and not number else 1
                blocks.append(Block(inside, width, stride, bottleneck=bottleneck))
                inside = 4 * width if bottleneck else width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(inside, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        found = self.pool(nn.functional.relu(self.stem(images)))
        return self.head(self.blocks(found).mean(dim=(2, 3)))
