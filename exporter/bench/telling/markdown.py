"""The document as Markdown: the claims, their notes, and every run with what it took. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from exporter.bench.telling.words import (
    Document,
    failures,
    heading,
    reasons,
    reference,
    remarks,
    shown,
    summary,
    verdict,
)

_MIB = 2**20

Cell = Callable[[Document], str]


def markdown(document: Document) -> str:
    """All of it."""
    runs = document["runs"]
    parts = [
        f"# gpuwarden bench\n\n{heading(document)}; gpuwarden {document['version']}, {document['began']}",
        _claims(document["claims"]),
        f"{summary(document)}.",
        _list(remarks(document)),
        _list(failures(document)),
        _list(reasons(document)),
        _list(f"**{claim['id']}**: {claim['how']}. {claim['note']}".strip() for claim in document["claims"]),
        *(_runs(kind, columns, _of_kind(kind, runs)) for kind, columns in _COLUMNS.items()),
        _runs("memory", _MEMORY, runs),
        _runs("the card", _CARD, [run for run in runs if run["card"].get("barrier")]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _claims(claims: Sequence[Document]) -> str:
    head = ("claim", "reference", "here", "more", "verdict")
    rows = (
        (
            f"{claim['says']} (`{claim['id']}`)",
            reference(claim),
            shown(claim["value"], claim["unit"]),
            claim["detail"] or "-",
            f"**{verdict(claim)}**",
        )
        for claim in claims
    )
    return _table(head, rows) if claims else ""


def _runs(title: str, columns: Mapping[str, Cell], runs: Sequence[Document]) -> str:
    """One line for each run; one that came to no result says so in its second column."""
    made = [run for run in runs if run["reason"] != "not_run"]
    if not made:
        return ""
    rows = ((run["name"], *_cells(title, columns, run)) for run in made)
    return f"**{title}**\n\n{_table(('run', *columns), rows)}"


def _of_kind(kind: str, runs: Iterable[Document]) -> list[Document]:
    """Its runs; each number of conversations in one process is a line of its own."""
    return [line for run in runs if run["kind"] == kind for line in (_by_number(run) if kind == "serve" else [run])]


def _by_number(run: Document) -> list[Document]:
    rungs = run["figures"].get("rungs")
    if not rungs:
        return [run]
    alone = rungs[0]["per_token_seconds"]
    more = [{"times_alone": each["per_token_seconds"] / alone} if alone else {} for each in rungs]
    return [{**run, "figures": {**rung, **times}} for rung, times in zip(rungs, more, strict=True)]


def _cells(title: str, columns: Mapping[str, Cell], run: Document) -> Iterable[str]:
    if run["outcome"] != "ok" and title != "memory":
        return [f"{run['outcome']}: {run['reason']}", *[""] * (len(columns) - 1)]
    return [_cell(read, run) for read in columns.values()]


def _cell(read: Cell, run: Document) -> str:
    try:
        return read(run)
    except (KeyError, TypeError):  # not measured in this run
        return "-"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _list(texts: Iterable[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)


def _ms(key: str) -> Cell:
    return lambda run: f"{run['figures'][key] * 1000:.2f} ms"


def _seconds(key: str) -> Cell:
    return lambda run: f"{run['figures'][key]:.2f} s"


def _number(key: str) -> Cell:
    return lambda run: f"{run['figures'][key]:.0f}"


def _mib(key: str) -> Cell:
    return lambda run: f"{run['figures'][key] / _MIB:.0f} MiB"


def _megahertz(moment: str) -> Cell:
    return lambda run: f"{run['card'][moment]['sm_clock_hertz'] / 1e6:.0f} MHz"


def _pace(figures: Document) -> str:
    if "images_per_second" in figures:
        return f"{figures['images_per_second']:.0f} images/s"
    return f"{figures['tokens_per_second']:.0f} tokens/s"


def _after(run: Document) -> str:
    return f"{(run['card']['after']['used_bytes'] - run['card']['before']['used_bytes']) / _MIB:.0f} MiB"


def _names(values: Sequence[str] | None) -> str:
    return ", ".join(values or ()) or "no"


_COLUMNS: Mapping[str, Mapping[str, Cell]] = {
    "generate": {
        "first token cold": _ms("first_token_cold_seconds"),
        "p50": _ms("first_token_p50_seconds"),
        "p90": _ms("first_token_p90_seconds"),
        "per further token": _ms("per_token_seconds"),
        "p90 of those": _ms("per_token_p90_seconds"),
        "first 64": _ms("per_token_at_the_beginning_seconds"),
        "last 64": _ms("per_token_at_the_end_seconds"),
        "whole answer": _seconds("answer_seconds"),
        "tokens": _number("tokens"),
    },
    "train": {
        "step cold": _ms("step_cold_seconds"),
        "step": _ms("step_seconds"),
        "steps": _number("steps"),
        "images/s": _number("images_per_second"),
        "tokens/s": _number("tokens_per_second"),
        "epoch": _seconds("epoch_seconds"),
        "extrapolated": lambda run: "yes" if run["figures"]["epoch_extrapolated"] else "no",
    },
    "serve": {
        "conversations": _number("streams"),
        "first token p50": _ms("first_token_p50_seconds"),
        "p90": _ms("first_token_p90_seconds"),
        "per further token": _ms("per_token_seconds"),
        "times that of one": lambda run: f"{run['figures']['times_alone']:.1f}",
        "p50 of those": _ms("per_token_p50_seconds"),
        "p90 of those": _ms("per_token_p90_seconds"),
        "tokens/s of all": _number("tokens_per_second"),
        "allocated peak": _mib("torch_allocated_peak_bytes"),
        "reserved peak": _mib("torch_reserved_peak_bytes"),
    },
    "onnx": {
        "torch p50": _ms("torch_p50_seconds"),
        "torch p90": _ms("torch_p90_seconds"),
        "ONNX Runtime p50": _ms("onnxruntime_p50_seconds"),
        "ONNX Runtime p90": _ms("onnxruntime_p90_seconds"),
        "times as fast": lambda run: f"{run['figures']['onnxruntime_speedup_ratio']:.2f}",
        "provider": lambda run: f"{run['figures']['onnxruntime_provider']}",
    },
    "together": {
        "its pace": lambda run: _pace(run["figures"]),
        "the other's": lambda run: _pace(run["figures"]["beside"]),
        "time together": lambda run: f"{run['figures']['overlap_ratio'] * 100:.0f} %",
    },
    "infer": {
        "batch cold": _ms("batch_cold_seconds"),
        "p50": _ms("batch_p50_seconds"),
        "p90": _ms("batch_p90_seconds"),
        "images/s": _number("images_per_second"),
    },
}

_MEMORY: Mapping[str, Cell] = {
    "outcome": lambda run: run["outcome"] if run["outcome"] == "ok" else f"{run['outcome']}: {run['reason']}",
    "weights": _mib("weights_bytes"),
    "KV cache": _mib("kv_cache_bytes"),
    "gradients": _mib("gradients_bytes"),
    "optimizer": _mib("optimizer_bytes"),
    "parameters": _number("parameters"),
    "allocated peak": _mib("torch_allocated_peak_bytes"),
    "reserved peak": _mib("torch_reserved_peak_bytes"),
    "process (NVML)": _mib("process_bytes"),
    "card, more than before": _mib("card_bytes"),
    "card after, more than before": _after,
    "host process": _mib("process_resident_peak_bytes"),
    "whole run": lambda run: f"{run['seconds']:.1f} s",
}

_CARD: Mapping[str, Cell] = {
    "clock at the start": _megahertz("start"),
    "clock at the end": _megahertz("barrier"),
    "temperature": lambda run: f"{run['card']['barrier']['temperature_celsius']:.0f} °C",
    "power": lambda run: f"{run['card']['barrier']['power_watts']:.0f} W",
    "held back": lambda run: _names(run["card"]["barrier"].get("throttled")),
    "others there": lambda run: _names(run["contended"]),
}
