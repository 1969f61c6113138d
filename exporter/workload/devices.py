"""Where a run happens and in which arithmetic.

fp32 is fp32: TF32, which torch lets cuDNN use on its own, is on only in a run of that name. fp16 means half weights;
amp means fp32 weights under autocast to half. Nothing else about the device is touched: no clock, no mode.
"""
# pyright: basic, reportMissingImports=false

import contextlib
import platform
from dataclasses import dataclass
from typing import Any

import torch

from .spec import NO_CUDA, Refused, Spec


@dataclass(frozen=True)
class Ground:
    """What a run stands on."""

    device: torch.device
    precision: str

    @property
    def cuda(self) -> bool:
        """Whether this is a card."""
        return self.device.type == "cuda"

    @property
    def weights_dtype(self) -> torch.dtype:
        """What the weights are kept in."""
        return torch.float16 if self.precision == "fp16" else torch.float32

    @property
    def working_dtype(self) -> torch.dtype:
        """What matrix products come out in."""
        return torch.float16 if self.precision in {"fp16", "amp"} else torch.float32

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Mixed precision where it is asked for."""
        if self.precision == "amp":
            return torch.autocast(self.device.type, dtype=torch.float16)
        return contextlib.nullcontext()

    def synchronise(self) -> None:
        """Wait until the card has done everything."""
        if self.cuda:
            torch.cuda.synchronize(self.device)


def ground(spec: Spec) -> Ground:
    """Make the device ready.

    Raises:
        Refused: when this machine or this torch cannot do what is asked.
    """
    if spec.threads:
        torch.set_num_threads(spec.threads)
    device = torch.device(spec.device)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            message = f"torch {torch.__version__} (CUDA {torch.version.cuda}) sees no usable card"
            raise Refused(NO_CUDA, message)
        device = torch.device("cuda", device.index or 0)
        if device.index >= torch.cuda.device_count():
            message = f"torch sees {torch.cuda.device_count()} cards, and no {spec.device}"
            raise Refused(NO_CUDA, message)
        torch.cuda.set_device(device)
        _without_cudnn_attention()
    torch.backends.cudnn.benchmark = False
    _set_tf32(allowed=spec.precision == "tf32")
    torch.manual_seed(spec.seed)
    return Ground(device, spec.precision)


def _without_cudnn_attention() -> None:
    """Leave half-precision attention to torch's own kernels.

    cuDNN's plans anew for each length, and a growing cache has a new length at each token: on an H200 GPT-2 small then
    takes 39 ms for a token instead of 2.4.
    """
    cuda: Any = torch.backends.cuda
    if hasattr(cuda, "enable_cudnn_sdp"):  # torch 2.5 and later
        cuda.enable_cudnn_sdp(False)


def _set_tf32(*, allowed: bool) -> None:
    # For matrix products this one switch sets torch's older and newer settings alike; apart they contradict each other.
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    cudnn: Any = torch.backends.cudnn
    cudnn.allow_tf32 = allowed
    if hasattr(cudnn, "conv"):  # torch 2.9 and later; set alone, torch's exporter finds the older switch contradicting
        cudnn.conv.fp32_precision = cudnn.rnn.fp32_precision = "tf32" if allowed else "ieee"


def describe(chosen: Ground) -> dict[str, object]:
    """Versions and device; what a figure is worth nothing without."""
    found: dict[str, object] = {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "device": chosen.device.type,
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
    }
    if chosen.cuda:
        card = torch.cuda.get_device_properties(chosen.device)
        found |= {
            "card": card.name,
            "uuid": str(getattr(card, "uuid", "")),
            "compute_capability": f"{card.major}.{card.minor}",
            "memory_total_bytes": card.total_memory,
            "cudnn": torch.backends.cudnn.version(),
        }
    return found
