"""A call into a driver may never come back; whoever waits for a bench is told so instead of waiting with it."""

import threading
from collections.abc import Callable
from typing import TypeVar

from gpuwarden.errors import GpuwardenError

T = TypeVar("T")
PATIENCE_SECONDS = 20.0
"""Without persistence mode a driver takes seconds to wake up a card."""


class DriverHangsError(GpuwardenError, TimeoutError):
    """The driver was asked and has not answered."""


def answered(call: Callable[[], T], seconds: float = PATIENCE_SECONDS) -> T:
    """What ``call`` gives or raises.

    Raises:
        DriverHangsError: it has not come back in time; its thread is left to it.
    """
    given: list[T] = []
    raised: list[Exception] = []
    ended = threading.Event()

    def ask() -> None:
        try:
            given.append(call())
        except Exception as error:  # noqa: BLE001 -- raised again below
            raised.append(error)
        finally:
            ended.set()

    threading.Thread(target=ask, name="driver", daemon=True).start()
    if not ended.wait(seconds):
        message = f"the driver has not answered for {seconds:.0f} s; nvidia-smi would hang, too"
        raise DriverHangsError(message)
    if raised:
        raise raised[0]
    return given[0]
