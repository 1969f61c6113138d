"""The cards of this box: those that the driver shows, and those that it once showed and nobody has forgotten.

A card has one worker for as long as it is known, through losses, driver restarts and restarts of the exporter. One
that is remembered from an earlier run and not there is read like a lost one: not up, looked for by its UUID.

Energy that is integrated here is published only as far as it stands in the file, so that after a crash the counter
goes on from where readers saw it last; where no file can be kept it is published as it is.
"""

from collections.abc import Callable

from exporter.accumulators import Accumulators
from exporter.known_cards import KnownCard, KnownCards
from exporter.processes.labels import clean_label
from exporter.sampler import Sampler
from exporter.sources.nvml.errors import GPU_IS_LOST, GpuLostError
from exporter.sources.nvml.inventory import Inventory
from exporter.sources.nvml.worker import CardWorker

MakeWorker = Callable[[str, str, Accumulators], CardWorker]
"""Makes the worker of a card from its source's name, its UUID and its memory."""


class Roster:
    """Used by the session's thread; ``expected`` is how many cards should be here, None for as many as are known."""

    def __init__(self, sampler: Sampler, make: MakeWorker, known: KnownCards, expected: int | None) -> None:
        self._sampler = sampler
        self._make = make
        self._known = known
        self._expected = expected
        self._cards: dict[str, CardWorker] = {}
        self._memories: dict[str, Accumulators] = {}
        self._listed: set[str] = set()
        for uuid, card in known.cards().items():
            self._join(uuid, card)

    @property
    def workers(self) -> tuple[CardWorker, ...]:
        """All cards that are known."""
        return tuple(self._cards.values())

    @property
    def expected(self) -> int | None:
        """How many cards should be here; None when nobody has said so and none was ever seen."""
        return (len(self._cards) or None) if self._expected is None else self._expected

    def take(self, inventory: Inventory, *, restarted: bool) -> None:
        """Give the cards of the inventory their handles, and take those away that are not in it."""
        for uuid, (index, device) in inventory.found.items():
            card = self._cards.get(uuid) or self._join(uuid, KnownCard(index))
            card.attach(index, device, inventory.versions, restarted=restarted)
        for uuid, card in self._cards.items():
            # While some card cannot be opened, a missing one may be that one; its old handle then speaks for itself.
            if uuid not in inventory.found and (restarted or not inventory.unknown):
                card.detach(GpuLostError("the card has gone from the driver's list", GPU_IS_LOST))

    def list_new(self) -> None:
        """Have every card read that is not read yet."""
        for uuid, card in self._cards.items():
            if uuid not in self._listed:
                self._listed.add(uuid)
                self._sampler.add(card, card.absent)

    def remember(self) -> None:
        """Bring the file up to date, and let go of cards that somebody has forgotten and that are not here."""
        written = {uuid: memory.energy_joules for uuid, memory in self._memories.items()}
        for uuid, card in self._cards.items():
            if card.standing.attached:
                self._known.seen(uuid, card.index, card.info, written[uuid])
        forgotten, kept = self._known.exchange()
        for uuid, joules in written.items():
            if joules is not None:
                self._memories[uuid].keep(joules if kept else None)
        for uuid in forgotten:
            card = self._cards.get(uuid)
            if card is not None and not card.standing.attached:
                self._leave(uuid, card)

    def close(self) -> None:
        """Have no card read any more."""
        for card in self.workers:
            self._sampler.remove(card.source)

    def _join(self, uuid: str, card: KnownCard) -> CardWorker:
        # A source keeps its name for life, so an index that was taken over from a card that is gone is not free.
        name = f"nvml/{card.index}"
        if any(other.source == name for other in self._cards.values()):
            name = f"nvml/{clean_label(uuid)}"
        memory = self._memories.setdefault(uuid, Accumulators(card.energy_joules))
        worker = self._make(name, uuid, memory)
        worker.recall(card.index, card.info)
        self._cards[uuid] = worker
        return worker

    def _leave(self, uuid: str, card: CardWorker) -> None:
        self._sampler.remove(card.source)
        self._listed.discard(uuid)
        del self._cards[uuid], self._memories[uuid]
