"""One child of exporter/workload, started by path and heard to its end, with a look at its memory at the barrier."""

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORKLOAD = Path(__file__).parents[2] / "exporter" / "workload"
MARKER = "gpuwarden_workload"
_HOLD_SECONDS = 10.0


def heard(line: bytes) -> dict | None:
    """One of the child's own lines, or None for what somebody else printed."""
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) and MARKER in document else None


def run(spec, at_barrier=lambda _pid: {}, seconds=120.0, command=(sys.executable, str(WORKLOAD)), env=None) -> dict:
    """Hear a child out, kill it when it takes too long; its result, and what ``at_barrier`` found."""
    text = json.dumps({"parent": os.getpid(), "hold_seconds": _HOLD_SECONDS, **spec})
    began = time.monotonic()
    found = {"outcome": "crashed", "detail": "", "figures": {}, "barrier": {}, "started": {}, "events": []}
    with (
        tempfile.TemporaryFile() as errors,
        # Unbuffered: select() must not overlook a line that has been taken in along with the one before it.
        subprocess.Popen(command, stdin=-1, stdout=-1, stderr=errors, bufsize=0, env=env) as child,
    ):
        try:
            with contextlib.suppress(BrokenPipeError):
                child.stdin.write(text.encode() + b"\n")
            while not _hear(child, found, at_barrier, began + seconds):
                pass
            child.wait(timeout=30)
        except (TimeoutError, subprocess.TimeoutExpired):
            found["outcome"] = "timeout"
        finally:
            child.kill()
        if found["outcome"] == "crashed":
            errors.seek(0)
            found["detail"] = errors.read()[-1000:].decode(errors="replace")
    return {**found, "exit_status": child.returncode, "seconds": time.monotonic() - began}


def _hear(child, found, at_barrier, until) -> bool:
    """Take in one line; True at the end."""
    left = until - time.monotonic()
    if left <= 0 or not select.select([child.stdout], [], [], left)[0]:
        raise TimeoutError
    line = child.stdout.readline()
    said = heard(line) or {}
    found["events"] += [said["event"]] if said else []
    if said.get("event") == "barrier":
        found["barrier"] = at_barrier(said["pid"])
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(b"go on\n")
    elif said.get("event") == "started":
        found["started"] = said
    elif said.get("event") == "result":
        found.update({key: said[key] for key in ("outcome", "reason", "detail", "figures", "spec") if key in said})
    return not line
