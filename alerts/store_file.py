"""The store's file on the disk: locked for one process, every commit safe, faults of the disk as one typed error."""

import fcntl
import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from alerts import schema
from gpuwarden.errors import GpuwardenError

FILE_NAME = "alerter.sqlite3"
_LOCK_NAME = "alerter.lock"
_BUSY_MILLISECONDS = 5000


class StoreUnavailableError(GpuwardenError, OSError):
    """The state cannot be read or written now (disk full, read-only, damaged); nothing was changed."""


class StateInUseError(GpuwardenError, BlockingIOError):
    """Another alerter works with this state folder."""


@contextmanager
def typed_errors(folder: Path) -> Generator[None, None, None]:
    """Raise StoreUnavailableError for what the disk or the file does, but let faults of ours through."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise  # a fault of ours, not of the disk
    except (sqlite3.DatabaseError, OSError) as error:
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


def connect(path: Path, max_bytes: int) -> sqlite3.Connection:
    """Open or make the file at ``path``, in the version that this code reads; it grows to ``max_bytes``.

    Raises:
        StoreUnavailableError, StateFromTheFutureError
    """
    with typed_errors(path.parent):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
            schema.migrate(connection)
            page_size = int(connection.execute("PRAGMA page_size").fetchone()[0])
            connection.execute(f"PRAGMA max_page_count = {max_bytes // page_size}")
        except BaseException:
            connection.close()
            raise
    return connection
