"""One run from its spec to its result: a short-lived process, because only its end gives a CUDA context's memory back.

The spec is the only argument, or the first line of standard input. The exit status is 0 whenever a result was written,
out of memory and refused included; a child that ends otherwise has crashed.
"""

import dataclasses
import importlib.util
from collections.abc import Sequence

from . import lifetime
from .known import NEEDS
from .lines import Lines, on_standard_output, read_spec_line
from .spec import NO_ONNXRUNTIME, NO_TORCH, Refused, Spec, parse

_NO_DEVICE = {"device_seconds": 0.0}


def main(arguments: Sequence[str]) -> int:
    """Run once."""
    lifetime.die_with_parent()
    lines = on_standard_output()
    try:
        spec = parse(arguments[0] if arguments else read_spec_line())
        _refuse_without_needed(spec)
    except Refused as refused:
        lines.tell("result", outcome="refused", reason=refused.reason, detail=str(refused), figures=_NO_DEVICE)
        return 0
    if lifetime.orphaned(spec.parent):
        return 1
    lines.tell("result", spec=dataclasses.asdict(spec), **_result(spec, lines))
    return 0


def _refuse_without_needed(spec: Spec) -> None:
    """Before torch is loaded and a card is taken; what is there and broken is refused later."""
    missing = [name for name in NEEDS.get(spec.run, ()) if importlib.util.find_spec(name) is None]
    if missing:
        message = f"this Python lacks {', '.join(missing)}; install it there to compare"
        raise Refused(NO_ONNXRUNTIME, message)


def _result(spec: Spec, lines: Lines) -> dict[str, object]:
    lines.phase("import")
    try:
        from . import runs  # noqa: PLC0415 - torch is loaded only for a spec that makes sense
    # A torch that does not fit its libraries fails in the loader.
    except (ImportError, OSError) as error:
        return {"outcome": "refused", "reason": NO_TORCH, "detail": str(error)[:500], "figures": _NO_DEVICE}
    return runs.run(spec, lines)
