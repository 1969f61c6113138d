"""The devices that a card in MIG mode is divided into.

Their numbers have holes, and they come and go while the exporter runs: what there is is asked for anew every ten
seconds, and at once when one of them no longer answers. A device is called by its instances, GPU/compute, which stay
its own as long as it exists. Memory belongs to the GPU instance; so does activity, which is read once for each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from exporter.processes.labels import clean_label
from exporter.sources.nvml.activity import Activity, parts_of
from exporter.sources.nvml.device import Device
from exporter.sources.nvml.driver import Driver
from exporter.sources.nvml.errors import NotAvailableError
from exporter.sources.nvml.fields import MEMORY, attributes
from exporter.sources.nvml.support import Support

_LOOK_AGAIN = 10.0
_MOST = 64


@dataclass(frozen=True, slots=True)
class Instance:
    """One MIG device; ``name`` is its label."""

    name: str
    gpu_instance: int
    uuid: str
    profile: str
    device: Device
    support: Support


class Instances:
    """The MIG devices of one card; used by one thread."""

    def __init__(self, source: str, driver: Driver, device: Device) -> None:
        self._source = source
        self._driver = driver
        self._device = device
        self._found: list[Instance] = []
        self._activities: dict[int, Activity] = {}
        self._without_activity = False
        self._due = float("-inf")

    def read(self, now: float) -> dict[str, Any]:
        """The ``mig_`` attributes of ``Gpu`` at ``now`` (monotonic seconds).

        Raises:
            NvmlError: the card or the driver has gone.
        """
        if now >= self._due:
            self._look()
            self._due = now + _LOOK_AGAIN
        found: dict[str, Any] = {"mig_info": tuple(_info(instance) for instance in self._found)}
        for instance in self._found:
            values = instance.support.read(MEMORY, instance.device)
            if values is None:
                self._due = now
            for name, value in attributes(values or ()).items():
                if name in ("memory_total_bytes", "memory_used_bytes", "memory_used_ratio"):
                    found.setdefault(f"mig_{name}", {})[instance.name] = value
            instance.support.tell()
        activity = self._activity()
        return {**found, "mig_activity_ratio": activity} if activity else found

    def close(self) -> None:
        """Give the driver's samples back."""
        for activity in self._activities.values():
            activity.close()
        self._activities.clear()

    def _look(self) -> None:
        known = {instance.uuid: instance for instance in self._found}
        found = [known.get(instance.uuid, instance) for instance in self._present()]
        if [instance.uuid for instance in found] != [instance.uuid for instance in self._found]:
            # A GPU instance that was made anew under an old number must not be compared with the earlier one.
            self.close()
        self._found = found

    def _present(self) -> Iterator[Instance]:
        try:
            most = min(self._device.mig_most(), _MOST)
        except NotAvailableError:
            return
        for number in range(most):
            try:
                device = self._device.mig_device(number)
                gpu_instance, compute_instance = device.mig_instances()
                name = f"{gpu_instance}/{compute_instance}"
                profile = clean_label(device.name().rpartition("MIG ")[2])
                uuid = clean_label(device.uuid())
            except NotAvailableError:
                continue
            yield Instance(name, gpu_instance, uuid, profile, device, Support(f"{self._source} MIG {name}"))

    def _activity(self) -> dict[tuple[str, ...], float]:
        found: dict[tuple[str, ...], float] = {}
        if self._without_activity:
            return found
        for gpu_instance in {instance.gpu_instance for instance in self._found}:
            activity = self._activities.get(gpu_instance)
            activity = activity or self._activities.setdefault(
                gpu_instance, Activity(self._driver, self._device, gpu_instance)
            )
            try:
                parts = parts_of(activity.read())
            except NotAvailableError as error:
                self._without_activity = error.settled
                continue
            names = [instance.name for instance in self._found if instance.gpu_instance == gpu_instance]
            found |= {(name, part): ratio for name in names for part, ratio in parts.items()}
        return found


def _info(instance: Instance) -> dict[str, str]:
    return {"mig": instance.name, "mig_uuid": instance.uuid, "profile": instance.profile}
