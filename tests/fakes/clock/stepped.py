"""A process whose wall clock a test steps: a small library, compiled when it is needed and preloaded."""

import shutil
import struct
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("clock.c")
_FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror")


def compiler() -> str | None:
    """The path of the C compiler, None where there is none."""
    return shutil.which("cc")


class SteppedClock:
    """The clock of the processes that are started with ``environment``."""

    def __init__(self, folder: Path) -> None:
        self._library = folder / "libclock.so"
        self._offset = folder / "offset"
        self._offset.write_bytes(struct.pack("q", 0))
        command = [compiler() or "cc", *_FLAGS, "-o", str(self._library), str(_SOURCE)]
        subprocess.run(command, check=True)

    def step(self, seconds: int) -> None:
        """Be so many seconds off the real clock from now on."""
        with self._offset.open("r+b") as file:
            file.write(struct.pack("q", seconds))

    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self._library), "GPUWARDEN_TEST_CLOCK": str(self._offset)}
