"""Everything that must survive: one SQLite file in the state folder, owned by one process.

Two transactions carry a mail. ``commit_round`` writes states and the notifications that follow from them, all or
nothing; ``add_message`` writes a notification's final bytes with one delivery per recipient. Whatever is committed is
on the disk (WAL with synchronous=FULL; a message's bytes at the latest when it is claimed), so after any crash the work
goes on from ``uncomposed`` and ``recover``. When the disk takes no more, the call raises and nothing of it is written.
A row that cannot be read is left where it is, logged once, counted in ``unreadable``, and keeps nothing else from being
read.

A store is used by one thread at a time; asyncio code goes through ``call``, which runs on the store's own thread.
"""

import asyncio
import logging
import math
import os
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from alerts import deliveries, flaps, messages, outbox_rows, schema
from alerts.channels import EVERYTHING, Channel
from alerts.deliveries import Delivery, DeliveryState
from alerts.notify.flap import Flap
from alerts.notify.notification import Notification
from alerts.outbox_rows import QueueRow
from alerts.state import AlertKey, State
from alerts.store_file import FILE_NAME, StateInUseError, StoreUnavailableError, connect, take_lock, typed_errors
from alerts.store_records import (
    UnreadableRecordError,
    dump_key,
    dump_notification,
    dump_state,
    load_flap,
    load_key,
    load_notification,
    load_state,
)
from alerts.transport import Message, Outcome, Reply

__all__ = ["FILE_NAME", "StateInUseError", "Store", "StoreUnavailableError"]

_GIBIBYTE = 1 << 30

