"""The store's file on the disk: locked for one process, every commit safe, faults of the disk as one typed error.

A damaged file is refused at the start, and left exactly as it is: what is not read cannot be lost by us, and to begin
with an empty one would forget what waits. Only a person sets it aside (``gpuwarden state set-aside``). SQLite takes a
file that was cut off to nothing for a new one, so the lock file remembers that there was a state here.
"""

import datetime as dt
import fcntl
import logging
import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from alerts import schema
from gpuwarden.errors import GpuwardenError

FILE_NAME = "alerter.sqlite3"
_LOCK_NAME = "alerter.lock"
_MADE = b"made\n"
_BUSY_MILLISECONDS = 5000
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PRIMARY_CODE = 0xFF

_log = logging.getLogger(__name__)


class StoreUnavailableError(GpuwardenError, OSError):
    """The state cannot be read or written now (disk full, read-only, damaged); nothing was changed."""


class StateDamagedError(StoreUnavailableError):
    """The state file is not whole; nothing in it was changed."""

    def __init__(self, folder: Path, words: str) -> None:
        super().__init__(
            f"the state file {folder / FILE_NAME} is damaged ({words}). Nothing in it was changed. Put a backup in its "
            "place, or read docs/state.md on what can be saved; `gpuwarden state set-aside` keeps it under another "
            "name, and the next start begins without it"
        )


class StateInUseError(GpuwardenError, BlockingIOError):
    """Another alerter works with this state folder."""


@contextmanager
def typed_errors(folder: Path) -> Generator[None, None, None]:
    """Raise StoreUnavailableError for what the disk or the file does, but let faults of ours through."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise  # a fault of ours, not of the disk
    except StoreUnavailableError:
        raise
    except (sqlite3.DatabaseError, OSError) as error:
        if getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE in _DAMAGE:
            raise StateDamagedError(folder, str(error)) from error
        message = f"the state in {folder} is not available: {error}"
        raise StoreUnavailableError(message) from error


def take_lock(folder: Path) -> int:
    """Make ``folder`` this process's own for as long as the descriptor is open; raises StateInUseError, OSError."""
    lock = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        message = f"another alerter works with the state folder {folder}"
        raise StateInUseError(message) from error
    return lock


def connect(path: Path, max_bytes: int, lock: int) -> sqlite3.Connection:
    """Open or make the file at ``path``, in the version that this code reads; it grows to ``max_bytes``.

    Raises:
        StateDamagedError, StoreUnavailableError, StateFromTheFutureError
    """
    with typed_errors(path.parent):
        _refuse_emptied(path, lock)
        if path.exists() and path.stat().st_size:
            with opened_whole(path.parent):
                pass
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.text_factory = any_text
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
            schema.migrate(connection)
            page_size = int(connection.execute("PRAGMA page_size").fetchone()[0])
            connection.execute(f"PRAGMA max_page_count = {max_bytes // page_size}")
            os.pwrite(lock, _MADE, 0)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def opened_whole(folder: Path) -> Generator[sqlite3.Connection, None, None]:
    """The state file, opened to be read and not changed, once it is known to be whole.

    A damaged letter within a text is not noticed here.

    Raises:
        StateDamagedError, StoreUnavailableError
    """
    with typed_errors(folder):
        connection = sqlite3.connect(f"file:{quote(str(folder / FILE_NAME))}?mode=ro", uri=True)
        connection.text_factory = any_text
        try:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != ("ok",):
                raise StateDamagedError(folder, " ".join(str(found[0]).split()))
            yield connection
        finally:
            connection.close()


def set_aside(folder: Path) -> Path:
    """Keep the state file and what belongs to it under another name; the new path of the file itself."""
    end = f".damaged-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}"
    lock = take_lock(folder)
    try:
        for name in (f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", FILE_NAME):
            if (folder / name).exists():
                (folder / name).rename(folder / f"{FILE_NAME}{end}{name.removeprefix(FILE_NAME)}")
        os.ftruncate(lock, 0)
    finally:
        os.close(lock)
    return folder / f"{FILE_NAME}{end}"


def any_text(raw: bytes) -> str:
    """A damaged letter must not keep all other rows from being read."""
    return raw.decode("utf-8", "replace")


def _refuse_emptied(path: Path, lock: int) -> None:
    if os.pread(lock, len(_MADE), 0) != _MADE:
        return
    if not path.exists():
        _log.warning("the state file %s has been removed since the last start; beginning without it", path)
    elif not path.stat().st_size:
        raise StateDamagedError(path.parent, "it is empty")
