"""The alerter's own silences while it runs: what is on the disk, at hand for each decision."""

import logging
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from typing import TypeVar

from alerts import silence_rows
from alerts.notify.silence import Silence
from alerts.silence_document import parse_silence
from alerts.store import Store
from gpuwarden.units import format_timestamp

_log = logging.getLogger(__name__)

R = TypeVar("R")


class Silences:
    """Reads them when it is made; every change goes to the disk first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = store.read(silence_rows.everything)

    @property
    def all(self) -> Sequence[Silence]:
        """Pending, active and ended ones, those that begin first at first."""
        return tuple(self._known.values())

    def active(self, now: float) -> int:
        """How many hold at ``now`` (Unix seconds)."""
        return sum(silence.is_active(now) for silence in self._known.values())

    def get(self, identity: str) -> Silence | None:
        """The silence of this id, None where there is none."""
        return self._known.get(identity)

    async def add(self, document: object) -> Silence:
        """Keep what is asked for, in the place of the one whose id it has, if it has one.

        Raises:
            BadSilenceError, NoSuchSilenceError, TooManySilencesError, StoreUnavailableError: nothing was changed.
        """
        silence = await self._change(adding(document, time.time()))
        until, words = format_timestamp(silence.ends_at), " ".join(map(str, silence.matchers))
        _log.info("silence %s until %s, by %s: %s", silence.id, until, silence.created_by or "nobody", words)
        return silence

    async def end(self, identity: str) -> None:
        """Let it end now.

        Raises:
            NoSuchSilenceError, StoreUnavailableError: nothing was changed.
        """
        now = time.time()
        await self._change(lambda db: silence_rows.end(db, identity, now))
        _log.info("silence %s is ended", identity)

    async def _change(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """Change them and read them anew, all or nothing."""
        result, self._known = await self._store.call(
            self._store.change, lambda db: (work(db), silence_rows.everything(db))
        )
        return result


def adding(document: object, now: float) -> Callable[[sqlite3.Connection], Silence]:
    """The transaction that keeps the silence for which ``document`` asks at ``now`` (Unix seconds).

    Raises:
        BadSilenceError: it asks for none; the transaction itself raises as ``Silences.add``.
    """
    identity = str(uuid.uuid4())
    silence = parse_silence(document, now, identity)

    def work(db: sqlite3.Connection) -> Silence:
        (silence_rows.put if silence.id == identity else silence_rows.change)(db, silence, now)
        return silence

    return work
