"""What the parts of a chip do (GPM, Hopper and later): the difference of two samples of the driver's counters.

The two samples are used in turn: the one that was filled in the last reading is compared with that of now, so the
figures are over exactly the time between two readings, and there are none in the first. A reading that failed leaves
the earlier sample where it is; the next comparison is then over a longer time and as true.
"""

from typing import Any

from exporter.sources.nvml.device import Device
from exporter.sources.nvml.driver import Driver
from exporter.sources.nvml.errors import NOT_SUPPORTED, NvmlError, error_for
from exporter.sources.nvml.ranges import percent

PARTS = {"graphics": 1, "sm": 2, "tensor": 5, "dram": 10, "fp64": 11, "fp32": 12, "fp16": 13}
"""Values of the label ``part`` and their ``NVML_GPM_METRIC_*``."""
OCCUPANCY = 3
_METRICS = (*PARTS.values(), OCCUPANCY)


class Activity:
    """Of one card, or of one of its GPU instances; used by one thread."""

    def __init__(self, driver: Driver, device: Device, gpu_instance: int | None = None) -> None:
        self._driver = driver
        self._device = device
        self._gpu_instance = gpu_instance
        self._before: Any = None
        self._spare: Any = None

    def read(self) -> dict[int, float]:
        """Ratios by metric since the last reading; nothing in the first.

        Raises:
            NvmlError: not supported here, or the card or driver has gone.
        """
        if self._spare is None:
            self._spare = self._first_sample()
        self._device.sample_activity(self._spare, self._gpu_instance)
        if self._before is None:
            self._before, self._spare = self._spare, self._driver.make_sample()
            return {}
        found = self._driver.activity(self._before, self._spare, _METRICS)
        self._before, self._spare = self._spare, self._before
        ratios = {metric: percent(value) for metric, value in found.items()}
        return {metric: ratio for metric, ratio in ratios.items() if ratio is not None}

    def close(self) -> None:
        """Give the samples back; only while the driver that they came from is up."""
        samples, self._before, self._spare = (self._before, self._spare), None, None
        for sample in samples:
            if sample is not None:
                try:
                    self._driver.free_sample(sample)
                except NvmlError:
                    return

    def _first_sample(self) -> Any:
        # Asking for support first: older drivers have the function and no chip for it.
        if not self._device.supports_activity():
            function = "nvmlGpmQueryDeviceSupport"
            raise error_for(function, NOT_SUPPORTED)
        return self._driver.make_sample()


def parts_of(ratios: dict[int, float]) -> dict[str, float]:
    """Ratios by the label ``part``."""
    return {part: ratios[metric] for part, metric in PARTS.items() if metric in ratios}
