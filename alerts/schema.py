"""The tables of the state file, and how to reach the version that this code reads.

``user_version`` counts the steps taken. A step is never edited once released: what changes is a new step at the end.
States and notifications are JSON documents: they are read whole, and a field that is new has a default.
"""

import sqlite3

from gpuwarden.errors import GpuwardenError

_TABLES = """
CREATE TABLE alert_states (
    alert TEXT PRIMARY KEY,               -- [alertname, [[label, value], ...]]
    state TEXT NOT NULL
) WITHOUT ROWID{strict};

CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,       -- the order in which they were decided
    root TEXT NOT NULL,
    at REAL NOT NULL,
    document TEXT NOT NULL
){strict_only};

CREATE TABLE messages (
    notification_id TEXT PRIMARY KEY REFERENCES notifications (id) ON DELETE CASCADE,
    message_id TEXT NOT NULL UNIQUE,
    envelope_from TEXT NOT NULL,
    subject TEXT NOT NULL,
    data BLOB NOT NULL                    -- final bytes: a resend is the same mail
){strict_only};

CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    notification_id TEXT NOT NULL REFERENCES messages (notification_id) ON DELETE CASCADE,
    root TEXT NOT NULL,
    recipient TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'accepted', 'dead')),
    attempts INTEGER NOT NULL DEFAULT 0,
    queued_at REAL NOT NULL,
    next_at REAL NOT NULL,
    ended_at REAL,
    outcome TEXT NOT NULL DEFAULT '',     -- of the last attempt
    reply TEXT NOT NULL DEFAULT '',
    UNIQUE (notification_id, recipient)
){strict_only};

CREATE INDEX deliveries_by_state ON deliveries (state, next_at);
CREATE INDEX deliveries_by_thread ON deliveries (root, recipient, id);
"""

_POLICY = """
ALTER TABLE notifications ADD COLUMN held_until REAL NOT NULL DEFAULT 0;  -- quiet hours: not composed before
ALTER TABLE notifications ADD COLUMN told_in TEXT NOT NULL DEFAULT '';    -- the notification whose mail tells of it too
DROP INDEX deliveries_by_thread;  -- a mail may be of several threads
ALTER TABLE messages ADD COLUMN payload BLOB NOT NULL DEFAULT x'';        -- final JSON for commands

CREATE INDEX notifications_by_root ON notifications (root);
CREATE INDEX notifications_by_message ON notifications (told_in);
CREATE INDEX deliveries_by_time ON deliveries (queued_at);

CREATE TABLE silences (
    id TEXT PRIMARY KEY,
    ends_at REAL NOT NULL,
    document TEXT NOT NULL
){strict_only};

CREATE TABLE flaps (
    alert TEXT PRIMARY KEY,               -- as in alert_states
    document TEXT NOT NULL
) WITHOUT ROWID{strict};

CREATE TABLE tallies (
    name TEXT PRIMARY KEY,                -- what a report adds up
    document TEXT NOT NULL
) WITHOUT ROWID{strict};
"""

STEPS = (_TABLES, _POLICY)
_STRICT_SINCE = (3, 37, 0)


class StateFromTheFutureError(GpuwardenError, ValueError):
    """The state file was written by a newer gpuwarden; reading it as an older one would lose something."""


def migrate(connection: sqlite3.Connection) -> None:
    """Take the steps that are missing, all or none; raises StateFromTheFutureError when there are too many."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(STEPS):
        message = f"the state is of version {version}, this gpuwarden reads up to {len(STEPS)}: use the newer one"
        raise StateFromTheFutureError(message)
    strict = sqlite3.sqlite_version_info >= _STRICT_SINCE
    script = "".join(
        step.format(strict=", STRICT" if strict else "", strict_only=" STRICT" if strict else "")
        for step in STEPS[version:]
    )
    if script:
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {len(STEPS)}; COMMIT;")
