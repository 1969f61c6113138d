"""The cards that were ever seen here, in a small file: a card that is gone is missed until somebody forgets it.

One JSON document, replaced as a whole (written beside it, synced, renamed), so a crash leaves the old or the new one.
Two processes write it, the exporter and ``gpuwarden exporter forget``, under a lock. A card that stood in the file when
we last looked and no longer does was forgotten by the other. A folder that cannot be written costs the memory over
restarts and nothing else: that is said once, and tried again.
"""

import contextlib
import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from gpuwarden.errors import GpuwardenError

logger = logging.getLogger(__name__)

FILE = "cards.json"
_MOST_CARDS = 256
_SEEN_EVERY = 3600.0


@dataclass(frozen=True, slots=True)
class KnownCard:
    """A card as it was last seen; ``energy_joules`` only where it is integrated here, ``seen_at`` in Unix seconds."""

    index: str
    info: Mapping[str, str] = field(default_factory=dict[str, str])
    energy_joules: float | None = None
    seen_at: float = 0.0


class StateFolderError(GpuwardenError, OSError):
    """The file of known cards can be neither read nor written."""


class KnownCards:
    """The cards by UUID; safe to share between threads."""

    def __init__(self, folder: Path | None, wall: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._wall = wall
        self._lock = threading.Lock()
        self._cards = (_read(folder / FILE) or {}) if folder else {}
        self._in_file = dict(self._cards)
        self._complaint = ""

    def cards(self) -> dict[str, KnownCard]:
        """A copy of all that is known."""
        with self._lock:
            return dict(self._cards)

    def seen(self, uuid: str, index: str, info: Mapping[str, str], energy_joules: float | None) -> None:
        """Take in what a card looks like now."""
        with self._lock:
            before, now = self._cards.get(uuid), self._wall()
            if before is None and len(self._cards) >= _MOST_CARDS:
                return
            card = KnownCard(index, dict(info), energy_joules, now)
            # To the hour, so that a box with nothing new to say is not written to all day.
            fresh = before is not None and abs(now - before.seen_at) < _SEEN_EVERY
            self._cards[uuid] = replace(card, seen_at=before.seen_at) if before is not None and fresh else card

    def exchange(self) -> tuple[frozenset[str], bool]:
        """Write what is new; returns the cards that somebody else has forgotten, and whether the file could be kept."""
        with self._lock:
            if self._folder is None:
                return frozenset(), False
            try:
                forgotten = self._exchange(self._folder)
            except OSError as error:
                text = f"known cards are not kept over a restart: {self._folder}: {error.strerror or error}"
                if text != self._complaint:
                    logger.warning("%s", text)
                self._complaint = text
                return frozenset(), False
            self._complaint = ""
            return forgotten, True

    def _exchange(self, folder: Path) -> frozenset[str]:
        with _locked(folder):
            readable = _read(folder / FILE)
            there = {} if readable is None else readable
            # A file that cannot be read says nothing of any card.
            forgotten = frozenset[str]() if readable is None else frozenset(self._in_file) - frozenset(there)
            self._cards = {**there, **{uuid: card for uuid, card in self._cards.items() if uuid not in forgotten}}
            if self._cards != there:
                _write(folder / FILE, self._cards)
            self._in_file = dict(self._cards)
        return forgotten

    def forget(self, uuid: str) -> KnownCard | None:
        """Strike a card out of the file; the one that was there, None if there was none.

        Raises:
            StateFolderError: the folder cannot be written.
        """
        if self._folder is None:
            return None
        try:
            with _locked(self._folder):
                there = _read(self._folder / FILE) or {}
                card = there.pop(uuid, None)
                if card is not None:
                    _write(self._folder / FILE, there)
        except OSError as error:
            message = f"{self._folder}: {error.strerror or error}"
            raise StateFolderError(message) from error
        return card


@contextlib.contextmanager
def _locked(folder: Path) -> Generator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{FILE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> dict[str, KnownCard] | None:
    """The cards of the file, none where there is no file; None, and a word in the log, when it cannot be read."""
    try:
        document = json.loads(path.read_text())
        return {str(uuid): _card(entry) for uuid, entry in document["cards"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning("%s cannot be read, so no earlier card is known: %s", path, error)
        return None


def _card(entry: Mapping[str, Any]) -> KnownCard:
    info = cast("Mapping[object, object]", entry.get("info") or {})
    energy = entry.get("energy_joules")
    card = KnownCard(str(entry["index"]), {str(key): str(value) for key, value in info.items()})
    return replace(
        card, energy_joules=None if energy is None else float(energy), seen_at=float(entry.get("seen_at", 0.0))
    )


def _write(path: Path, cards: Mapping[str, KnownCard]) -> None:
    beside = path.with_suffix(".new")
    with beside.open("w") as file:
        json.dump({"cards": {uuid: asdict(card) for uuid, card in cards.items()}}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
