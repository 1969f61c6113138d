"""Whether the Python that runs the probe has torch, without loading it: a look that costs some 30 ms of a child."""

import subprocess

from exporter.latency import reasons

_LOOK = "import importlib.util, sys; sys.exit(0 if importlib.util.find_spec('torch') else 3)"
_HAS_NONE = 3
_PATIENCE = 10.0


def missing(python: str) -> str:
    """The reason why nothing can be run, empty when nothing speaks against it. What cannot be told is left to a run."""
    try:
        ended = subprocess.run(  # noqa: S603 -- the Python that the settings name
            [python, "-c", _LOOK],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ""
    except (OSError, ValueError):
        return reasons.NO_INTERPRETER
    return reasons.NO_TORCH if ended.returncode == _HAS_NONE else ""
