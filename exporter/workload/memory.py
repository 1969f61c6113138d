"""Bytes: of the weights, of what torch's allocator gave out and kept, of the process.

What a process really takes from a card is more than torch knows (the CUDA context, libraries' workspaces): that the
parent reads from NVML at the barrier.
"""
# pyright: basic, reportMissingImports=false

import re
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn

from .devices import Ground

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "alloc_failed", "not enough memory")


def reset_peaks(ground: Ground) -> None:
    """Let the next peak be of what comes from here on."""
    if ground.cuda:
        torch.cuda.reset_peak_memory_stats(ground.device)


def peaks(ground: Ground) -> dict[str, int]:
    """What torch's allocator gave out and kept at most; on the CPU, what the process held at most."""
    if ground.cuda:
        return {
            "torch_allocated_peak_bytes": torch.cuda.max_memory_allocated(ground.device),
            "torch_reserved_peak_bytes": torch.cuda.max_memory_reserved(ground.device),
            "torch_allocated_bytes": torch.cuda.memory_allocated(ground.device),
        }
    resident = _resident_peak()
    return {"process_resident_peak_bytes": resident} if resident else {}


def release_unused(ground: Ground) -> None:
    """Give back what the allocator keeps for later: what it keeps next is then of what comes next."""
    if ground.cuda:
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this says that there is not enough memory; on the CPU, torch has no class for that."""
    lower = str(error).lower()
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or any(word in lower for word in _OUT_OF_MEMORY)


def peaks_so_far(device: str) -> dict[str, int]:
    """The peaks of a run that broke off, as far as there are any: its device may never have been taken.

    The allocator keeps count by itself; a card that answers no more is not asked.
    """
    if device != "cpu" and not torch.cuda.is_initialized():
        return {}
    return peaks(Ground(torch.device(device), "fp32"))


def _resident_peak() -> int | None:
    """From the kernel's page on this process: ru_maxrss would still have the parent's peak in it."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def weights_bytes(model: nn.Module) -> int:
    """Parameters and buffers, a shared one once; the packed ones of quantized layers, too."""
    return tensors_bytes(_tensors(model.state_dict().values()))


def gradients_bytes(model: nn.Module) -> int:
    """What the gradients hold now."""
    return tensors_bytes(each.grad for each in model.parameters() if each.grad is not None)


def optimizer_bytes(optimizer: torch.optim.Optimizer) -> int:
    """What the optimizer remembers."""
    return tensors_bytes(_tensors(value for state in optimizer.state.values() for value in state.values()))


def tensors_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes of tensors, one that comes twice counted once."""
    seen: dict[object, int] = {}
    for tensor in tensors:
        # Quantized tensors have a storage of their own each, made anew at every look: they are counted as they come.
        key = object() if tensor.is_quantized else (tensor.device, tensor.data_ptr(), tensor.shape)
        seen[key] = tensor.numel() * tensor.element_size()
    return sum(seen.values())


def _tensors(values: Iterable[object]) -> Iterable[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, tuple):
            yield from _tensors(value)
