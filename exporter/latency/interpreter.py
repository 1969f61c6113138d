"""Whether the Python that runs the probe has torch, without loading it: a look that costs some 30 ms of a child."""

import subprocess
import threading
import time

from exporter.latency import reasons

_LOOK = "import importlib.util, sys; sys.exit(0 if importlib.util.find_spec('torch') else 3)"
_HAS_NONE = 3
_PATIENCE, _STEP = 10.0, 0.05


def missing(python: str, stop: threading.Event) -> str:
    """The reason why nothing can be run, empty when nothing speaks against it; what cannot be told is left to a run.

    Waits for up to ten seconds, and no longer than until ``stop`` is set.
    """
    try:
        looking = subprocess.Popen(  # noqa: S603 -- the Python that the settings name
            [python, "-c", _LOOK],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, ValueError):
        return reasons.NO_INTERPRETER
    with looking:
        until = time.monotonic() + _PATIENCE
        while looking.poll() is None and time.monotonic() < until and not stop.wait(_STEP):
            pass
        looking.kill()
    return reasons.NO_TORCH if looking.returncode == _HAS_NONE else ""
