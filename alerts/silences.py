"""The alerter's own silences while it runs: what is on the disk, at hand for each decision."""

import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence

from alerts import silence_rows
from alerts.notify.silence import Silence
from alerts.silence_document import parse_silence
from alerts.store import Store


class Silences:
    """Reads them when it is made; every change goes to the disk first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = store.read(silence_rows.everything)

    @property
    def all(self) -> Sequence[Silence]:
        """Pending, active and ended ones, those that begin first at first."""
        return tuple(self._known.values())

    def get(self, identity: str) -> Silence | None:
        """The silence of this id, None where there is none."""
        return self._known.get(identity)

    async def add(self, document: object) -> Silence:
        """Keep what is asked for, in the place of the one whose id it has, if it has one.

        Raises:
            BadSilenceError, NoSuchSilenceError, TooManySilencesError, StoreUnavailableError: nothing was changed.
        """
        work = adding(document, time.time())
        silence = await self._store.call(self._store.change, work)
        self._known = await self._store.call(self._store.read, silence_rows.everything)
        return silence

    async def end(self, identity: str) -> None:
        """Let it end now.

        Raises:
            NoSuchSilenceError, StoreUnavailableError: nothing was changed.
        """
        await self._store.call(self._store.change, silence_rows.end, identity, time.time())
        self._known = await self._store.call(self._store.read, silence_rows.everything)


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
