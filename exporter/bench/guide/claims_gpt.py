"""What the guide claims of GPTs."""

from exporter.bench.claim import GB, MIB, Claim, Figures, Reference, Results, held_bytes, in_words, tensors_bytes
from exporter.bench.guide.runs import ANSWERS, ATTENTIONS, CHECKPOINTING, KV_HALF, ON_THE_CPU, SIZES

_CLAIMED_GB = (2.3, 6.8, 15.2, 30.0)
_TRAINING_GB = (1.99, 5.68, 12.38, 24.92)
"""16 bytes for each parameter: weights, gradients and AdamW's two moments in fp32."""
_HALF_WEIGHTS_MIB = (237, 677, 1476, 2971)


def _first_token(figures: Figures) -> float:
    """The 90th percentile, or the median where there were too few for one."""
    p90 = figures.get("first_token_p90_seconds")
    return figures["first_token_p50_seconds"] if p90 is None else p90


def _first_token_words(figures: Figures) -> str:
    keys = ("first_token_p50_seconds", "first_token_cold_seconds", "per_token_seconds")
    median, cold, then = (in_words(figures[key]) for key in keys)
    which = "median of few" if figures.get("first_token_p90_seconds") is None else f"p90; p50 {median}"
    return f"{which}, cold {cold}, then {then} a token"


def _kv_share(figures: Figures) -> float:
    return figures["kv_cache_bytes"] / (figures["kv_cache_bytes"] + figures["weights_bytes"])


def _kv_words(found: Results) -> str:
    figures = found["answer"]
    cache, weights = figures["kv_cache_bytes"] / MIB, figures["weights_bytes"] / MIB
    return f"{cache:.0f} MiB beside weights of {weights:.0f} MiB"


def _tensors_change(found: Results, before: str, after: str) -> float:
    return tensors_bytes(found[after]) / tensors_bytes(found[before]) - 1


def _from_to(found: Results, before: str, after: str) -> str:
    return f"{tensors_bytes(found[before]) / MIB:.0f} -> {tensors_bytes(found[after]) / MIB:.0f} MiB"


def _kept(figures: Figures) -> float:
    """What is no activation: the weights and the cache."""
    return figures["weights_bytes"] + figures["kv_cache_bytes"]


def _activations_change(found: Results) -> str:
    plain, chunked = (tensors_bytes(found[key]) - _kept(found[key]) for key in ("plain", "chunked"))
    return f"{_from_to(found, 'plain', 'chunked')}; without weights and cache {(chunked / plain - 1) * 100:+.0f} %"


_MEDIUM = {f"medium {key}": CHECKPOINTING["gpt2-medium", "fp32", key == "on"] for key in ("off", "on")}


def _checkpointed_memory(found: Results) -> str:
    medium = f"; medium {_from_to(found, 'medium off', 'medium on')}" if _MEDIUM.keys() <= found.keys() else ""
    return f"{_from_to(found, 'off', 'on')}{medium}"


def _checkpointed_time(found: Results) -> str:
    pairs = [("off", "on"), tuple(_MEDIUM)] if _MEDIUM.keys() <= found.keys() else [("off", "on")]
    steps = [" -> ".join(in_words(found[key]["step_seconds"]) for key in pair) for pair in pairs]
    return "; medium ".join([f"{steps[0]} a step", *steps[1:]])


def _int8_words(figures: Figures) -> str:
    before, after = figures["weights_before_bytes"] / MIB, figures["weights_bytes"] / MIB
    linear = figures["linear_weights_bytes"] / figures["linear_weights_before_bytes"]
    return f"{before:.0f} -> {after:.0f} MiB; its linear layers {linear * 100:.0f} %"


def _needs(size: str, claimed: float, training: float, weights: int) -> Claim:
    return Claim(
        id=f"{size}-memory",
        says=f"{size.replace('gpt2-', 'GPT-2 ')} needs {claimed:g} GB in half precision",
        reference=Reference(f"{claimed:g} GB", claimed * GB, "about"),
        unit="bytes",
        runs={"answer": ANSWERS[size, "fp16"]},
        value=lambda found: held_bytes(found["answer"]),
        detail=lambda found: (
            f"weights {found['answer']['weights_bytes'] / MIB:.0f} MiB, "
            f"tensors {tensors_bytes(found['answer']) / MIB:.0f} MiB"
        ),
        how="memory of the process at the last of 1,024 positions, batch 1; met within a quarter more or less",
        note=f"Wrong: the weights are {weights} MiB. To come near {claimed:g} GB, train it: weights, gradients "
        f"and AdamW's state in fp32 are {training:g} GB, before activations.",
    )


