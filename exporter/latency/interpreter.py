"""Which Python runs the probe, and whether it has torch, without loading it: a look costs some 30 ms of a child."""

import contextlib
import os
import subprocess
import sys
import threading
import time

from exporter.latency import reasons
from exporter.latency.torch_child import without_our_settings

_LOOK = "import importlib.util, sys; sys.exit(0 if importlib.util.find_spec('torch') else 3)"
_HAS_NONE = 3
_PATIENCE, _STEP = 10.0, 0.05


def program(named: str | None) -> str:
    """The Python that the settings name, or our own; meant as in a shell: a path from here, or a name to be looked for.

    A link stays one: what it leads to is not the environment that has torch.
    """
    if named is None:
        return sys.executable
    path = os.path.expanduser(named)  # noqa: PTH111 -- pathlib's raises where nobody knows the home
    return os.path.abspath(path) if os.sep in path else path  # noqa: PTH100 -- pathlib's leaves ".." in it


def missing(python: str, stop: threading.Event) -> str:
    """The reason why nothing can be run, empty when nothing speaks against it; what cannot be told is left to a run.

    Waits for up to ten seconds, and no longer than until ``stop`` is set.
    """
    try:
        looking = subprocess.Popen(  # noqa: S603 -- the Python that the settings name
            [python, "-c", _LOOK],
            cwd="/",
            env=without_our_settings(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, ValueError):
        return reasons.NO_INTERPRETER
    until = time.monotonic() + _PATIENCE
    while looking.poll() is None and time.monotonic() < until and not stop.wait(_STEP):
        pass
    looking.kill()
    # One that hangs on a disk that does not answer cannot be ended, and must not hold the probe up.
    with contextlib.suppress(subprocess.TimeoutExpired):
        looking.wait(_STEP)
    return reasons.NO_TORCH if looking.returncode == _HAS_NONE else ""
