"""What models are made of, in numbers: how many weights, how large what a layer hands on. No torch is needed for it.

The models are those of ``exporter/workload``, and a test holds each shape against the real module there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from exporter.model_memory.counted import COUNTED, Counted


@dataclass(frozen=True, slots=True)
class Gpt:
    """A GPT-2; the last layer shares its weight with the token embedding."""

    name: str
    layers: int
    width: int
    heads: int
    vocabulary: int = 50_257
    positions: int = 1024
    unused_positions: int = 0

    @property
    def tensors(self) -> tuple[int, ...]:
        """Elements of each weight."""
        width = self.width
        layer = (3 * width**2, 3 * width, width**2, width, 4 * width**2, 4 * width, 4 * width**2, *[width] * 5)
        positions = (self.unused_positions + self.positions) * width
        return (self.vocabulary * width, positions, *layer * self.layers, width, width)

    @property
    def buffers_bytes(self) -> int:
        """What is kept with the weights without being trained."""
        return 0


@dataclass(frozen=True, slots=True)
class Convolution:
    """One with its batch norm, and with a ReLU behind it unless it is a shortcut; ``side`` is that of its result."""

    inside: int
    outside: int
    kernel: int
    stride: int
    side: int
    shortcut: bool = False

    @property
    def result(self) -> int:
        """Elements of what comes out, for one image."""
        return self.outside * self.side**2


@dataclass(frozen=True, slots=True)
class ResNet:
    """With the stem of ImageNet (7 x 7 by two, then pooling) or of CIFAR (3 x 3, no pooling)."""

    name: str
    depths: tuple[int, ...]
    bottleneck: bool = False
    stem: str = "imagenet"
    pixels: int = 0
    """On each side of an image; 0: as many as the images of the stem's data set have."""

    @property
    def side(self) -> int:
        """Pixels on each side of an image."""
        return self.pixels or (32 if self.stem == "cifar" else 224)

    @property
    def input(self) -> int:
        """Elements of an image."""
        return 3 * self.side**2

    @property
    def classes(self) -> int:
        """How many the last layer tells apart."""
        return 10 if self.stem == "cifar" else 1000

    @property
    def pooled(self) -> int:
        """Elements that come out of the pooling behind the stem, for one image."""
        return 0 if self.stem == "cifar" else 64 * (self.side // 4) ** 2

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        """In the order in which an image meets them."""
        return tuple(self._walk())

    def _walk(self) -> Iterator[Convolution]:
        small = self.stem == "cifar"
        side = self.side if small else self.side // 2
        yield Convolution(3, 64, 3 if small else 7, 1 if small else 2, side)
        side, inside = side if small else side // 2, 64
        for stage, depth in enumerate(self.depths):
            for number in range(depth):
                stride = 2 if stage and not number else 1
                side //= stride
                yield from self._block(inside, 64 * 2**stage, stride, side)
                inside = 64 * 2**stage * (4 if self.bottleneck else 1)

    def _block(self, inside: int, width: int, stride: int, side: int) -> Iterator[Convolution]:
        outside = 4 * width if self.bottleneck else width
        if self.bottleneck:
            yield Convolution(inside, width, 1, 1, side * stride)
            yield Convolution(width, width, 3, stride, side)
            yield Convolution(width, outside, 1, 1, side)
        else:
            yield Convolution(inside, width, 3, stride, side)
            yield Convolution(width, width, 3, 1, side)
        if inside != outside or stride != 1:
            yield Convolution(inside, outside, 1, stride, side, shortcut=True)

    @property
    def tensors(self) -> tuple[int, ...]:
        """Elements of each weight."""
        found: list[int] = []
        for each in self.convolutions:
            found += [each.inside * each.outside * each.kernel**2, each.outside, each.outside]
        last = 512 * (4 if self.bottleneck else 1)
        return (*found, last * self.classes, self.classes)

    @property
    def buffers_bytes(self) -> int:
        """The running mean and variance of each batch norm, and how many batches it has seen."""
        return sum(2 * 4 * each.outside + 8 for each in self.convolutions)


GPTS: Mapping[str, Gpt] = MappingProxyType(
    {
        each.name: each
        for each in (
            Gpt("gpt2-tiny", 2, 64, 4, 512),
            Gpt("gpt2-small", 12, 768, 12),
            Gpt("gpt2-medium", 24, 1024, 16),
            Gpt("gpt2-large", 36, 1280, 20),
            Gpt("gpt2-xl", 48, 1600, 25),
            Gpt("dialogpt-small", 12, 768, 12),
            Gpt("dialogpt-medium", 24, 1024, 16),
            Gpt("biogpt", 24, 1024, 16, 42_384, unused_positions=2),
        )
    }
)
RESNETS: Mapping[str, ResNet] = MappingProxyType(
    {
        each.name: each
        for each in (
            ResNet("resnet18", (2, 2, 2, 2)),
            ResNet("resnet34", (3, 4, 6, 3)),
            ResNet("resnet50", (3, 4, 6, 3), bottleneck=True),
        )
    }
)


Cnn = ResNet | Counted
Shape = Gpt | Cnn

CNNS: Mapping[str, Cnn] = MappingProxyType({**RESNETS, **COUNTED})


def parameters(shape: Shape) -> int:
    """How many weights it has."""
    return shape.parameters if isinstance(shape, Counted) else sum(shape.tensors)
