"""How much must be left over: for a desktop, for a second program, or for an estimate that is a little low."""

from exporter.model_memory.answering import MIB

LEAST_BYTES, SHARE = 512 * MIB, 0.1


def margin(size_bytes: float) -> float:
    """Half a GiB or a tenth of this size, whichever is more; bytes."""
    return max(LEAST_BYTES, SHARE * size_bytes)
