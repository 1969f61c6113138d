"""How a result is said: the same words in the terminal's table and in Markdown. Pure, over the JSON document."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from exporter.bench.running.card import SETTLED_BYTES
from exporter.latency import reasons as of_the_probe
from gpuwarden.units import format_value

Document = Mapping[str, Any]

_VALUES: Mapping[str, Callable[[float], str]] = {
    "seconds": lambda value: format_value(value, "seconds"),
    "more seconds": lambda value: f"{'+' if value >= 0 else ''}{format_value(value, 'seconds')}",
    "bytes": lambda value: f"{value / 1e9:.2f} GB",
    "change": lambda value: f"{value * 100:+.0f} %",
    "share": lambda value: format_value(value, "ratio"),
    "times": lambda value: f"{value:.1f} x",
    "per second": lambda value: f"{value:.1f} /s",
}

_VERDICTS = {
    "met": "met",
    "not met": "not met",
    "other": "other (there is a figure, and comparing it would mislead)",
    "not measured": "not measured",
}

REASONS: Mapping[str, str] = {
    "tiny": "a stand-in was run, not the model",
    "cpu": "measured on the processor; the reference is a card's",
    "undefined": "the reference does not say what it means; what was taken is in the note",
    "contended": "others were at the card, and it might have been met without them",
    "less": "it is less than what was claimed",
    "more": "it is more than what was claimed",
    "no_figure": "the run ended well and lacks a figure",
    "no_card": "makes sense on a card only",
    "vram": "the card has too little free memory",
    "no_time": "too little time was left for it",
    "stopped": "stopped by Ctrl-C",
    "not_run": "its turn did not come",
    "out_of_memory": "the memory was too small",
    "deadline": "it took too long and was ended",
    of_the_probe.NOT_BEGUN: of_the_probe.WORDS[of_the_probe.NOT_BEGUN],
    "crashed": "the process crashed",
    "no_result": "the process ended without a result",
    "not_together": "one of the two had no other beside it for nine tenths of its time",
    "no_interpreter": "the interpreter cannot be started",
    "no_torch": "the interpreter has no torch",
    "no_cuda": "torch sees no usable card",
    "wrong_cuda": "this torch was not built for this card or driver",
    "no_int8": "this torch cannot quantize here",
    "no_onnxruntime": "ONNX Runtime, or what torch's exporter needs, is not there or does not work here",
    "no_data": "the folder has no CIFAR-10",
    "bad_spec": "the run makes no sense to this workload",
    "not_ended": "an earlier process cannot be ended and holds the card",
    "flooded": "the process wrote without end",
}
"""What a reason means."""


def shown(value: float | None, unit: str) -> str:
    """A claim's value."""
    return "-" if value is None else _VALUES[unit](value)


def reference(claim: Document) -> str:
    """What is claimed, and of which card."""
    card = f" ({claim['reference_card']})" if claim["reference_card"] else ""
    return f"{claim['reference']}{card}"


def verdict(claim: Document) -> str:
    """The verdict with its reason."""
    return f"{claim['verdict']}: {claim['reason']}" if claim["reason"] else claim["verdict"]


def heading(document: Document) -> str:
    """Which card and which versions."""
    card, host = document["card"], document["host"]
    words = [
        f"card {card['name']}" if card.get("name") else "no card",
        f"{format_value(card['memory_total_bytes'], 'bytes')} memory" if card.get("memory_total_bytes") else "",
        f"driver {card['driver_version']}" if card.get("driver_version") else "",
        *(f"{key} {host[key]}" for key in ("torch", "cuda", "cudnn", "python") if host.get(key)),
        f"{host['cpus']} processors" if host.get("cpus") else "",
    ]
    return ", ".join(word for word in words if word)


def summary(document: Document) -> str:
    """How many claims have which verdict."""
    claims = document["claims"]
    counts = {word: sum(claim["verdict"] == word for claim in claims) for word in _VERDICTS}
    told = ", ".join(f"{count} {_VERDICTS[word]}" for word, count in counts.items() if count)
    return f"{len(claims)} claim{'' if len(claims) == 1 else 's'}: {told}" if claims else "no claim"


def reasons(document: Document) -> list[str]:
    """Each reason that occurs, with what it means."""
    found = {claim["reason"]: None for claim in document["claims"] if claim["reason"]}
    return [f"{reason}: {REASONS[reason]}" for reason in found if reason in REASONS]


def failures(document: Document) -> list[str]:
    """Each run that was tried and came to no result, or could not be tried, with the words about it."""
    silent = {"", "no_card", "not_run", "no_time", "stopped"}
    found: dict[str, list[str]] = {}
    for run in document["runs"]:
        if run["outcome"] != "ok" and run["reason"] not in silent:
            found.setdefault(f"{run['reason']}: {run['detail']}".strip(": "), []).append(run["name"])
    return [f"{', '.join(names) if len(names) < 4 else f'{len(names)} runs'}: {text}" for text, names in found.items()]  # noqa: PLR2004 -- more would hide the words


def remarks(document: Document) -> list[str]:
    """What one must know of how it was measured: others at the card, its clock held back, memory that stayed away."""
    found: list[str] = []
    runs = document["runs"]
    if any(run["tiny"] for run in runs):
        found.append("Stand-ins were run (--tiny): no figure here means anything.")
    contended = [run for run in runs if run["contended"]]
    if contended:
        who = sorted({name for run in contended for name in run["contended"]})
        made = [run for run in runs if run["outcome"] != "not run"]
        found.append(f"Others were at the card in {len(contended)} of {len(made)} runs: {', '.join(who[:5])}.")
    throttled = sorted({reason for run in runs for reason in run["card"].get("barrier", {}).get("throttled", ())})
    if throttled:
        found.append(f"The card held its clock back: {', '.join(throttled)}.")
    if text := _memory_after(runs):
        found.append(text)
    return found


def _memory_after(runs: Sequence[Document]) -> str:
    """Whether the card's memory came back, empty where nobody knows."""
    known = [run for run in runs if "used_bytes" in run["card"].get("before", {}) and "after" in run["card"]]
    if not known:
        return ""
    late = [run["name"] for run in known if _left_bytes(run) > SETTLED_BYTES]
    if late:
        return f"Memory of the card was not back after: {', '.join(late)}."
    return "After each run the card's memory was back where it had been before."


def _left_bytes(run: Document) -> float:
    return run["card"]["after"].get("used_bytes", 0.0) - run["card"]["before"]["used_bytes"]
