"""The card memory that a run is reckoned to take, from its spec: pure, in bytes.

The bench plans before it knows the card, so the CUDA context is that of a large one.
"""

from collections.abc import Mapping
from typing import cast

from exporter.model_memory.context import LARGE_CONTEXT_BYTES
from exporter.model_memory.runs import parts_of_run


def reckoned_bytes(spec: Mapping[str, object]) -> int:
    """Both runs' where another one is ``beside`` it; 0 where there is no arithmetic for it."""
    parts = parts_of_run(spec)
    own = parts.in_torch + LARGE_CONTEXT_BYTES if parts else 0
    beside = spec.get("beside")
    return own + (reckoned_bytes(cast("Mapping[str, object]", beside)) if beside else 0)
