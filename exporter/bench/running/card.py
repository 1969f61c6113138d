"""The card that is measured, through the exporter's own reader: its memory, its holders, its clocks before and after.

- Only a whole card in compute mode Default is measured: in another mode a second process gets no context, or the first
  one takes the card from everybody else. A card that is divided (MIG) is not what any reference means.
- A reading costs the run nothing: a driver that fails for now leaves the reading empty, with what it said.
- Contended means what it means of a probe (exporter/latency/during.py): another process worked on the card, came while
  the run was under way or moved its memory; or, where the driver names nobody, somebody kept the card busy before.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

from exporter.accumulators import Accumulators
from exporter.latency.admission import MOST_MOVED_BYTES
from exporter.latency.during import LEAST_WORK
from exporter.processes.holders import Holders
from exporter.snapshot import Gpu
from exporter.sources.nvml.card import Card
from exporter.sources.nvml.device import Device
from exporter.sources.nvml.driver import Driver
from exporter.sources.nvml.errors import NvmlError
from exporter.sources.nvml.inventory import Inventory, take_inventory
from gpuwarden.errors import GpuwardenError, UserInputError

SETTLED_BYTES = 8 * 2**20
_SETTLE_SECONDS = 5.0
_REST_SECONDS = 5.0
"""NVML's utilization looks back a second and more, and on some cards its lists of processes are as late."""
_POLL_SECONDS = 0.02
_BUSY = 0.05
UNNAMED = "somebody whom the driver does not name"
_COMPUTE_MODES = {1: "exclusive thread", 2: "prohibited", 3: "exclusive process"}


class NoCardError(GpuwardenError):
    """There is no card to measure, or not in a state to be measured."""


class UnknownCardError(UserInputError, LookupError):
    """No card has this index or UUID."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Another process on the card."""

    pid: int
    name: str
    memory_bytes: float | None = None
    utilization_ratio: float | None = None

    @property
    def at_work(self) -> bool:
        """Whether it makes the card work, as far as the driver says."""
        return (self.utilization_ratio or 0.0) > LEAST_WORK


@dataclass(frozen=True, slots=True)
class Reading:
    """The card at one moment, None and empty where it does not say; ``error`` when it said nothing at all."""

    used_bytes: float | None = None
    free_bytes: float | None = None
    process_bytes: float | None = None
    utilization_ratio: float | None = None
    sm_clock_hertz: float | None = None
    temperature_celsius: float | None = None
    power_watts: float | None = None
    throttled: tuple[str, ...] = ()
    others: tuple[Holder, ...] = ()
    error: str = ""

    @property
    def busy(self) -> bool:
        """Whether anybody makes the card work."""
        return (self.utilization_ratio or 0.0) > _BUSY

    def as_document(self) -> dict[str, object]:
        """For JSON, without what is not known."""
        known = {key: value for key, value in asdict(self).items() if value is not None and value not in ("", ())}
        # JSON has no tuples, and a document is the same when it has been read back.
        return {key: [*value] if key in {"throttled", "others"} else value for key, value in known.items()}


