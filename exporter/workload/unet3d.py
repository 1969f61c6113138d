"""The 3D U-Net of Çiçek et al. (2016): a volume in, a number for each label of each voxel out.

As published: three halvings and back, 64 to 512 channels, a norm before each ReLU, three channels and three labels. One
thing differs: the paper does not pad, so its 132 x 132 x 116 voxels shrink to labels for 44 x 44 x 28; here, as in what
is used today, the edges are padded and every voxel gets a label. The weights are the same ones either way. The paper's
count of them, 19 069 955, leaves out the norms' 4 672.
"""
# pyright: basic, reportMissingImports=false

import torch
from torch import Tensor, nn

CHANNELS = 3
LABELS = 3
_WIDTHS = (64, 128, 256, 512)


def _twice(inside: int, between: int, outside: int) -> nn.Sequential:
    """Two 3 x 3 x 3 convolutions, each with its norm and ReLU."""
    layers: list[nn.Module] = []
    for before, after in ((inside, between), (between, outside)):
        layers += [nn.Conv3d(before, after, 3, padding=1), nn.BatchNorm3d(after), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet3D(nn.Module):
    """In: batch, channels, depth, height, width, the sides multiples of 8. Out: labels in the place of channels."""

    def __init__(self) -> None:
        super().__init__()
        inside = (CHANNELS, *_WIDTHS[:-1])
        self.down = nn.ModuleList(
            _twice(before, after // 2, after) for before, after in zip(inside, _WIDTHS, strict=True)
        )
        self.pool = nn.MaxPool3d(2)
        ascent = list(zip(_WIDTHS[:0:-1], _WIDTHS[-2::-1], strict=True))
        self.enlarge = nn.ModuleList(nn.ConvTranspose3d(below, below, 2, stride=2, bias=False) for below, _ in ascent)
        self.up = nn.ModuleList(_twice(below + beside, beside, beside) for below, beside in ascent)
        self.head = nn.Conv3d(_WIDTHS[0], LABELS, 1)

    def forward(self, volumes: Tensor) -> Tensor:
        """Logits."""
        found = volumes
        beside: list[Tensor] = []
        for level, convolutions in enumerate(self.down):
            found = convolutions(self.pool(found) if level else found)
            beside.append(found)
        beside.pop()
        for enlarge, convolutions in zip(self.enlarge, self.up, strict=True):
            found = convolutions(torch.cat([beside.pop(), enlarge(found)], dim=1))
        return self.head(found)
