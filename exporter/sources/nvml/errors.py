"""NVML's return codes, sorted by what the caller does about them.

The codes are those of ``nvmlReturn_t`` in nvml.h. A code that is not named here concerns one value at one moment: the
value is absent now and asked for again.
"""

from exporter.sources.reader import SourceError

SUCCESS = 0
INVALID_ARGUMENT = 2
NOT_SUPPORTED = 3
NOT_FOUND = 6
INSUFFICIENT_SIZE = 7
TIMEOUT = 10
LIBRARY_NOT_FOUND = 12
GPU_IS_LOST = 15
UNKNOWN = 999

_NAMES = {
    1: "uninitialized",
    2: "invalid argument",
    3: "not supported",
    4: "no permission",
    6: "not found",
    7: "insufficient size",
    8: "insufficient external power",
    9: "driver not loaded",
    10: "timeout",
    11: "interrupt request issue",
    12: "library not found",
    13: "function not found",
    14: "corrupted infoROM",
    15: "GPU is lost",
    16: "reset required",
    17: "blocked by the operating system",
    18: "library and kernel module differ in version",
    19: "in use",
    20: "out of memory",
    21: "no data",
    22: "ECC not supported",
    23: "insufficient resources",
    25: "argument version mismatch",
    26: "deprecated",
    27: "not ready",
    28: "GPU not found",
    29: "invalid state",
    999: "unknown error",
}
# Not supported, function not found, ECC not supported (vGPU), argument version mismatch, deprecated.
_SETTLED = frozenset({3, 13, 22, 25, 26})

_NO_DRIVER = "no NVIDIA driver found: libnvidia-ml.so.1 is not there (without a card, try: gpuwarden up --demo)"


class NvmlError(SourceError):
    """A call into NVML failed; ``code`` is its ``nvmlReturn_t``."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class NotAvailableError(NvmlError):
    """This value cannot be had; ``settled`` when asking again before the driver returns is pointless."""

    @property
    def settled(self) -> bool:
        """True for codes that say "this card or driver cannot", false for "not now"."""
        return self.code in _SETTLED


class GpuLostError(NvmlError):
    """This one card has stopped answering; the others may well go on."""

    def again(self) -> "GpuLostError":
        """The same news as a new exception: one that was raised before would drag its old traceback along."""
        return GpuLostError(str(self), self.code)


class DriverGoneError(NvmlError):
    """The driver as a whole is not there; NVML wants to be shut down and started again."""


class NoDriverError(DriverGoneError):
    """The library itself cannot be loaded: no NVIDIA driver is installed, or it is not visible here."""


class LibraryMismatchError(DriverGoneError):
    """The loaded library and the kernel module differ in version; only a new process can load the new library."""


_KINDS: dict[int, type[NvmlError]] = {
    1: DriverGoneError,
    9: DriverGoneError,
    28: DriverGoneError,
    12: NoDriverError,
    18: LibraryMismatchError,
    15: GpuLostError,
    16: GpuLostError,
}


def name_of(code: int) -> str:
    """A return code in words, without asking the driver (``nvmlErrorString`` would be one more call into it)."""
    return _NAMES.get(code, f"NVML error {code}")


def error_for(function: str, code: int) -> NvmlError:
    """The typed error for ``code`` returned by ``function``."""
    if code == LIBRARY_NOT_FOUND:
        return NoDriverError(_NO_DRIVER, code)
    return _KINDS.get(code, NotAvailableError)(f"{function}: {name_of(code)}", code)
