"""Generating text with a GPT: the time to the first token, and the time for each further one up to the last position.

To the first token: from token numbers on the host to the chosen one on the host, the prompt processed at once. For the
others, too, each token is fetched before the next is begun, as one who streams an answer does. The most likely token is
taken; with random weights the text is nonsense, which costs the same.
"""
# pyright: basic, reportMissingImports=false

import hashlib
import itertools
import statistics
import time
from collections.abc import Iterator

import torch
from torch import nn

from .devices import Ground
from .gpt2 import SIZES, Cache
from .lines import Lines
from .memory import peaks, reset_peaks
from .spec import Spec
from .timing import Budget, Plan, Stopwatch, measure, p90

_AT_EACH_END = 64
_WARM_TOKENS = 16


class Writer:
    """One prompt and its continuation."""

    def __init__(self, model: nn.Module, spec: Spec, ground: Ground) -> None:
        self._model, self._spec, self._ground = model, spec, ground
        size = SIZES[spec.model]
        drawn = torch.Generator().manual_seed(spec.seed)
        self._prompt = torch.randint(size.vocabulary, (spec.batch, spec.prompt), generator=drawn)
        positions = spec.prompt + spec.new_tokens
        self._chosen = self._prompt
        self.cache = Cache(size, spec.batch, positions, ground.device, ground.working_dtype)

    def first_token(self) -> list[int]:
        """Process the prompt anew; the token chosen for each of the batch, on the host."""
        self.cache.length = 0
        return self._next(self._prompt.to(self._ground.device))

    def tokens(self, count: int) -> Iterator[list[int]]:
        """Generate ``count`` tokens for each of the batch."""
        yield self.first_token()
        for _ in range(count - 1):
            yield self._next(self._chosen)

    def _next(self, tokens: torch.Tensor) -> list[int]:
        with self._ground.autocast():
            self._chosen = self._model(tokens, self.cache, last_only=True).argmax(dim=-1)
        return self._chosen.flatten().tolist()


def generate(model: nn.Module, spec: Spec, ground: Ground, lines: Lines) -> dict[str, object]:
    """Measure one model; leaves everything in memory and stops at the barrier before it lets go."""
    plan = Plan(spec.iterations, spec.warmup_iterations, spec.warmup_seconds, spec.budget_seconds)
    model.eval()
    lines.phase("first token")
    with torch.inference_mode():
        writer = Writer(model, spec, ground)
        reset_peaks(ground)
        first = measure(writer.first_token, Stopwatch(ground.synchronise), plan)
        figures: dict[str, object] = dict(first.figures("first_token"))
        lines.phase("further tokens", count=spec.new_tokens)
        figures |= _whole_answer(writer, spec, ground)
        figures["kv_cache_bytes"] = writer.cache.tensor.numel() * writer.cache.tensor.element_size()
        memory = peaks(ground)
        lines.barrier(spec.hold_seconds, memory=memory)
    return figures | memory


def _whole_answer(writer: Writer, spec: Spec, ground: Ground) -> dict[str, object]:
    budget = Budget(spec.budget_seconds)
    for _ in writer.tokens(min(_WARM_TOKENS, spec.new_tokens)):
        if budget.spent:
            break
    ground.synchronise()
    at: list[float] = [time.perf_counter()]
    text: list[list[int]] = []
    for tokens in writer.tokens(spec.new_tokens):
        at.append(time.perf_counter())
        text.append(tokens)
        # A second token, too, however late it is: the time between two is what is asked for.
        if budget.spent and len(text) > 1:
            break
    gaps = [later - earlier for earlier, later in itertools.pairwise(at[1:])]
    return {
        "answer_first_token_seconds": at[1] - at[0],
        "answer_seconds": at[-1] - at[0],
        "answer_complete": len(text) == spec.new_tokens,
        "tokens": len(text),
        "batch": spec.batch,
        "checksum": hashlib.sha256(repr(text).encode()).hexdigest()[:16],
        **(_between(gaps) if gaps else {}),
    }


def _between(gaps: list[float]) -> dict[str, object]:
    """The mean is what is called time per output token; the ends show whether a longer text is slower."""
    found: dict[str, object] = {
        "per_token_seconds": statistics.fmean(gaps),
        "per_token_p50_seconds": statistics.median(gaps),
        "per_token_p90_seconds": p90(gaps),
    }
    if len(gaps) >= 2 * _AT_EACH_END:
        found["per_token_at_the_beginning_seconds"] = statistics.median(gaps[:_AT_EACH_END])
        found["per_token_at_the_end_seconds"] = statistics.median(gaps[-_AT_EACH_END:])
    return found
