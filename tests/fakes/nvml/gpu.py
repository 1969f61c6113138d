"""One card of the fake driver, as a test holds it."""

import ctypes
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.fakes.nvml import layout, table
from tests.fakes.nvml.calls import CallRow
from tests.fakes.nvml.codes import Kind, Return
from tests.fakes.nvml.profiles import Profile

NO_MEMORY_READING = 2**64 - 1
_VALUES = frozenset(value.name for value in table.GPU_VALUES)
_ALL_KINDS = Kind.COMPUTE | Kind.GRAPHICS | Kind.MPS
_NAMESPACE = uuid.UUID("8d6a3c62-6d3c-4bb1-9f5c-1d2f2f6f7a10")
_XID_CRITICAL_ERROR = 8
_RESET_AT_RELOAD = (
    *("energy", "violation_times", "slowdown_times", "pcie_bytes", "pcie_replays"),
    *("nvlink_bytes", "nvlink_kibibytes", "nvlink_errors"),
)
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Process:
    """A process on a card.

    ``memory`` in bytes, None where the driver does not say; ``kind`` is a sum of :class:`Kind`; ``name`` is what
    nvmlSystemGetProcessName answers, byte for byte, None for NOT_FOUND; ``utilization`` in percent (SM, memory,
    encoder, decoder), None for no sample; ``sampled_at`` in microseconds since 1970, None for the moment of the call.
    """

    pid: int
    memory: int | None = 0
    kind: int = Kind.COMPUTE
    name: bytes | None = None
    utilization: Sequence[int] | None = None
    sampled_at: int | None = None


class FakeGpu(CallRow):
    """One card: each value of ``table.GPU_VALUES`` is an attribute that is read and written while the driver runs.

    A value of several entries takes a sequence (``gpu.clocks = [1800, 1800, 7000, 1600]``) or one entry at a time
    (``gpu.temperature_thresholds[1] = ABSENT``). The index that a program sees counts only the cards that are present.
    """

    _card: ctypes.Structure

    def __init__(self, page: ctypes.Structure, slot: int, profile: Profile) -> None:
        object.__setattr__(self, "_card", page.gpus[slot])
        object.__setattr__(self, "_profile", profile)
        super().__init__(page, slot, table.DEVICE_CALL_NAMES, profile.unsupported)
        self.uuid = f"GPU-{uuid.uuid5(_NAMESPACE, str(slot))}"
        self.serial = f"{1320621000000 + slot}"
        self.bus_id = f"00000000:{slot + 1:02X}:00.0"
        for name, value in profile.values.items():
            setattr(self, name, value)
        self.present = True

    def __getattr__(self, name: str) -> object:
        if name not in _VALUES:
            raise AttributeError(name)
        value = getattr(self._card, name)
        return value.decode() if isinstance(value, bytes) else value

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _VALUES:
            if not name.startswith("_") and not hasattr(type(self), name):
                raise AttributeError(name)
            object.__setattr__(self, name, value)
        elif isinstance(value, (list, tuple)):
            entries = getattr(self._card, name)
            entries[: len(value)] = value
        else:
            setattr(self._card, name, value.encode() if isinstance(value, str) else value)

    @property
    def present(self) -> bool:
        """False once the card is out of the box: it is not counted, and its handles answer GPU_IS_LOST."""
        return bool(self._card.present)

    @present.setter
    def present(self, present: bool) -> None:
        self._card.present = present

    def fail_all(self, code: Return) -> None:
        """Every call on this card answers ``code`` (GPU_IS_LOST, say), those for its handle too."""
        self._card.answer = code

    def fail_field(self, field: int, code: Return) -> None:
        """This id of nvmlDeviceGetFieldValues answers ``code``, in the value's own return code."""
        self._card.field_answers[layout.FIELD_NUMBERS[field]] = code

    def heal(self) -> None:
        """Take back every order to fail; what the profile does not support stays so."""
        super().heal()
        self._card.answer = Return.SUCCESS
        for field in layout.FIELD_NUMBERS:
            unsupported = field in self._profile.unsupported_fields
            self.fail_field(field, Return.NOT_SUPPORTED if unsupported else Return.SUCCESS)

    def set_processes(self, processes: Iterable[Process]) -> None:
        """Replace the processes on the card in one step; ValueError when they do not fit the page."""
        processes = tuple(processes)
        if len(processes) > table.MAX_PROCESSES:
            message = f"{len(processes)} processes; the page holds {table.MAX_PROCESSES}"
            raise ValueError(message)
        self._card.sequence += 1
        try:
            for place, process in zip(self._card.processes, processes, strict=False):
                _write_process(place, process)
            self._card.process_count = len(processes)
        finally:
            self._card.sequence += 1

    def xid(self, code: int, event_type: int = _XID_CRITICAL_ERROR) -> None:
        """Queue an event for every set that registered this card before; the queue holds ``table.MAX_EVENTS``."""
        self._card.events[self._card.event_count % table.MAX_EVENTS] = (event_type, code)
        self._card.event_count += 1

    def add_sample(self, kind: Literal["power", "utilization"], value: int, at: float | None = None) -> None:
        """Put a reading into the driver's own buffer: milliwatts or percent, ``at`` seconds since 1970 (now)."""
        count = getattr(self._card, f"{kind}_sample_count")
        place = getattr(self._card, f"{kind}_samples")[count % table.MAX_SAMPLES]
        place.at, place.value = int((time.time() if at is None else at) * 1e6), value
        setattr(self._card, f"{kind}_sample_count", count + 1)

    def add_mig(self, number: int, profile: str, memory_mib: int, gpu_instance: int, compute_instance: int = 0) -> None:
        """Cut a MIG device out of the card; the card answers so once ``mig_mode`` is ``[1, 1]``."""
        device = self._card.mig_devices[number]
        device.uuid = f"MIG-{uuid.uuid5(_NAMESPACE, f'{self.uuid}/{number}')}".encode()
        device.profile = profile.encode()
        device.memory_total, device.memory_reserved, device.memory_used = memory_mib * _MIB, 0, 0
        device.gpu_instance, device.compute_instance = gpu_instance, compute_instance
        device.present = 1
        self._card.mig_most = max(self._card.mig_most, number + 1)

    def mig(self, number: int) -> ctypes.Structure:
        """The words of one MIG device: ``memory_used``, ``gpm``, ``present``."""
        return self._card.mig_devices[number]

    def reset_counters(self) -> None:
        """What a reload of the driver starts again from zero."""
        for name in _RESET_AT_RELOAD:
            value = getattr(self._card, name)
            setattr(self, name, 0 if isinstance(value, int) else [0] * len(value))


def _write_process(place: ctypes.Structure, process: Process) -> None:
    name = process.name or b""
    if len(name) > table.MAX_NAME or process.kind & ~_ALL_KINDS:
        message = f"not a process that the page can hold: pid {process.pid}"
        raise ValueError(message)
    place.pid = process.pid
    place.memory = NO_MEMORY_READING if process.memory is None else process.memory
    place.kinds = process.kind
    place.named = process.name is not None
    place.name_length = len(name)
    place.name[: len(name)] = name
    place.sampled = process.utilization is not None
    for number, percent in enumerate(process.utilization or ()):
        place.utilization[number] = percent
    place.sampled_at = process.sampled_at or 0