GPT_CLAIMS = (
    Claim(
        id="gpt2-first-token",
        says="GPT-2 small gives its first token in less than 500 ms while generating 1,024",
        reference=Reference("500 ms", 0.5),
        unit="seconds",
        card="RTX 2060",
        runs={"answer": ANSWERS["gpt2-small", "fp16"]},
        value=lambda found: _first_token(found["answer"]),
        detail=lambda found: _first_token_words(found["answer"]),
        how="prompt of 32 on the host to the chosen token on the host, p90 of 64 in fp16; 992 tokens follow",
        note="There are 1,024 positions, prompt included: 32 + 992. What follows does not change the first token.",
    ),
    *(_needs(*each) for each in zip(SIZES, _CLAIMED_GB, _TRAINING_GB, _HALF_WEIGHTS_MIB, strict=True)),
    Claim(
        id="checkpointing-memory",
        says="Gradient checkpointing brings 4.5 GB down to 2.1 GB",
        reference=Reference("-53 %", -0.53),
        unit="change",
        runs={key: CHECKPOINTING["gpt2-small", "fp32", key == "on"] for key in ("off", "on")},
        value=lambda found: _tensors_change(found, "off", "on"),
        besides=_MEDIUM,
        detail=_checkpointed_memory,
        how="GPT-2 small in training at 4 x 512, fp32, AdamW: the most that torch gave out for tensors",
        note="The guide names no model, batch or sequence; this one comes near 4.5 GB. Weights, gradients and AdamW's "
        "state, 1.99 GB, stay whatever is checkpointed, and so do the logits.",
    ),
    Claim(
        id="checkpointing-time",
        says="Gradient checkpointing costs 20 % more time",
        reference=Reference("+20 %", 0.20),
        unit="change",
        runs={key: CHECKPOINTING["gpt2-small", "fp32", key == "on"] for key in ("off", "on")},
        value=lambda found: found["on"]["step_seconds"] / found["off"]["step_seconds"] - 1,
        besides=_MEDIUM,
        detail=_checkpointed_time,
        how="the same runs; met at 20 % or less",
        note="A second forward pass adds a third to a step's arithmetic, less the head, which is not computed again: "
        "about a quarter of what a step takes.",
    ),
    Claim(
        id="int8-size",
        says="INT8 makes a model a quarter of its size",
        reference=Reference("25 %", 0.25, "about"),
        unit="share",
        runs={"int8": ON_THE_CPU["int8_dynamic"]},
        value=lambda found: found["int8"]["weights_bytes"] / found["int8"]["weights_before_bytes"],
        detail=lambda found: _int8_words(found["int8"]),
        how="GPT-2 small's weights after dynamic quantization of its linear layers, on the CPU, against fp32",
        note="The embeddings stay fp32; the head, which shares the token embedding's weight, gets an INT8 copy.",
        of_a_card=False,
    ),
    Claim(
        id="int8-speed",
        says="INT8 is three times as fast",
        reference=Reference("3 x", 3.0, "at least"),
        unit="times",
        runs={"fp32": ON_THE_CPU["fp32"], "int8": ON_THE_CPU["int8_dynamic"]},
        value=lambda found: found["fp32"]["per_token_seconds"] / found["int8"]["per_token_seconds"],
        detail=lambda found: (
            f"{in_words(found['fp32']['per_token_seconds'])} -> {in_words(found['int8']['per_token_seconds'])} a token"
        ),
        how="time per further token of GPT-2 small on the CPU, fp32 against INT8",
        note="torch's dynamic quantization exists on the CPU only, and is announced to end.",
        of_a_card=False,
    ),
    Claim(
        id="kv-cache",
        says="The KV cache takes over half of the memory",
        reference=Reference("50 %", 0.5, "at least"),
        unit="share",
        runs={"answer": ANSWERS["gpt2-small", "fp16"]},
        value=lambda found: _kv_share(found["answer"]),
        detail=_kv_words,
        how="cache / (cache + weights) of GPT-2 small at 1,024 positions and batch 1",
        note="Wrong at batch 1 for every size of GPT-2: 13 % for small, 9 % for XL, whatever the precision.",
        of_a_card=False,
    ),
    Claim(
        id="kv-cache-batch-8",
        says="The KV cache takes over half of the memory (batch 8)",
        reference=Reference("50 %", 0.5, "at least"),
        unit="share",
        runs={"answer": KV_HALF},
        value=lambda found: _kv_share(found["answer"]),
        detail=_kv_words,
        how="the same with eight answers at once",
        note="By arithmetic it is half from 7 answers at once for small, and from 10 for XL. Of all that the process "
        "holds, CUDA context included, it is less.",
        of_a_card=False,
    ),
    Claim(
        id="chunked-attention",
        says="Attention in chunks needs 40 % less memory",
        reference=Reference("-40 %", -0.40),
        unit="change",
        runs={key: ATTENTIONS[key] for key in ("plain", "chunked")},
        value=lambda found: _tensors_change(found, "plain", "chunked"),
        detail=_activations_change,
        how="GPT-2 small, eight prompts of 992, fp16: the most that torch gave out, the plain formula or chunks of 128",
        note="Undefined without model, batch and sequence. torch's fused attention, the default, needs no more than "
        "the chunks and is faster.",
    ),
    Claim(
        id="cpu-decoding-time",
        says="Decoding on the CPU costs 15 ms more",
        reference=Reference("+15 ms", 0.015),
        unit="more seconds",
        runs={"cpu": ON_THE_CPU["fp32"], "card": ANSWERS["gpt2-small", "fp32"]},
        value=lambda found: found["cpu"]["per_token_seconds"] - found["card"]["per_token_seconds"],
        detail=lambda found: (
            f"a token: card {in_words(found['card']['per_token_seconds'])}, "
            f"CPU {in_words(found['cpu']['per_token_seconds'])}"
        ),
        how="time per further token of GPT-2 small in fp32, the whole model on the CPU against the card",
        note="Undefined: what is moved? Taken here: all of a GPT's decoding. It may also mean that the host and not "
        "the card decodes a CNN's JPEG files, which is not measured.",
        comparable=False,
    ),
    Claim(
        id="cpu-decoding-memory",
        says="Decoding on the CPU needs 40 % less memory",
        reference=Reference("-40 %", -0.40),
        unit="change",
        runs={"cpu": ON_THE_CPU["fp32"], "card": ANSWERS["gpt2-small", "fp32"]},
        value=lambda found: -held_bytes(found["card"]) / held_bytes(found["card"]),
        detail=lambda found: (
            f"card {held_bytes(found['card']) / MIB:.0f} MiB less, host "
            f"{found['cpu']['process_resident_peak_bytes'] / MIB:.0f} MiB more"
        ),
        how="card memory of the same two runs",
        note="Undefined, as above: a model that is moved whole leaves nothing on the card.",
        comparable=False,
    ),
)
