"""Time that passes for what an alerter remembers: its state file is edited while nobody has it open."""

import contextlib
import json
import sqlite3

from alerts.store import FILE_NAME


def told_earlier(folder, seconds):
    """As if everything that fires had been told so many seconds earlier; how many alerts those are."""
    with contextlib.closing(sqlite3.connect(folder / FILE_NAME)) as file, file:
        rows = file.execute("SELECT alert, state FROM alert_states").fetchall()
        told = [(alert, json.loads(state)) for alert, state in rows if json.loads(state)["told_at"]]
        for alert, state in told:
            state["told_at"] -= seconds
            file.execute("UPDATE alert_states SET state = ? WHERE alert = ?", (json.dumps(state), alert))
    return len(told)