_log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class Store:
    """The state folder's file, locked for this process until ``close``."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock: int) -> None:
        self.folder = folder
        self.unreadable: frozenset[str] = frozenset()
        """Rows that were met and cannot be read, as people find them in the file."""
        self._connection = connection
        self._lock = lock
        self._turn = threading.Lock()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    @classmethod
    def open(cls, folder: Path, *, max_bytes: int = _GIBIBYTE) -> Self:
        """Open or make the state in ``folder``; it grows to ``max_bytes``, then it is full.

        Raises:
            StateInUseError: another process has it.
            StateDamagedError: it is not whole.
            StoreUnavailableError: it cannot be made, read or written.
            StateFromTheFutureError: it was written by a newer gpuwarden.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = take_lock(folder)
        except StateInUseError:
            raise
        except OSError as error:
            message = f"the state folder {folder} cannot be used: {error.strerror or error}"
            raise StoreUnavailableError(message) from error
        try:
            return cls(folder, connect(folder / FILE_NAME, max_bytes, lock), lock)
        except BaseException:
            os.close(lock)
            raise

    def close(self) -> None:
        """End the calls under way, close the file and let go of the folder."""
        self._executor.shutdown(wait=True)
        with self._turn:
            self._connection.close()
            os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def call(self, method: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run one of this store's methods on its own thread: ``await store.call(store.claim, now)``.

        What has begun is finished even when the caller is cancelled.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: method(*args, **kwargs))

    def load_states(self) -> dict[AlertKey, State]:
        """Every alert that is pending or firing."""
        query = "SELECT CAST(alert AS BLOB), CAST(state AS BLOB) FROM alert_states"
        rows = self.read(lambda db: db.execute(query).fetchall())
        return dict(self._readable((_name_of(row[0]), partial(_load_alert, *row)) for row in rows))

    def load_flaps(self) -> dict[AlertKey, Flap]:
        """Every alert that came and went lately."""
        rows = self.read(flaps.rows)
        return dict(self._readable((_name_of(row[0], "flapping"), partial(_load_flap, *row)) for row in rows))

    def commit_round(
        self,
        states: Mapping[AlertKey, State | None],
        notifications: Sequence[Notification],
        flapping: Mapping[AlertKey, Flap | None] | None = None,
    ) -> None:
        """Remember what a round decided and whom to tell, all or nothing; what is None is forgotten."""
        with self._transaction() as db:
            for key, state in states.items():
                if state is None:
                    db.execute("DELETE FROM alert_states WHERE alert = ?", (dump_key(key),))
                else:
                    db.execute("INSERT OR REPLACE INTO alert_states VALUES (?, ?)", (dump_key(key), dump_state(state)))
            messages.decide(db, notifications)
            flaps.write(db, flapping or {})

    def uncomposed(self, now: float = math.inf) -> list[Notification]:
        """Notifications without a message that can be read and are not held at ``now``, in the order of decision."""
        return list(self._notifications(messages.WAITING, messages.at(now)))

    def notification(self, notification_id: str) -> Notification | None:
        """One notification, with its evidence once it is composed; None where there is none that can be read."""
        query = "SELECT number, CAST(document AS BLOB) FROM notifications WHERE id = ?"
        return next(self._notifications(query, (notification_id,)), None)

    def add_message(
        self, notification_id: str, message: Message, recipients: Sequence[str], told: Notification | None = None
    ) -> None:
        """Keep the final bytes and queue them for each of ``recipients`` (bare addresses), all or nothing.

        ``told`` is the notification with the evidence that went into the mail, kept in place of the one without.
        Adding a message that is there already changes nothing: the bytes that may have been sent are the ones to keep.
        Raises KeyError for a notification that was never committed.

        It reaches the disk with the next commit of another kind: until the mail is claimed, a power loss costs only
        the composing, and a burst of alerts does not wait for the disk twice for each.
        """
        with self._transaction(synced=False) as db:
            if messages.insert(db, (notification_id,), message, recipients) and told:
                _enrich(db, (told,))

    def add_digest(self, told: Sequence[Notification], message: Message, recipients: Sequence[str], now: float) -> None:
        """Keep one message that tells of all of ``told``, with their evidence; queued at ``now`` (Unix seconds).

        As with ``add_message``, one that is there stays, and KeyError is for what was never committed.
        """
        with self._transaction(synced=False) as db:
            if messages.insert(db, [item.id for item in told], message, recipients, now):
                _enrich(db, told)

    def message_id(self, notification_id: str) -> str | None:
        """The Message-ID of the mail that tells of a notification: what a later mail of its thread answers."""
        return self.read(messages.message_id, notification_id)

    def recover(self) -> int:
        """At start: queue again what was being sent when the last process ended; how many those are."""
        return self.change(deliveries.recover)

    def claim(self, now: float, channel: Channel = EVERYTHING) -> Delivery | None:
        """Take the longest due delivery; committed as being sent before this returns."""
        return self.change(deliveries.claim, now, channel)

    def accepted(self, delivery: Delivery, reply: Reply, now: float, further: Channel | None = None) -> Delivery | None:
        """The server has said 250 to the end of the mail; in the same commit, claim the next of ``further``."""
        with self._transaction() as db:
            deliveries.accepted(db, delivery, reply, now)
            return deliveries.claim(db, now, further) if further else None

    def deferred(self, delivery: Delivery, outcome: Outcome, words: str, next_at: float) -> None:
        """It was not accepted; try again at ``next_at``."""
        self.change(deliveries.deferred, delivery, outcome, words, next_at)

    def dead(self, delivery: Delivery, outcome: Outcome, words: str, now: float) -> None:
        """It will not be accepted; keep it visible."""
        self.change(deliveries.dead, delivery, outcome, words, now)

    def next_due(self, channel: Channel = EVERYTHING) -> float | None:
        """When the next delivery can be claimed (Unix seconds), None when none waits."""
        return self.read(deliveries.next_due, channel)

    def queue(self, limit: int = 1000) -> list[QueueRow]:
        """What waits, is being sent or is dead, oldest first."""
        return self.read(outbox_rows.unsettled, limit)

    def counts(self) -> dict[DeliveryState, int]:
        """Deliveries by state."""
        return self.read(deliveries.counts)

    def oldest_waiting(self) -> float | None:
        """When the oldest unsettled delivery was queued (Unix seconds)."""
        return self.read(deliveries.oldest_waiting)

    def probe(self) -> None:
        """Write something that changes nothing: raises StoreUnavailableError where the disk takes nothing."""
        self.change(lambda db: db.execute(f"PRAGMA user_version = {len(schema.STEPS)}"))

    def prune(self, before: float) -> int:
        """Drop notifications decided before ``before`` that every recipient has; how many.

        The first of an incident that still fires, and that of its thread, stay: the mail about its end answers them.
        """
        held = [flap.held.told for flap in self.load_flaps().values() if flap.held]
        told = (*self.load_states().values(), *held)
        return self.change(
            messages.prune, before, frozenset(name for state in told for name in (state.incident, state.root))
        )

    def _notifications(self, query: str, values: Sequence[str] | Mapping[str, float]) -> Iterator[Notification]:
        rows = self.read(lambda db: db.execute(query, values).fetchall())
        return self._readable(
            (f"notification number {number}", partial(load_notification, text)) for number, text in rows
        )

    def _readable(self, rows: Iterable[tuple[str, Callable[[], R]]]) -> Iterator[R]:
        for name, load in rows:
            try:
                yield load()
            except UnreadableRecordError as error:
                if name not in self.unreadable:
                    _log.error("the %s in %s is left out, %s", name, self.folder / FILE_NAME, error)
                    self.unreadable |= {name}

    def read(self, work: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``work`` on the file: ``await store.call(store.read, silences.all)``."""
        with self._turn, typed_errors(self.folder):
            return work(self._connection, *args, **kwargs)

    def change(self, work: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``work`` as one transaction, all or nothing."""
        with self._transaction() as db:
            return work(db, *args, **kwargs)

    @contextmanager
    def _transaction(self, *, synced: bool = True) -> Generator[sqlite3.Connection, None, None]:
        """One transaction, on the disk at its end where ``synced``, else in order before the next that is."""
        with self._turn, typed_errors(self.folder):
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def _enrich(db: sqlite3.Connection, told: Iterable[Notification]) -> None:
    rows = [(dump_notification(item), item.id) for item in told]
    db.executemany("UPDATE notifications SET document = ? WHERE id = ?", rows)


def _load_alert(key: bytes, state: bytes) -> tuple[AlertKey, State]:
    return load_key(key), load_state(state)


def _load_flap(key: bytes, flap: bytes) -> tuple[AlertKey, Flap]:
    return load_key(key), load_flap(flap)


def _name_of(key: bytes, what: str = "state") -> str:
    return f"{what} of {key.decode('ascii', 'backslashreplace')[:300]}"
