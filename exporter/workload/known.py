"""The models that a run can ask for, and what can be done with each; read by the spec before torch is loaded.

A family is built by its builder in models.py; what it reads says which inputs it is given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

GENERATE, SERVE, INFER, TRAIN, ONNX, MODULE = "generate", "serve", "infer", "train", "onnx", "module"
NEEDS: Mapping[str, tuple[str, ...]] = MappingProxyType({ONNX: ("onnx", "onnxscript", "onnxruntime")})
"""What a run needs beside torch: the interpreter of whoever asks for it may have it, ours need not."""
TOKENS, IMAGES, VOLUMES = "tokens", "images", "volumes"
ANYTHING = "anything"
CLASSES, LABELS, BOXES = "classes", "labels", "boxes"


@dataclass(frozen=True)
class Family:
    """Models that are built, fed and run in the same way."""

    name: str
    reads: str
    runs: tuple[str, ...]
    answers: str = TOKENS
    """A class for each image, a label for each voxel, numbers of boxes; or the next token."""
    side: int = 0
    """Pixels on each side of an image where nobody asks for others."""
    multiple: int = 1
    """The sides must be multiples of this many pixels or voxels."""


GPT2 = Family("gpt2", TOKENS, (GENERATE, SERVE, TRAIN, ONNX))
_CNN = (INFER, TRAIN, ONNX)
RESNET = Family("resnet", IMAGES, _CNN, CLASSES, side=224)
EFFICIENTNET = Family("efficientnet", IMAGES, _CNN, CLASSES, side=224)
YOLOV5 = Family("yolov5", IMAGES, _CNN, BOXES, side=640, multiple=32)
UNET3D = Family("unet3d", VOLUMES, _CNN, LABELS, multiple=8)
OWN = Family("own", ANYTHING, (MODULE,), ANYTHING)

MODELS: Mapping[str, Family] = MappingProxyType(
    {
        **dict.fromkeys(("gpt2-tiny", "gpt2-small", "gpt2-medium", "gpt2-large", "gpt2-xl"), GPT2),
        **dict.fromkeys(("dialogpt-small", "dialogpt-medium", "biogpt"), GPT2),
        **dict.fromkeys(("resnet18", "resnet34", "resnet50"), RESNET),
        "efficientnet-b0": EFFICIENTNET,
        "yolov5s": YOLOV5,
        "unet3d": UNET3D,
        "own": OWN,
    }
)
