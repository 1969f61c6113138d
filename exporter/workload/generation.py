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
from dataclasses import dataclass

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
        figures |= _answers(writer, spec, ground, lines)
        figures["kv_cache_bytes"] = writer.cache.tensor.numel() * writer.cache.tensor.element_size()
        memory = peaks(ground)
        lines.barrier(spec.hold_seconds, memory=memory)
    return figures | memory


def _answers(writer: Writer, spec: Spec, ground: Ground, lines: Lines) -> dict[str, object]:
    """One answer; with ``run_seconds`` one after the other until these are over, the last cut off."""
    budget = Budget(spec.budget_seconds)
    for _ in writer.tokens(min(_WARM_TOKENS, spec.new_tokens)):
        if budget.spent:
            break
    lines.ready(spec.ready_seconds)
    ground.synchronise()
    until = Budget(spec.run_seconds) if spec.run_seconds else budget
    answers = [_answer(writer, spec, until)]
    while spec.run_seconds and not until.spent:
        answers.append(_answer(writer, spec, until))
    first, tokens = answers[0], sum(len(each.text) for each in answers)
    whole = [each.seconds for each in answers if len(each.text) == spec.new_tokens]
    return {
        "answer_first_token_seconds": first.at[1] - first.at[0],
        "answer_seconds": first.seconds,
        "answer_p50_seconds": statistics.median(whole) if whole else None,
        "answer_complete": len(first.text) == spec.new_tokens,
        "answers": len(answers),
        "tokens": tokens,
        "tokens_per_second": spec.batch * tokens / sum(each.seconds for each in answers),
        "batch": spec.batch,
        "checksum": hashlib.sha256(repr(first.text).encode()).hexdigest()[:16],
        **_between([gap for each in answers for gap in each.gaps]),
        **_at_both_ends(first.gaps),
    }


@dataclass(frozen=True)
class _Answer:
    """What was written; ``at`` has the moment before, then one for each token."""

    at: list[float]
    text: list[list[int]]

    @property
    def seconds(self) -> float:
        """From the asking to the last token."""
        return self.at[-1] - self.at[0]

    @property
    def gaps(self) -> list[float]:
        """Seconds between a token and the next."""
        return [later - earlier for earlier, later in itertools.pairwise(self.at[1:])]


def _answer(writer: Writer, spec: Spec, until: Budget) -> _Answer:
    answer = _Answer([time.perf_counter()], [])
    for tokens in writer.tokens(spec.new_tokens):
        answer.at.append(time.perf_counter())
        answer.text.append(tokens)
        # A second token, too, however late it is: the time between two is what is asked for.
        if until.spent and len(answer.text) > 1:
            break
    return answer


def _between(gaps: list[float]) -> dict[str, object]:
    """The mean is what is called time per output token."""
    if not gaps:
        return {}
    return {
        "per_token_seconds": statistics.fmean(gaps),
        "per_token_p50_seconds": statistics.median(gaps),
        "per_token_p90_seconds": p90(gaps),
    }


def _at_both_ends(gaps: list[float]) -> dict[str, object]:
    """Whether a longer text is slower."""
    if len(gaps) < 2 * _AT_EACH_END:
        return {}
    return {
        "per_token_at_the_beginning_seconds": statistics.median(gaps[:_AT_EACH_END]),
        "per_token_at_the_end_seconds": statistics.median(gaps[-_AT_EACH_END:]),
    }
