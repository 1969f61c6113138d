"""The CUDA context: what a process takes of a card before its first tensor is there. Bytes.

It is larger where a card has more multiprocessors and where more libraries are loaded: on an H200 622 to
686 MiB when answering and 630 to 760 when training were measured; from consumer cards 300 to 500 MiB are reported.
"""

from exporter.model_memory.answering import MIB

CONTEXT_BYTES, LARGE_CONTEXT_BYTES = 500 * MIB, 760 * MIB
_LARGE_CARD_BYTES = 30 * 1024 * MIB


def context_bytes(total_bytes: float) -> int:
    """What is assumed on a card of this size."""
    return LARGE_CONTEXT_BYTES if total_bytes >= _LARGE_CARD_BYTES else CONTEXT_BYTES
