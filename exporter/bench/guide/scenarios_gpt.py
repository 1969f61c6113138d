"""The guide's scenarios with GPTs: a whole answer, conversations at once, a smaller model, a CNN on the same card."""

from collections.abc import Mapping
from typing import Any

from exporter.bench.claim import MIB, Claim, Figures, Reference, Results, Run, held_bytes, in_words
from exporter.bench.guide.runs import ANSWERS
from exporter.bench.running import together

_SECONDS = 5.0
_MOST_TOKENS = 1024 - 32
_ANSWER: Mapping[str, object] = {"run": "generate", "model": "biogpt", "prompt": 32, "new_tokens": 64}

BIOGPT = Run(
    "biogpt fp16 32+64",
    {**_ANSWER, "precision": "fp16", "run_seconds": _SECONDS},
    on_cpu=Run(
        "biogpt fp32 32+64 on the CPU",
        {**_ANSWER, "precision": "fp32", "iterations": 8, "budget_seconds": 20.0},
        where="cpu",
    ),
)

STREAMS = {
    (model, serving): Run(
        f"{model} fp16, 1 to 16 conversations, {serving}",
        {
            "run": "serve",
            "model": model,
            "precision": "fp16",
            "prompt": 64,
            "new_tokens": 64,
            "serving": serving,
            "budget_seconds": 3.0,
        },
        tiny={"streams": 5},
    )
    for model in ("dialogpt-medium", "dialogpt-small")
    for serving in ("threads", "batched")
}
"""Each up to sixteen conversations."""

_CHAT: Mapping[str, object] = {"run": "generate", "model": "gpt2-small", "precision": "fp16", "prompt": 32}
_CNN: Mapping[str, object] = {"model": "resnet50", "stem": "imagenet", "batch": 32, "precision": "amp"}

ALONE = {
    "chat": Run(
        f"gpt2-small fp16 for {_SECONDS:g} s",
        {**_CHAT, "run_seconds": _SECONDS},
    ),
    **{
        name: Run(
            f"resnet50 {name}, batch 32, amp for {_SECONDS:g} s",
            {**_CNN, "run": kind, "run_seconds": _SECONDS},
        )
        for name, kind in (("inference", "infer"), ("training", "train"))
    },
}
BESIDE = {
    name: Run(
        f"resnet50 {name}, batch 32, amp beside gpt2-small fp16 for {_SECONDS:g} s",
        {**ALONE[name].spec, together.BESIDE: ALONE["chat"].spec},
    )
    for name in ("inference", "training")
}


def _tokens_within(figures: Figures, seconds: float) -> int:
    """Of an answer, as far as there are positions."""
    left = seconds - figures["first_token_p50_seconds"]
    return min(max(0, 1 + int(left / figures["per_token_seconds"])), _MOST_TOKENS)


def _rung(figures: Figures, streams: int) -> Mapping[str, Any]:
    """The figures of so many conversations.

    Raises:
        LookupError: there are none of that number.
    """
    return {rung["streams"]: rung for rung in figures["rungs"]}[streams]


def _streams_in_words(found: Results) -> str:
    rungs = found["served"]["rungs"]
    told = [rung for rung in rungs if rung["streams"] in {1, 5, 16}]
    tokens = ", ".join(f"{rung['tokens_per_second']:.0f} with {rung['streams']}" for rung in told)
    doubles = found["served"]["doubles_at_streams"]
    slower = f"twice the time for a token from {doubles} on" if doubles else "never twice the time for a token"
    first = in_words(_rung(found["served"], 5)["first_token_p50_seconds"])
    return f"first token {first}; tokens/s in all: {tokens}; {slower}"


def _streams(serving: str, how: str, note: str) -> Claim:
    return Claim(
        id=f"dialogpt-5-{serving}",
        says=f"A DialoGPT holds 5 conversations at once ({how})",
        reference=Reference("100 ms a token", 0.1),
        unit="seconds",
        runs={"served": STREAMS["dialogpt-medium", serving]},
        value=lambda found: _rung(found["served"], 5)["per_token_seconds"],
        detail=_streams_in_words,
        how="mean time for a further token of each of 5, DialoGPT medium in fp16, 64 tokens after a prompt of 64",
        note=f"Undefined: at what pace? Taken here: ten tokens a second, twice as fast as people read. {note}",
    )


