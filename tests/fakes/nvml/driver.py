"""An NVIDIA driver without a card: the real nvidia-ml-py in a real process loads a library that reads a page of ours.

The library is found through LD_LIBRARY_PATH and the page through FAKE_NVML_STATE; the program under test knows neither.
All words of the page may be written at any moment while that program runs. What the fake keeps to:

- A call is counted when it is entered; then it waits while a test lets it hang; only then it is decided what it
  answers, in this order: no session (UNINITIALIZED), driver away, handle of an earlier driver (INVALID_ARGUMENT), card
  gone or failing as a whole, order of the test for this call, the value. It is counted again when it returns.
- nvmlInit counts its users, as the real one does. A reload makes every session stale: UNINITIALIZED until the library
  is shut down as often as it was initialised, and initialised again. After an upgrade a process that had loaded the
  library before gets LIB_RM_VERSION_MISMATCH from nvmlInit for ever.
- A NULL device handle aborts the process, since it crashes the real library.
"""

import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fakes.nvml import layout, table
from tests.fakes.nvml.build import build_library
from tests.fakes.nvml.calls import DEADLINE, CallRow
from tests.fakes.nvml.codes import Return
from tests.fakes.nvml.gpu import FakeGpu
from tests.fakes.nvml.profiles import PROFILES

DRIVER_VERSION = "580.95.05"
_CUDA_VERSION = 13_000


class FakeDriver:
    """A driver with cards. Use :meth:`create`; as a context manager it releases every hanging call at the end."""

    def __init__(self, state: Path, library: Path) -> None:
        self._state = state
        self._library = library
        with state.open("w+b") as file:
            file.truncate(layout.ctypes.sizeof(layout.Page))
            self._page = layout.Page.from_buffer(mmap.mmap(file.fileno(), 0))
        self.gpus: list[FakeGpu] = []
        self.system = CallRow(self._page, table.SYSTEM_ROW, table.SYSTEM_CALLS)
        self._page.layout = layout.layout_number()
        self._page.generation = 1
        self._page.cuda_version = _CUDA_VERSION
        self._set_version(DRIVER_VERSION)

    @classmethod
    def create(cls, directory: Path, profiles: Sequence[str] = ("rtx-3060",)) -> Self:
        """A loaded driver with one card per name in ``profiles``; its page is a file in ``directory``."""
        driver = cls(directory / "nvml-state", build_library())
        for profile in profiles:
            driver.add_gpu(profile)
        return driver

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let every hanging call go on, so that no process of the test stays behind."""
        self.release()

    def environment(self) -> dict[str, str]:
        """What a process needs besides its own environment to find this driver."""
        path = [str(self._library), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        return {"LD_LIBRARY_PATH": os.pathsep.join(path), "FAKE_NVML_STATE": str(self._state)}

    def gpu(self, slot: int) -> FakeGpu:
        """The card that was put in as number ``slot``, present or not."""
        return self.gpus[slot]

    def add_gpu(self, profile: str) -> FakeGpu:
        """Put one more card in; ValueError when the box is full."""
        if len(self.gpus) == table.MAX_GPUS:
            message = f"the page holds {table.MAX_GPUS} cards"
            raise ValueError(message)
        gpu = FakeGpu(self._page, len(self.gpus), PROFILES[profile])
        self.gpus.append(gpu)
        return gpu

    @property
    def count(self) -> int:
        """How many cards are present."""
        return sum(gpu.present for gpu in self.gpus)

    @count.setter
    def count(self, count: int) -> None:
        """The first ``count`` cards are present, the others are not."""
        for number, gpu in enumerate(self.gpus):
            gpu.present = number < count

    @property
    def version(self) -> str:
        """The version of the loaded driver."""
        return self._page.driver_version.decode()

    def _set_version(self, version: str) -> None:
        self._page.driver_version = version.encode()
        self._page.nvml_version = f"13.{version}".encode()

    def unload(self, code: Return = Return.DRIVER_NOT_LOADED) -> None:
        """The driver goes: every call of a session answers ``code``, nvmlInit DRIVER_NOT_LOADED."""
        self._page.unloaded = code

    def load(self, version: str | None = None) -> None:
        """The driver comes back, as a new one: sessions and handles of the earlier are stale, counters start at 0."""
        if version:
            self._set_version(version)
        for gpu in self.gpus:
            gpu.reset_counters()
        self._page.generation += 1
        self._page.unloaded = Return.SUCCESS

    def upgrade(self, version: str = "590.44.01") -> None:
        """Reload as another version: only a process that starts from now on gets a session."""
        self.unload()
        self._page.upgrades += 1
        self.load(version)

    def fail_system(self, call: str, code: Return) -> None:
        """From now on this driver-wide call answers ``code``."""
        self.system.fail(call, code)

    def heal(self) -> None:
        """Take back every order to fail, on every card and driver-wide."""
        for row in (self.system, *self.gpus):
            row.heal()

    def release(self) -> None:
        """Let every hanging call go on."""
        for row in (self.system, *self.gpus):
            row.release()

    def calls(self, call: str) -> int:
        """How often the call was begun, driver-wide and on all cards together."""
        return sum(row.entered(call) for row in (self.system, *self.gpus))

    def wait_for_calls(self, slot: int | None, call: str, count: int, deadline: float = DEADLINE) -> None:
        """Until the call has returned ``count`` times on the card (None: driver-wide), else AssertionError."""
        row = self.system if slot is None else self.gpus[slot]
        row.wait_for(call, count, deadline)
