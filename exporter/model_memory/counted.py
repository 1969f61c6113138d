"""CNNs of which only sums are kept here: what the layers hand on was counted once, in the modules of exporter/workload.

tests/torch/test_shapes.py counts again and holds each number. Results grow with the area or volume of what is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

_OF_A_VOLUME = 3


@dataclass(frozen=True, slots=True)
class Counted:
    """All but ``parameters`` and ``tensors`` are elements for one input of ``side``."""

    name: str
    parameters: int
    buffers_bytes: int
    tensors: tuple[int, ...]
    """Elements of each weight that takes more than a MiB in fp32."""
    side: int
    kept: int
    """What the way back needs: each different tensor that a layer remembers, the input too."""
    widest: int
    """The largest result of a layer."""
    dimensions: int = 2
    linear: bool = False
    """Whether there is a linear layer, for which torch takes a workspace."""

    @property
    def input(self) -> int:
        """An image's or volume's three channels."""
        return 3 * self.side**self.dimensions

    @property
    def of_volumes(self) -> bool:
        """Whether it reads volumes, not images."""
        return self.dimensions == _OF_A_VOLUME

    def at(self, side: int) -> "Counted":
        """The same for inputs of another size."""
        grown = (side / self.side) ** self.dimensions
        return replace(self, side=side, kept=round(self.kept * grown), widest=round(self.widest * grown))


_EFFICIENTNET_B0 = Counted(
    "efficientnet-b0", 5_288_548, 168_456, (1_280_000, 409_600, 368_640), 224, 22_089_240, 1_204_224, linear=True
)
_YOLOV5S = Counted(
    "yolov5s",
    7_235_389,
    76_488,
    (1_179_648, 589_824, 589_824, 589_824, 524_288, 294_912),
    640,
    75_897_408,
    3_276_800,
)
_UNET3D = Counted(
    "unet3d",
    19_074_627,
    18_800,
    (
        *(5_308_416, 3_538_944, 2_097_152, 1_769_472, 1_769_472, 1_327_104),
        *(884_736, 524_288, 442_368, 442_368, 331_776),
    ),
    64,
    230_036_032,
    33_554_432,
    dimensions=_OF_A_VOLUME,
)

COUNTED: Mapping[str, Counted] = MappingProxyType({each.name: each for each in (_EFFICIENTNET_B0, _YOLOV5S, _UNET3D)})
