"""What is looked at while a run is under way, at the moments that its child tells of."""

from collections.abc import Callable, Mapping

from exporter.latency.during import During
from exporter.latency.figures import MEASURING
from exporter.latency.targets import Target
from exporter.latency.watch import Watch
from exporter.sampler import Sampler
from exporter.snapshot import Gpu, Host
from exporter.sources.reader import Part

_FRESH_SECONDS = 0.4
"""How long a card may take to be read: whoever waits longer cannot end a run within a second."""


def card_called(uuid: str) -> Callable[[Part], Gpu | None]:
    """To find this card in what a source has read."""
    return lambda part: next((gpu for gpu in part.gpus if gpu.uuid == uuid), None)


def host_of(part: Part) -> Host | None:
    """To find the host in what a source has read."""
    return part.host


class Meanwhile:
    """Answers a child while it runs; used by the thread that runs it."""

    def __init__(self, sampler: Sampler, watch: Watch, target: Target, during: During) -> None:
        self._sampler = sampler
        self._watch = watch
        self._target = target
        self._during = during
        self.phase = ""

    def _fresh(self) -> Gpu | None:
        if not self._target.on_card:
            return None
        return self._sampler.read_now(card_called(self._target.uuid), _FRESH_SECONDS)

    def on_phase(self, phase: str, _line: Mapping[str, object]) -> None:
        """A phase begins."""
        self.phase = phase
        if phase in MEASURING:
            self._watch.mark(self._during, "start", self._fresh())

    def at_barrier(self, pid: int) -> Mapping[str, object]:
        """Everything is in memory."""
        self._watch.mark(self._during, "end", self._fresh(), pid)
        return {}
