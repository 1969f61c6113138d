"""The document of workload_on_cuda as Markdown: one table for each kind of run, and one for the memory."""

MIB = 2**20


def table(document) -> str:
    """All of it."""
    runs = document["runs"]
    parts = [_heading(document)]
    for kind, columns in _COLUMNS.items():
        some = [each for each in runs if each["asked"]["run"] == kind]
        parts.append(_markdown(kind, columns, some))
    parts.append(_markdown("memory", _MEMORY, runs))
    return "\n".join(parts)


def _heading(document) -> str:
    started = next((each["started"] for each in document["runs"] if each.get("started")), {})
    known = {**started, **document["card"]}
    words = [f"{key} {known[key]}" for key in ("card", "driver", "torch", "cuda", "cudnn", "python") if known.get(key)]
    return ", ".join(words) + "\n"


def _markdown(title, columns, runs) -> str:
    if not runs:
        return ""
    lines = [f"**{title}**\n", f"| run | {' | '.join(columns)} |", f"| --- |{' --- |' * len(columns)}"]
    for each in runs:
        if each["outcome"] == "ok" or title == "memory":
            cells = [_cell(read, each) for read in columns.values()]
        else:
            cells = [f"{each['outcome']}: {each.get('reason', '')}", *[""] * (len(columns) - 1)]
        lines.append(f"| {each['name']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(read, run) -> str:
    try:
        return read(run)
    except (KeyError, TypeError):  # not measured in this run
        return "-"


def _ms(key):
    return lambda run: f"{run['figures'][key] * 1000:.2f} ms"


def _seconds(key):
    return lambda run: f"{run['figures'][key]:.2f} s"


def _number(key):
    return lambda run: f"{run['figures'][key]:.0f}"


def _mib(key):
    return lambda run: f"{run['figures'][key] / MIB:.0f} MiB"


def _of_card(where):
    return lambda run: f"{(run[where]['used_bytes'] - run['before']['used_bytes']) / MIB:.0f} MiB"


_COLUMNS = {
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
    "infer": {
        "batch cold": _ms("batch_cold_seconds"),
        "p50": _ms("batch_p50_seconds"),
        "p90": _ms("batch_p90_seconds"),
        "images/s": _number("images_per_second"),
    },
}

_MEMORY = {
    "outcome": lambda run: run["outcome"],
    "weights": _mib("weights_bytes"),
    "KV cache": _mib("kv_cache_bytes"),
    "gradients": _mib("gradients_bytes"),
    "optimizer": _mib("optimizer_bytes"),
    "parameters": _number("parameters"),
    "allocated peak": _mib("torch_allocated_peak_bytes"),
    "reserved peak": _mib("torch_reserved_peak_bytes"),
    "process (NVML)": lambda run: f"{run['barrier']['process_bytes'] / MIB:.0f} MiB",
    "card, more than before": _of_card("barrier"),
    "card after, more than before": _of_card("after"),
    "whole run": lambda run: f"{run['seconds']:.1f} s",
}
