"""The same model by torch and by ONNX Runtime: one batch at a time, from the host's memory and back to it, for both.

ONNX Runtime is no dependency of ours: where the interpreter that runs this has it, it is measured, and else the run is
refused. The model is handed over in memory, so that a run that is killed leaves no file; that ends at 2 GiB, the most
that one ONNX document holds. Both use as many threads. Each is left to choose its kernels as it comes: torch by
heuristics, ONNX Runtime on a card by trying them all in the cold call. TF32, which ONNX Runtime would use on its own,
is on only in a run of that name. A session that fell back from the card to the CPU is no figure, but a refusal.
"""
# pyright: basic, reportMissingImports=false

import importlib
import inspect
import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn

from . import batches
from .devices import Ground
from .gpt2 import SIZES
from .lines import Lines
from .memory import peaks, reset_peaks, weights_bytes
from .spec import NO_ONNXRUNTIME, Refused, Spec
from .timing import Plan, Stopwatch, measure

_MOST_BYTES = 2 * 10**9
_ERRORS_ONLY = 3


class _Answering(nn.Module):
    """The model with its input as its only argument; a text's last position alone is answered."""

    def __init__(self, model: nn.Module, *, last_only: bool) -> None:
        super().__init__()
        self.model, self.options = model, {"last_only": True} if last_only else {}

    def forward(self, given: Tensor) -> Tensor:
        """The model's output."""
        return self.model(given, **self.options)


def compare(model: nn.Module, spec: Spec, ground: Ground, lines: Lines) -> dict[str, object]:
    """Measure one model by both; leaves everything in memory and stops at the barrier before it lets go."""
    runtime = _runtime(ground)
    answering = _Answering(model, last_only=spec.gpt).eval()
    given = _given(spec, ground)
    plan = Plan(spec.iterations, spec.warmup_iterations, spec.warmup_seconds, spec.budget_seconds)
    stopwatch = Stopwatch(ground.synchronise)
    lines.phase("export")
    began = time.perf_counter()
    session = _session(runtime, _exported(answering, spec, given), ground)
    figures: dict[str, object] = {"export_seconds": time.perf_counter() - began, "batch": spec.batch}
    answering.to(ground.device)
    reset_peaks(ground)
    name = session.get_inputs()[0].name
    with torch.inference_mode():
        lines.phase("torch")
        theirs = measure(lambda: answering(given.to(ground.device)).cpu(), stopwatch, plan)
        expected = answering(given.to(ground.device)).cpu()
    lines.phase("onnx runtime")
    ours = measure(lambda: session.run(None, {name: given.numpy()}), stopwatch, plan)
    figures |= theirs.figures("torch") | ours.figures("onnxruntime")
    figures |= {
        "onnxruntime_speedup_ratio": statistics.median(theirs.seconds) / statistics.median(ours.seconds),
        "onnxruntime_difference_ratio": _apart(expected, session.run(None, {name: given.numpy()})[0]),
        "onnxruntime_provider": session.get_providers()[0],
        "onnxruntime_version": runtime.__version__,
    }
    memory = peaks(ground)
    lines.barrier(spec.hold_seconds, memory=memory)
    return figures | memory


def _provider(ground: Ground) -> str:
    return "CUDAExecutionProvider" if ground.cuda else "CPUExecutionProvider"


def _runtime(ground: Ground) -> Any:
    """ONNX Runtime, when torch can hand a model over to it and it knows the device."""
    if "dynamo" not in inspect.signature(torch.onnx.export).parameters:
        message = f"torch {torch.__version__} has no exporter that does without running the model; 2.5 and later have"
        raise Refused(NO_ONNXRUNTIME, message)
    try:
        runtime = importlib.import_module("onnxruntime")
    # A build for another CUDA fails in the loader.
    except (ImportError, OSError) as error:
        message = f"onnxruntime does not load: {error}"
        raise Refused(NO_ONNXRUNTIME, message) from error
    _refuse_other_than(_provider(ground), runtime.get_available_providers(), runtime)
    return runtime


def _refuse_other_than(provider: str, there: list[str], runtime: Any) -> None:
    if provider not in there:
        message = f"onnxruntime {runtime.__version__} offers {', '.join(there)} and no {provider} that works here"
        raise Refused(NO_ONNXRUNTIME, message)


def _given(spec: Spec, ground: Ground) -> Tensor:
    """The input, on the host."""
    if spec.gpt:
        return torch.randint(SIZES[spec.model].vocabulary, (spec.batch, spec.prompt))
    return batches.pictures(spec, ground, ground.weights_dtype).cpu()


def _exported(model: nn.Module, spec: Spec, given: Tensor) -> bytes:
    """The model as an ONNX document; it is on the host afterwards."""
    if weights_bytes(model) >= _MOST_BYTES:
        message = f"{spec.model} in {spec.precision} is larger than the 2 GiB that one ONNX document holds"
        raise Refused(NO_ONNXRUNTIME, message)
    with torch.no_grad():
        program: Any = torch.onnx.export(model.cpu(), (given,), dynamo=True, verbose=False)
    return program.model_proto.SerializeToString()


def _session(runtime: Any, content: bytes, ground: Ground) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = _ERRORS_ONLY
    of_card = {"device_id": str(ground.device.index), "use_tf32": "1" if ground.precision == "tf32" else "0"}
    provider = _provider(ground)
    session = runtime.InferenceSession(content, options, providers=[(provider, of_card if ground.cuda else {})])
    _refuse_other_than(provider, session.get_providers()[:1], runtime)
    return session


def _apart(expected: Tensor, found: Any) -> float:
    """How far the two answers are from each other, as a part of the largest number in them."""
    expected = expected.float()
    return ((torch.from_numpy(found).float() - expected).abs().max() / expected.abs().max()).item()