def _smaller(large: str, small: str, note: str) -> Claim:
    larger, smaller = (size.removeprefix("gpt2-") for size in (large, small))
    return Claim(
        id=f"distillation-{larger}-{smaller}",
        says=f"GPT-2 {smaller} in place of {larger}, as by distillation, answers four times as fast",
        reference=Reference("4 x", 4.0, "at least"),
        unit="times",
        runs={"large": ANSWERS[large, "fp16"], "small": ANSWERS[small, "fp16"]},
        value=lambda found: found["large"]["answer_seconds"] / found["small"]["answer_seconds"],
        detail=lambda found: (
            f"{in_words(found['large']['answer_seconds'])} -> {in_words(found['small']['answer_seconds'])}; "
            f"memory {held_bytes(found['large']) / MIB:.0f} -> {held_bytes(found['small']) / MIB:.0f} MiB, "
            f"{held_bytes(found['large']) / held_bytes(found['small']):.1f} x"
        ),
        how="a whole answer of 992 tokens, fp16, batch 1, one model against the other",
        note=f"Undefined: which model is distilled into which? {note}",
    )


def _kept_in_words(found: Results) -> str:
    both = found["both"]
    cnn, gpt = together.kept(found["cnn"], both), together.kept(found["gpt"], both[together.BESIDE])
    paces = [together.rate(each) for each in (found["cnn"], both, found["gpt"], both[together.BESIDE])]
    images, tokens = (f"{before:.0f} -> {after:.0f}" for before, after in (paces[:2], paces[2:]))
    return f"{images} images/s, {tokens} tokens/s; together {(cnn + gpt) * 100:.0f} % of what each does alone"


def _kept(name: str, *, gpt: bool) -> Claim:
    who, other = ("a GPT", f"a CNN in {name}") if gpt else (f"a CNN in {name}", "a GPT")

    def share(found: Results) -> float:
        both = found["both"]
        return together.kept(found["gpt"], both[together.BESIDE]) if gpt else together.kept(found["cnn"], both)

    return Claim(
        id=f"together-{name}-{'gpt' if gpt else 'cnn'}",
        says=f"On one card, {who} keeps half of its pace beside {other}",
        reference=Reference("50 %", 0.5, "at least"),
        unit="share",
        runs={"cnn": ALONE[name], "gpt": ALONE["chat"], "both": BESIDE[name]},
        value=share,
        detail=_kept_in_words,
        how=f"ResNet-50 {name} at batch 32, amp, and GPT-2 small in fp16, a process each: either alone for "
        f"{_SECONDS:g} s, then both, from one moment on",
        note="The guide gives no figure: half is what taking turns leaves each of two that never pause. A GPT that "
        "writes one token after the other pauses often, a CNN with large batches hardly: they do not lose alike.",
    )


GPT_SCENARIOS = (
    Claim(
        id="biogpt-answer",
        says="A BioGPT answers in less than 800 ms",
        reference=Reference("800 ms", 0.8),
        unit="seconds",
        runs={"answer": BIOGPT},
        value=lambda found: found["answer"]["answer_p50_seconds"],
        detail=lambda found: (
            f"{in_words(found['answer']['per_token_seconds'])} a token; in 800 ms "
            f"{_tokens_within(found['answer'], 0.8)} tokens"
        ),
        how="a prompt of 32 and all 64 tokens of the answer, fp16, batch 1: the median of what is written in 5 s",
        note="Undefined: how long is an answer? Taken here: 64 tokens, two or three sentences. The detail says how "
        "many would be done in time.",
    ),
    _streams(
        "threads",
        "a thread and a CUDA stream each",
        "Threads take turns at Python's lock, so a card that one conversation leaves idle most of the time is no help.",
    ),
    _streams("batched", "all in one step", "All begin together and are equally long, which is batching's best case."),
    _smaller(
        "gpt2-large",
        "gpt2-medium",
        "Large has 2.2 times medium's parameters and 1.5 times its layers; at batch 1 a fast card waits for layers.",
    ),
    _smaller(
        "gpt2-medium",
        "gpt2-small",
        "Medium has 2.9 times small's parameters and twice its layers; at batch 1 a fast card waits for layers.",
    ),
    *(_kept(name, gpt=gpt) for name in ("inference", "training") for gpt in (False, True)),
)
GPT_SPARE = tuple(run for (model, _), run in STREAMS.items() if model == "dialogpt-small")
