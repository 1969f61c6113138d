"""Stands in for exporter/workload: a short script that does what a test says, with the real one's way to talk."""

from pathlib import Path

PRELUDE = """\
import json, os, signal, subprocess, sys, time

def write(data, descriptor=1):
    while data:
        data = data[os.write(descriptor, data):]

def tell(event, **values):
    write(json.dumps({"gpuwarden_workload": 1, "event": event, "at_seconds": 0.5, **values}).encode() + b"\\n")

def hang():
    while True:
        signal.pause()

spec = json.loads(sys.stdin.readline())
"""


def stand_in(folder: Path, text: str) -> str:
    """The path of a workload that does ``text``."""
    path = folder / "stand_in.py"
    path.write_text(PRELUDE + text)
    return str(path)
