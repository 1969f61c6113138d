"""What sampling costs a card that works: GPT-2-shaped decoding alone and beside the exporter, in turn, in one run.

``python -m tests.perf.decode_beside_sampling [--rounds 5] [--tokens 400]`` on a machine with an NVIDIA card and torch.
Each round decodes without an exporter, then beside one that samples once a second, then ten times a second; the order
turns with the rounds. The figure is the median over the rounds of the time per token, as a ratio to the one without.
"""

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.running import Running

_WIDTH, _LAYERS, _HEADS, _VOCABULARY, _CONTEXT = 768, 12, 12, 50_257, 512
INTERVALS = (None, "1s", "100ms")


def decoder(torch):
    """A GPT-2-small-shaped stack with random weights and its cache, as a function of one token."""
    nn = torch.nn
    device, kind = "cuda", torch.float16
    embed = nn.Embedding(_VOCABULARY, _WIDTH, device=device, dtype=kind)
    layers = [
        {
            "norm": nn.LayerNorm(_WIDTH, device=device, dtype=kind),
            "qkv": nn.Linear(_WIDTH, 3 * _WIDTH, device=device, dtype=kind),
            "out": nn.Linear(_WIDTH, _WIDTH, device=device, dtype=kind),
            "up": nn.Linear(_WIDTH, 4 * _WIDTH, device=device, dtype=kind),
            "down": nn.Linear(4 * _WIDTH, _WIDTH, device=device, dtype=kind),
        }
        for _ in range(_LAYERS)
    ]
    shape = (_LAYERS, 2, 1, _HEADS, _CONTEXT, _WIDTH // _HEADS)
    cache = torch.zeros(shape, device=device, dtype=kind)

    def step(token, position):
        hidden = embed(token)
        for number, layer in enumerate(layers):
            parts = layer["qkv"](layer["norm"](hidden)).view(1, 3, _HEADS, 1, -1)
            cache[number, :, :, :, position : position + 1] = parts[:, 1:].transpose(0, 1)
            keys, values = cache[number, :, :, :, : position + 1]
            seen = nn.functional.scaled_dot_product_attention(parts[:, 0], keys, values)
            hidden = hidden + layer["out"](seen.reshape(1, _WIDTH))
            hidden = hidden + layer["down"](nn.functional.gelu(layer["up"](hidden)))
        return (hidden @ embed.weight.T).argmax(-1)

    return step


def seconds_per_token(torch, step, tokens: int) -> float:
    """Decode ``tokens`` tokens one after the other."""
    token = torch.zeros(1, dtype=torch.long, device="cuda")
    with torch.inference_mode():
        torch.cuda.synchronize()
        began = time.perf_counter()
        for number in range(tokens):
            token = step(token, number % _CONTEXT)
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / tokens


@contextlib.contextmanager
def sampling(interval: str | None) -> Iterator[None]:
    """An exporter that reads the card at this interval, or none."""
    if interval is None:
        yield
        return
    with (
        tempfile.TemporaryDirectory(prefix="gpuwarden-perf-") as home,
        Running("exporter", "--listen", "127.0.0.1:0", "--interval", interval, home=Path(home)) as exporter,
    ):
        exporter.wait_for(r"listening on")
        time.sleep(1)
        yield


def main() -> int:
    """Measure and print a Markdown table; 0 also where there is nothing to measure on, which is said."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=400)
    arguments = parser.parse_args()
    try:
        import torch
    except ImportError:
        print("nothing measured: torch is not installed")
        return 0
    if not torch.cuda.is_available():
        print("nothing measured: torch sees no NVIDIA card here")
        return 0
    step = decoder(torch)
    seconds_per_token(torch, step, arguments.tokens)
    found: dict[str | None, list[float]] = {interval: [] for interval in INTERVALS}
    for number in range(arguments.rounds):
        for interval in INTERVALS[number % 3 :] + INTERVALS[: number % 3]:
            with sampling(interval):
                found[interval].append(seconds_per_token(torch, step, arguments.tokens))
            print(f"round {number + 1} of {arguments.rounds}: sampling {interval or 'not'}", file=sys.stderr)
    alone = statistics.median(found[None])
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {arguments.tokens} tokens a round\n")
    print("| sampling | per token, median | ratio |\n| --- | --- | --- |")
    for interval, times in found.items():
        median = statistics.median(times)
        print(f"| {interval or 'none'} | {median * 1000:.3f} ms | {median / alone:.3f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
