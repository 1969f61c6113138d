"""Several conversations at once with one GPT in one process, as somebody's own server holds them: 1, 2, 4, 5, 8, 16.

``threads``   each conversation has a thread and, on a card, a CUDA stream of its own and heeds no other: what a plain
              web server makes of a model. The threads take turns at Python's lock and at the card.
``batched``   one step of the model makes a token for every conversation: what a server can do that gathers them.

In a round all ask at the same moment with prompts of the same length, and all answers have the same length: batching
has nothing to wait for or to pad, which is its best case. First tokens count from that moment. As many rounds are made
as it takes for ``iterations`` first tokens, or as the budget allows.
"""
# pyright: basic, reportMissingImports=false

import contextlib
import dataclasses
import itertools
import math
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

from .devices import Ground
from .generation import Writer
from .lines import Lines
from .memory import is_out_of_memory, peaks, release_unused, reset_peaks
from .spec import BATCHED, Spec
from .timing import Budget, p90

LADDER = (1, 2, 4, 5, 8, 16)
_WARM_TOKENS = 8
_MOST_SECONDS_TO_MEET = 60.0

Times = list[float]
"""When a conversation's tokens were there, from the moment of asking."""
Talk = Callable[[int], list[Times]]
"""Has every conversation take so many tokens, once; their times."""


def serve(model: nn.Module, spec: Spec, ground: Ground, lines: Lines) -> dict[str, object]:
    """Measure each number of conversations up to ``spec.streams``; stops at the barrier before it lets go.

    Where the memory is at an end, the numbers before hold: the run is ok and says where it ended.
    """
    model.eval()
    rungs: list[dict[str, float | int | None]] = []
    figures: dict[str, object] = {"serving": spec.serving, "rungs": rungs}
    with contextlib.ExitStack() as threads, torch.inference_mode():
        server = (_Batched if spec.serving == BATCHED else _InThreads)(model, spec, ground, threads)
        for streams in ladder(spec.streams):
            lines.phase("streams", count=streams)
            try:
                rungs.append(_rung(server, spec, ground, streams))
            except Exception as error:
                if not rungs or not is_out_of_memory(error):
                    raise
                figures["out_of_memory_at_streams"] = streams
                break
    figures["doubles_at_streams"] = doubles_at(rungs)
    memory = peaks(ground)
    lines.barrier(spec.hold_seconds, memory=memory)
    return figures | memory


def ladder(most: int) -> tuple[int, ...]:
    """The numbers of conversations up to ``most``, which is the last."""
    return (*(each for each in LADDER if each < most), most)


def doubles_at(rungs: Sequence[dict[str, float | int | None]]) -> int | None:
    """The least number of conversations at which a token takes twice as long as with the first number, or None.

    By the mean: a thread that holds Python's lock writes some tokens at full speed, and then none for a while.
    """
    for rung in rungs:
        if (rung["per_token_seconds"] or 0) >= 2 * (rungs[0]["per_token_seconds"] or math.inf):
            return int(rung["streams"] or 0)
    return None


def _rung(server: "_Batched | _InThreads", spec: Spec, ground: Ground, streams: int) -> dict[str, float | int | None]:
    release_unused(ground)
    reset_peaks(ground)
    budget = Budget(spec.budget_seconds)
    talk = server.seat(streams)
    talk(min(_WARM_TOKENS, spec.new_tokens))
    found: list[list[Times]] = []
    while len(found) * streams < spec.iterations and not (found and budget.spent):
        found.append(talk(spec.new_tokens))
    return {"streams": streams, "rounds": len(found), **summary(found), **peaks(ground)}


def summary(rounds: Sequence[Sequence[Times]]) -> dict[str, float | None]:
    """Figures of conversations, each as the times of its tokens, by round."""
    answers = [times for each in rounds for times in each]
    firsts = [times[0] for times in answers]
    gaps = [later - earlier for times in answers for earlier, later in itertools.pairwise(times)]
    seconds = sum(max(times[-1] for times in each) for each in rounds)
    return {
        "first_token_p50_seconds": statistics.median(firsts),
        "first_token_p90_seconds": p90(firsts),
        "per_token_seconds": statistics.fmean(gaps) if gaps else None,
        "per_token_p50_seconds": statistics.median(gaps) if gaps else None,
        "per_token_p90_seconds": p90(gaps),
        "answer_p50_seconds": statistics.median(times[-1] for times in answers),
        "tokens_per_second": sum(len(times) for times in answers) / seconds,
    }


class _Batched:
    """All in one step."""

    def __init__(self, model: nn.Module, spec: Spec, ground: Ground, _threads: contextlib.ExitStack) -> None:
        self._model, self._spec, self._ground = model, spec, ground

    def seat(self, streams: int) -> Talk:
        """Make room for so many."""
        writer = Writer(self._model, dataclasses.replace(self._spec, batch=streams), self._ground)

        def talk(count: int) -> list[Times]:
            self._ground.synchronise()
            asked = time.perf_counter()
            times = [time.perf_counter() - asked for _ in writer.tokens(count)]
            return [times] * streams

        return talk


class _InThreads:
    """Each in a thread and on a stream that are its own to the end.

    torch keeps memory for matrix products for every pair of a thread and a stream that it ever saw: with threads that
    change their streams, sixteen conversations would seem to need it 256 times.
    """

    def __init__(self, model: nn.Module, spec: Spec, ground: Ground, threads: contextlib.ExitStack) -> None:
        self._model, self._spec, self._ground, self._threads = model, spec, ground, threads
        self._lanes: list[tuple[ThreadPoolExecutor, torch.cuda.Stream | None]] = []

    def seat(self, streams: int) -> Talk:
        """Make room for so many, all before the first of them begins: what does not fit is told by one clear error."""
        own = [dataclasses.replace(self._spec, batch=1, seed=self._spec.seed + number) for number in range(streams)]
        writers = [Writer(self._model, each, self._ground) for each in own]
        while len(self._lanes) < streams:
            stream = torch.cuda.Stream(self._ground.device) if self._ground.cuda else None
            self._lanes.append((self._threads.enter_context(ThreadPoolExecutor(1)), stream))

        def talk(count: int) -> list[Times]:
            # What was made or written on another stream must be there.
            self._ground.synchronise()
            asked: list[float] = []
            meeting = threading.Barrier(streams, lambda: asked.append(time.perf_counter()))
            pairs = zip(writers, self._lanes[:streams], strict=True)
            begun = [thread.submit(_converse, writer, lane, meeting, count) for writer, (thread, lane) in pairs]
            return [[at - asked[0] for at in each.result()] for each in begun]

        return talk


def _converse(writer: Writer, lane: "torch.cuda.Stream | None", meeting: threading.Barrier, count: int) -> Times:
    """What a thread does; torch's modes and its current stream are a thread's own."""
    with torch.inference_mode(), contextlib.nullcontext() if lane is None else torch.cuda.stream(lane):
        meeting.wait(_MOST_SECONDS_TO_MEET)
        return [time.perf_counter() for _ in writer.tokens(count)]
