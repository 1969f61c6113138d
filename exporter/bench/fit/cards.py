"""How much memory a card has for programs: asked of the driver, or reckoned from what stands on its box.

What a box calls 8 GB are 8 GiB of chips (NVML shows 8192 MiB), so GB and GiB mean the same here. Not all of it can be
used: the driver keeps some hundred MiB for itself, which it tells (``memory.reserved``) and which is assumed where
nobody can be asked. On top of that a process has a CUDA context.
"""

import re
from dataclasses import dataclass

from exporter.bench.running.patience import PATIENCE_SECONDS, DriverHangsError, answered
from exporter.model_memory.answering import MIB
from exporter.model_memory.context import context_bytes
from exporter.processes.labels import clean_label
from exporter.sources.nvml.device import Device
from exporter.sources.nvml.driver import Driver
from exporter.sources.nvml.errors import NOT_SUPPORTED, UNKNOWN, NotAvailableError, NvmlError
from exporter.sources.nvml.inventory import take_inventory
from gpuwarden.errors import UserInputError

GIB = 1024 * MIB
_RESERVES = ((16 * GIB, 256 * MIB), (32 * GIB, 384 * MIB))
_LARGEST_RESERVE = 640 * MIB
"""Seen: 234 MiB of 6 GiB, 236 of 12, 315 of 24, 557 of 40, 480 to 551 of 80."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt])i?b", re.IGNORECASE)
_SCALES = {"k": 1024, "m": MIB, "g": GIB, "t": 1024 * GIB}
_MOST_BYTES = 2**50
_NAME_A_SIZE = "name a size with --memory 8GiB"


class NoCardKnownError(UserInputError, LookupError):
    """No driver says what card there is; the message names the flag that does."""


@dataclass(frozen=True, slots=True)
class CardMemory:
    """Bytes. ``free_bytes`` is what is free now, None where nobody was asked; ``index`` is empty then, too."""

    name: str
    total_bytes: int
    reserved_bytes: int
    reserved_assumed: bool
    free_bytes: int | None = None
    index: str = ""
    uuid: str = ""

    @property
    def empty_bytes(self) -> int:
        """What is free when no program holds any."""
        return max(0, self.total_bytes - self.reserved_bytes)

    @property
    def context_bytes(self) -> int:
        """What a CUDA context is assumed to take."""
        return context_bytes(self.total_bytes)


@dataclass(frozen=True, slots=True)
class Cards:
    """Those whose memory is known; ``unknown`` says of each of the others why it is not."""

    found: tuple[CardMemory, ...]
    unknown: tuple[str, ...] = ()


def parse_size(text: str) -> int:
    """Read ``6GiB``, ``8GB`` (the same unit: see above), ``500MiB``; bytes.

    Raises:
        ValueError: it is no size, or one that no card has.
    """
    match = _SIZE.fullmatch(text.strip())
    size = round(float(match[1]) * _SCALES[match[2].lower()]) if match else 0
    if not 0 < size < _MOST_BYTES:
        message = f"{text!r} is not a size of memory: write 6GiB, 8GB or 500MiB"
        raise ValueError(message)
    return size


def card_of_size(total_bytes: int) -> CardMemory:
    """An empty card with this much on its box."""
    return CardMemory("a card", total_bytes, _reserve(total_bytes), reserved_assumed=True)


def _reserve(total_bytes: int) -> int:
    return next((reserve for limit, reserve in _RESERVES if total_bytes <= limit), _LARGEST_RESERVE)


def ask_driver(seconds: float = PATIENCE_SECONDS) -> Cards:
    """The cards of this machine.

    Raises:
        NoCardKnownError: there is no driver, or no card that tells its memory.
        DriverHangsError: it has not answered after ``seconds``.
    """
    try:
        found = answered(_asked, seconds)
    except DriverHangsError as error:
        message = f"{error}; {_NAME_A_SIZE}"
        raise DriverHangsError(message) from error
    except NvmlError as error:
        message = f"no card can be asked ({str(error).partition(' (without')[0]}); {_NAME_A_SIZE}"
        raise NoCardKnownError(message) from error
    if not found.found:
        message = f"no card tells its memory ({'; '.join(found.unknown) or 'the driver shows none'}); {_NAME_A_SIZE}"
        raise NoCardKnownError(message)
    return found


def _asked() -> Cards:
    driver = Driver()
    try:
        driver.start()
        inventory = take_inventory(driver)
        found: list[CardMemory] = []
        unknown = [f"GPU {position}: {reason}" for position, reason in inventory.unknown.items()]
        for uuid, (index, device) in inventory.found.items():
            try:
                found.append(_memory_of(device, index, uuid))
            except NvmlError as error:
                unknown.append(f"GPU {index}: {error}")
        return Cards(tuple(found), tuple(unknown))
    finally:
        driver.shutdown()


def _memory_of(device: Device, index: str, uuid: str) -> CardMemory:
    name = clean_label(device.name())
    if _divided(device):
        message = "it is divided (MIG): name the size of the part that is meant"
        raise NvmlError(message, UNKNOWN)
    try:
        memory = device.memory()
    except NotAvailableError as error:
        if error.code == NOT_SUPPORTED:  # version 1 would answer with the host's figures
            message = "it has no memory but the host's: name the size that it may take of that"
            raise NvmlError(message, NOT_SUPPORTED) from error
        memory = device.memory_v1()
    if not 0 < memory.total < _MOST_BYTES:
        message = f"it says that it has {memory.total} bytes of memory"
        raise NvmlError(message, UNKNOWN)
    assumed = memory.reserved is None
    reserved = _reserve(memory.total) if memory.reserved is None else memory.reserved
    return CardMemory(name, memory.total, reserved, assumed, memory.free, index, uuid)


def _divided(device: Device) -> bool:
    try:
        return device.mig_mode() == 1
    except NotAvailableError:
        return False
