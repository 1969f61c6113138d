"""The models that a run can ask for, and what can be done with each; read by the spec before torch is loaded.

A family is built by its builder in models.py; what it reads says which inputs it is given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

GENERATE, SERVE, INFER, TRAIN = "generate", "serve", "infer", "train"
TOKENS, IMAGES = "tokens", "images"


@dataclass(frozen=True)
class Family:
    """Models that are built, fed and run in the same way."""

    name: str
    reads: str
    runs: tuple[str, ...]


GPT2 = Family("gpt2", TOKENS, (GENERATE, SERVE, TRAIN))
RESNET = Family("resnet", IMAGES, (INFER, TRAIN))

MODELS: Mapping[str, Family] = MappingProxyType(
    {
        **dict.fromkeys(("gpt2-tiny", "gpt2-small", "gpt2-medium", "gpt2-large", "gpt2-xl"), GPT2),
        **dict.fromkeys(("dialogpt-small", "dialogpt-medium", "biogpt"), GPT2),
        **dict.fromkeys(("resnet18", "resnet34", "resnet50"), RESNET),
    }
)
