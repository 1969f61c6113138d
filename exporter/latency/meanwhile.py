"""What is looked at while a run is under way, at the moments that its child tells of."""

from collections.abc import Callable, Mapping

from exporter.latency.admission import Limits, Skip, newcomer
from exporter.latency.during import During
from exporter.latency.figures import ABOUT_TO_TAKE, MEASURING
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


class WithdrawnError(Exception):
    """The run must not go on."""

    def __init__(self, skip: Skip) -> None:
        super().__init__(skip.reason)
        self.skip = skip


class Meanwhile:
    """Answers a child while it runs; used by the thread that runs it."""

    def __init__(self, sampler: Sampler, watch: Watch, target: Target, during: During, limits: Limits) -> None:
        self._sampler = sampler
        self._watch = watch
        self._target = target
        self._during = during
        self._limits = limits
        self.phase = ""

    def _fresh(self) -> Gpu | None:
        if not self._target.on_card:
            return None
        return self._sampler.read_now(card_called(self._target.uuid), _FRESH_SECONDS)

    def on_phase(self, phase: str, _line: Mapping[str, object]) -> None:
        """A phase begins.

        Raises:
            WithdrawnError: it must not.
        """
        self.phase = phase
        if phase == ABOUT_TO_TAKE and (gpu := self._fresh()) is not None:
            skip = newcomer(gpu, self._watch.lately(gpu), self._limits)
            if skip is not None:
                raise WithdrawnError(skip)
        if phase in MEASURING:
            self._watch.mark(self._during, "start", self._fresh())

    def at_barrier(self, pid: int) -> Mapping[str, object]:
        """Everything is in memory."""
        self._watch.mark(self._during, "end", self._fresh(), pid)
        return {}
