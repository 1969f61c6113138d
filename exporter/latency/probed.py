"""The models that can be probed, and what is asked of them. Read with the settings, so it stays small.

Their sizes are in exporter/model_memory, which is loaded only where a probe is enabled.
"""

from collections.abc import Mapping
from types import MappingProxyType

PROMPT, NEW_TOKENS = 32, 32
"""What a GPT is given; a first token does not depend on how many follow."""

GENERATE, INFER = "generate", "infer"

OPERATIONS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("gpt2-tiny", "gpt2-small", "gpt2-medium", "gpt2-large", "gpt2-xl"), GENERATE),
        **dict.fromkeys(("resnet18", "resnet34", "resnet50"), INFER),
    }
)
"""The run that is probed, by model."""
