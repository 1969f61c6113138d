"""What every source looks like to the sampler: one blocking read, called from one thread that is its own."""

from dataclasses import dataclass
from typing import Protocol

from exporter.snapshot import Gpu, Host
from gpuwarden.errors import GpuwardenError


@dataclass(frozen=True, slots=True)
class Part:
    """One source's share of a snapshot; ``detail`` is what a person should know of a source that is well itself."""

    gpus: tuple[Gpu, ...] = ()
    host: Host | None = None
    simulated: bool = False
    detail: str = ""
    gpus_expected: int | None = None


class Reader(Protocol):
    """A source: ``source`` names it in health rows and logs ("nvml/0", "host", "demo")."""

    source: str

    def read(self) -> Part:
        """Read everything once; may block for as long as the device does.

        Raises:
            SourceError: nothing could be read; any other exception is taken the same way, without a part.
        """
        ...


class SourceError(GpuwardenError, RuntimeError):
    """A source gave no reading; the message is one line for a person.

    ``part`` is what can still be said, such as a card that does not answer; None leaves that to the sampler, which
    then marks the source's last cards as lost. ``quiet`` errors follow from another source's error, which is the one
    that is logged.
    """

    def __init__(self, message: str, part: Part | None = None, *, quiet: bool = False) -> None:
        super().__init__(message)
        self.part = part
        self.quiet = quiet