class MeasuredCard:
    """One card, used by one thread at a time."""

    def __init__(
        self,
        driver: Driver,
        device: Device,
        identity: tuple[str, str],
        versions: dict[str, str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self.index, self.uuid = identity
        self._card = Card(f"nvml/{self.index}", device, driver, Holders(), Accumulators())
        self._versions = versions

    def described(self) -> dict[str, object]:
        """What it is: name, UUID, driver, memory, for the document.

        Raises:
            NoCardError: it cannot be asked, or not measured (see the top of this file).
        """
        try:
            gpu = self._read()
        except NvmlError as error:
            message = f"GPU {self.index} cannot be read: {error}"
            raise NoCardError(message) from error
        if mode := _COMPUTE_MODES.get(int(gpu.compute_mode or 0)):
            message = (
                f"GPU {self.index} is in compute mode {mode}; bench needs Default: nvidia-smi -i {self.index} -c 0"
            )
            raise NoCardError(message)
        if gpu.mig_enabled:
            message = f"GPU {self.index} is divided (MIG): bench measures whole cards"
            raise NoCardError(message)
        description = self._card.description()
        return {
            "name": description.get("name", ""),
            "index": self.index,
            "uuid": self.uuid,
            "memory_total_bytes": gpu.memory_total_bytes,
            "power_limit_watts": gpu.power_limit_watts,
            **self._versions,
        }

    def reading(self, pid: int | None = None) -> Reading:
        """The card now; ``pid`` is the run's process, everybody else is another."""
        try:
            gpu = self._read()
        except NvmlError as error:
            return Reading(error=str(error))
        own = [process for process in gpu.processes if process.pid == pid]
        others = tuple(
            Holder(process.pid, process.name, process.memory_bytes, process.utilization_ratio)
            for process in gpu.processes
            if process.pid and process.pid != pid
        )
        return Reading(
            used_bytes=gpu.memory_used_bytes,
            free_bytes=gpu.memory_free_bytes,
            process_bytes=own[0].memory_bytes if own else None,
            utilization_ratio=gpu.utilization_ratio,
            sm_clock_hertz=gpu.clock_hertz.get("sm"),
            temperature_celsius=gpu.temperature_celsius,
            power_watts=gpu.power_watts,
            throttled=tuple(reason for reason, on in gpu.throttled.items() if on),
            others=others,
        )

    def at_rest(self) -> Reading:
        """A reading when nobody is at work, or after five seconds: an end is a while in the driver's figures."""
        began = self._monotonic()
        while (found := self.reading()).busy and self._monotonic() - began < _REST_SECONDS:
            time.sleep(_POLL_SECONDS)
        return found

    def settled(self, before: float | None) -> tuple[Reading, float]:
        """A reading when the memory is back at what it was, or after five seconds; and how long that took."""
        began = self._monotonic()
        while before is not None and self._monotonic() - began < _SETTLE_SECONDS:
            used = self.reading().used_bytes
            if used is None or used <= before + SETTLED_BYTES:
                break
            time.sleep(_POLL_SECONDS)
        return self.reading(), self._monotonic() - began

    def _read(self) -> Gpu:
        now = self._monotonic()
        return Gpu(index=self.index, uuid=self.uuid, read_at=now, **self._card.read(now))


def open_card(wanted: str = "") -> MeasuredCard | None:
    """The card with this index or UUID, or the first; None where there is no driver or no card at all.

    Raises:
        UnknownCardError: one was wanted, and it is not there.
    """
    driver = Driver()
    try:
        driver.start()
        found = take_inventory(driver)
    except NvmlError as error:
        if wanted:
            message = f"there is no GPU {wanted}: {error}"
            raise UnknownCardError(message) from error
        return None
    return _chosen(driver, found, wanted)


def _chosen(driver: Driver, found: Inventory, wanted: str) -> MeasuredCard | None:
    for uuid, (index, device) in found.found.items():
        if wanted in {"", index, uuid}:
            return MeasuredCard(driver, device, (index, uuid), found.versions)
    if not wanted:
        return None
    known = ", ".join(f"{index} ({uuid})" for uuid, (index, _) in found.found.items()) or "none"
    message = f"there is no GPU {wanted}; there are: {known}"
    raise UnknownCardError(message)


def attributed(before: Reading, now: Reading, *, alone: bool) -> Reading:
    """A reading while the run is under way, with its process told apart where its number says nothing.

    In a container the driver may know the process under another number. The one that has come since the run began is
    it; with two that have come, nobody can tell. A run that is not ``alone`` has brought whoever came with it.
    """
    if not alone:
        there = {holder.pid for holder in before.others}
        return replace(now, others=tuple(holder for holder in now.others if holder.pid in there))
    if now.process_bytes is not None:
        return now
    known = {holder.pid for holder in before.others}
    new = [holder for holder in now.others if holder.pid not in known]
    if len(new) != 1:
        return now
    others = tuple(holder for holder in now.others if holder.pid in known)
    return replace(now, process_bytes=new[0].memory_bytes, others=others)


def contenders(readings: Mapping[str, Reading]) -> tuple[str, ...]:
    """Who else was at work, by name; ``readings`` are those ``before`` the run, at its ``start`` and ``barrier``."""
    before = readings.get("before", Reading())
    there = {holder.pid: holder.memory_bytes for holder in before.others}
    found = [holder for holder in before.others if holder.at_work]
    for moment in ("start", "barrier"):
        found += [
            holder
            for holder in readings.get(moment, Reading()).others
            if holder.at_work or holder.pid not in there or _moved(holder.memory_bytes, there[holder.pid])
        ]
    if before.busy and not before.others:
        return (UNNAMED,)
    return tuple(sorted({holder.name or f"process {holder.pid}" for holder in found}))


def _moved(now: float | None, before: float | None) -> bool:
    return now is not None and before is not None and abs(now - before) > MOST_MOVED_BYTES
