"""Why a probe was not started: the words of label, log and status page, in one place."""

from collections.abc import Mapping
from types import MappingProxyType

NO_INTERPRETER, NO_TORCH, WRONG_CUDA, NO_CUDA = "no_interpreter", "no_torch", "wrong_cuda", "no_cuda"
NO_READING, MIG, COMPUTE_MODE = "no_reading", "mig", "compute_mode"
NOT_BEGUN, NOT_ENDED, BATTERY = "not_begun", "not_ended", "battery"
VRAM, MEMORY, THERMAL, UNWATCHED = "vram", "memory", "thermal", "unwatched"
NEW_PROCESS, MEMORY_MOVES, BUSY, DUTY_CYCLE, MISSED = "new_process", "memory_moves", "busy", "duty_cycle", "missed"

WORDS: Mapping[str, str] = MappingProxyType(
    {
        NO_INTERPRETER: "the Python of exporter.probe.python cannot be started",
        NO_TORCH: "torch is not installed, or cannot be loaded",
        WRONG_CUDA: "torch and the driver or card do not fit together",
        NO_CUDA: "torch sees no usable card",
        NO_READING: "the card or host gave no reading",
        MIG: "the card is divided (MIG)",
        COMPUTE_MODE: "the card's compute mode is not Default",
        NOT_BEGUN: "torch was not loaded in time: the processors are busy, or a disk is slow",
        NOT_ENDED: "an earlier run could not be ended and is still there",
        BATTERY: "the machine was on its battery",
        VRAM: "too little memory was free on the card",
        MEMORY: "too little main memory was free",
        THERMAL: "the card was hot or held down",
        UNWATCHED: "it had not been watched for long enough",
        NEW_PROCESS: "a process on the card was new",
        MEMORY_MOVES: "the memory in use was changing",
        BUSY: "it was busy",
        DUTY_CYCLE: "the probe had used up its share of the time",
        MISSED: "an earlier run took too long",
    }
)
"""In words, for the status page."""

OF_THE_INTERPRETER = frozenset({NO_INTERPRETER, NO_TORCH, WRONG_CUDA, NO_CUDA})
"""Nothing was wrong with card or model: the probe itself does not work, and says so as a source."""

PASSES: Mapping[str, float] = MappingProxyType(
    {UNWATCHED: 5.0, DUTY_CYCLE: 5.0, BUSY: 30.0, NEW_PROCESS: 30.0, MEMORY_MOVES: 30.0}
)
"""These pass by themselves: the run is put off, not left out, and tried again after so many seconds.

On a card that somebody works at, quiet moments are short and seldom fall on the grid of the schedule.
"""

_OF_ALL = (NO_INTERPRETER, NO_TORCH, NO_READING, NOT_BEGUN, NOT_ENDED, BATTERY, MEMORY)
ON_THE_PROCESSOR = (*_OF_ALL, UNWATCHED, BUSY, DUTY_CYCLE, MISSED)
ON_A_CARD = (*ON_THE_PROCESSOR, WRONG_CUDA, NO_CUDA, MIG, COMPUTE_MODE, VRAM, THERMAL, NEW_PROCESS, MEMORY_MOVES)
"""Those that are counted from 0 on."""
