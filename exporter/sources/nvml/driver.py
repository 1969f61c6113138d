"""The NVIDIA driver as a library: the only importer of pynvml.

pynvml is loaded at the first call, so an exporter on a box without GPUs never pays for it. Every failure leaves here
as a typed ``NvmlError``; no null handle goes in, since ctypes would let the library follow it.
"""

import logging
from collections.abc import Sequence
from typing import Any

from exporter.sources.nvml.errors import GPU_IS_LOST, INVALID_ARGUMENT, SUCCESS, GpuLostError, NvmlError, error_for

logger = logging.getLogger(__name__)


class Handle:
    """One card's ``nvmlDevice_t``, never null; valid until the driver is shut down."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        if not value:
            message = "the driver gave no handle for the card"
            raise GpuLostError(message, GPU_IS_LOST)
        self.value = value


class Driver:
    """NVML, loaded lazily; every method may block and may raise ``NvmlError``."""

    def __init__(self) -> None:
        self._pynvml: Any = None
        self._started = False

    def start(self) -> None:
        """Load the library if it is not loaded, and initialise it (``nvmlInitWithFlags``)."""
        self.call("nvmlInit")
        self._started = True

    def shutdown(self) -> None:
        """Undo ``start``, if there was one; a driver that has gone is no error. No other call may be in flight."""
        if self._started:
            self._started = False
            try:
                self.call("nvmlShutdown")
            except NvmlError as error:
                # A driver that has gone cannot say goodbye; whether it is well again, the next start tells.
                logger.info("nvml: shutting down: %s", error)

    def call(self, function: str, *arguments: Any) -> Any:
        """Call pynvml's ``function``; a ``Handle`` among the arguments is unwrapped, bytes come back as text."""
        library = self._library()
        plain = [argument.value if isinstance(argument, Handle) else argument for argument in arguments]
        if any(argument is None for argument in plain):
            raise error_for(function, INVALID_ARGUMENT)
        try:
            return text_of(getattr(library, function)(*plain))
        except UnicodeDecodeError as error:
            # pynvml decodes strictly; the bytes that it choked on are the whole answer.
            return error.object.decode(errors="replace")
        except library.NVMLError as error:
            code: int = error.value
        raise error_for(function, code)

    def card_count(self) -> int:
        """``nvmlDeviceGetCount_v2``."""
        return int(self.call("nvmlDeviceGetCount"))

    def card_at(self, index: int) -> Handle:
        """``nvmlDeviceGetHandleByIndex_v2``; may fail for one card and succeed for the next."""
        return Handle(self.call("nvmlDeviceGetHandleByIndex", index))

    def card_called(self, uuid: str) -> Handle:
        """``nvmlDeviceGetHandleByUUID``."""
        return Handle(self.call("nvmlDeviceGetHandleByUUID", uuid))

    def driver_version(self) -> str:
        """``nvmlSystemGetDriverVersion``, such as ``570.148.08``."""
        return str(self.call("nvmlSystemGetDriverVersion"))

    def cuda_version(self) -> str:
        """``nvmlSystemGetCudaDriverVersion_v2`` as people write it: 12040 is ``12.4``."""
        number = int(self.call("nvmlSystemGetCudaDriverVersion_v2"))
        return f"{number // 1000}.{number % 1000 // 10}"

    def process_name(self, pid: int) -> str:
        """``nvmlSystemGetProcessName``: a path, on some systems with arguments behind it."""
        return str(self.call("nvmlSystemGetProcessName", pid))

    def make_event_set(self) -> Any:
        """``nvmlEventSetCreate``; the set ends with ``shutdown``."""
        return self.call("nvmlEventSetCreate")

    def free_event_set(self, events: Any) -> None:
        """``nvmlEventSetFree``; never after ``shutdown``, which has freed it."""
        self.call("nvmlEventSetFree", events)

    def next_event(self, events: Any, milliseconds: int) -> tuple[int, int]:
        """``nvmlEventSetWait_v2``: ``nvmlEventType*`` and the event's data.

        Raises:
            NvmlError: with the code ``TIMEOUT`` when nothing has happened.
        """
        data = self.call("nvmlEventSetWait_v2", events, milliseconds)
        return data.eventType, data.eventData

    def make_sample(self) -> Any:
        """``nvmlGpmSampleAlloc``."""
        return self.call("nvmlGpmSampleAlloc")

    def free_sample(self, sample: Any) -> None:
        """``nvmlGpmSampleFree``."""
        self.call("nvmlGpmSampleFree", sample)

    def activity(self, first: Any, second: Any, metrics: Sequence[int]) -> dict[int, float]:
        """``nvmlGpmMetricsGet``: by ``NVML_GPM_METRIC_*`` what happened between two samples, as far as it is known."""
        library = self._library()
        asked = library.c_nvmlGpmMetricsGet_t()
        asked.version = library.NVML_GPM_METRICS_GET_VERSION
        asked.numMetrics = len(metrics)
        asked.sample1, asked.sample2 = first, second
        for place, metric in enumerate(metrics):
            asked.metrics[place].metricId = metric
        self.call("nvmlGpmMetricsGet", asked)
        answers = asked.metrics[: len(metrics)]
        return {answer.metricId: answer.value for answer in answers if answer.nvmlReturn == SUCCESS}

    def _library(self) -> Any:
        if self._pynvml is None:
            import pynvml  # noqa: PLC0415 -- only who asks for GPUs loads it  # pyright: ignore[reportMissingTypeStubs]

            self._pynvml = pynvml
        return self._pynvml


def text_of(answer: Any) -> Any:
    """Text for bytes, anything else as it came: pynvml decodes what it returns but not what stands in structures."""
    return answer.decode(errors="replace") if isinstance(answer, bytes) else answer
