"""The rows of the silences, for ``Store.read`` and ``Store.change``.

They are few: at most ``MOST_SILENCES`` are kept, and of the ended ones among them the last ``MOST_ENDED``, for
``KEPT_SECONDS``, as long as Alertmanager does. A row that cannot be read silences nothing; it is left where it is.
"""

import json
import logging
import sqlite3
from dataclasses import replace

from alerts.notify.silence import Silence
from alerts.silence_document import BadSilenceError, document_of, read_silence
from gpuwarden.errors import GpuwardenError, UserInputError

MOST_SILENCES = 1000
MOST_ENDED = 500
KEPT_SECONDS = 5 * 86400.0

_log = logging.getLogger(__name__)


class NoSuchSilenceError(UserInputError, LookupError):
    """There is no silence of this id."""


class TooManySilencesError(GpuwardenError, RuntimeError):
    """There are as many silences as are kept."""


def everything(db: sqlite3.Connection) -> dict[str, Silence]:
    """All of them by id, those that begin first at first."""
    found: list[Silence] = []
    for identity, text in db.execute("SELECT id, CAST(document AS BLOB) FROM silences"):
        try:
            found.append(read_silence(json.loads(text), identity))
        except (BadSilenceError, ValueError, RecursionError) as error:
            _log.error("the silence %r of the state is left out, it cannot be read: %s", identity, str(error)[:300])
    return {silence.id: silence for silence in sorted(found, key=lambda found: (found.starts_at, found.id))}


def put(db: sqlite3.Connection, silence: Silence, now: float) -> None:
    """Keep a new silence, or a changed one in its place.

    Raises:
        TooManySilencesError: there is no room for another.
    """
    db.execute("DELETE FROM silences WHERE ends_at < ?", (now - KEPT_SECONDS,))
    ended = "SELECT id FROM silences WHERE ends_at <= ? ORDER BY ends_at DESC LIMIT -1 OFFSET ?"
    db.execute(f"DELETE FROM silences WHERE id IN ({ended})", (now, MOST_ENDED))  # noqa: S608 -- no text from outside
    (count,) = db.execute("SELECT count(*) FROM silences WHERE id != ?", (silence.id,)).fetchone()
    if count >= MOST_SILENCES:
        message = f"there are {count} silences already, which is as many as are kept: end some that still hold"
        raise TooManySilencesError(message)
    document = json.dumps(document_of(silence, now))
    db.execute("INSERT OR REPLACE INTO silences VALUES (?, ?, ?)", (silence.id, silence.ends_at, document))


def change(db: sqlite3.Connection, silence: Silence, now: float) -> None:
    """Put a silence in the place of the one with its id.

    Raises:
        NoSuchSilenceError: there is none, or it has ended.
    """
    known = everything(db).get(silence.id)
    if known is None or known.has_ended(now):
        message = f"there is no silence {silence.id[:100]!r} that still holds"
        raise NoSuchSilenceError(message)
    put(db, silence, now)


def end(db: sqlite3.Connection, identity: str, now: float) -> None:
    """Let a silence end at ``now`` (Unix seconds); one that has ended stays as it is.

    Raises:
        NoSuchSilenceError: there is none.
    """
    known = everything(db).get(identity)
    if known is None:
        message = f"there is no silence {identity[:100]!r}"
        raise NoSuchSilenceError(message)
    if not known.has_ended(now):
        put(db, replace(known, starts_at=min(known.starts_at, now), ends_at=now, updated_at=now), now)
