"""A child that outlives its parent would hold a card's memory for nobody.

Linux kills it for us, whatever it is doing, even inside a driver call that never returns to Python. The signal is
tied to the THREAD that started the child: a parent starts it from a thread that lives at least as long as the run.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> bool:
    """Ask the kernel for a SIGKILL when the parent ends; False where there is no such thing."""
    if sys.platform != "linux":
        return False
    try:
        return ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) == 0
    except (OSError, AttributeError):
        return False


def orphaned(parent: int) -> bool:
    """Whether the parent with this id ended before the kernel could be asked; 0: nobody said who it is."""
    return parent != 0 and os.getppid() != parent
