"""How much memory a run takes at most, known before it starts. Bytes.

The arithmetic is exporter/model_memory's, with the CUDA context of a card of that size; what torch takes on the
processor before the first tensor is there is about what a small card's context is. On top of that comes what must stay
free for everybody else, a margin by the size of the card. tests/unit/test_probe_needs.py holds that nothing was seen to
take more on an H200 than is said here, without that margin.
"""

from collections.abc import Mapping
from dataclasses import replace

from exporter.model_memory.answering import Parts
from exporter.model_memory.context import context_bytes
from exporter.model_memory.runs import parts_of_run


def needs(asked: Mapping[str, object], card_bytes: float = 0.0) -> Parts:
    """What a run, in the words of exporter/workload/spec.py, takes at most; 0 is for the processor.

    Raises:
        LookupError: nothing is known of such a run. There is no such among those that can be probed.
    """
    parts = parts_of_run(asked)
    if parts is None:
        message = f"nobody knows what {asked.get('run')} of {asked.get('model')} takes"
        raise LookupError(message)
    return replace(parts, context=context_bytes(card_bytes))
