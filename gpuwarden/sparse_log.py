"""A log that anyone on the network can write to, kept short.

Whoever can reach a port can make a server complain: a malformed request, a broken handshake, a cut connection. Each
place in the code that complains gets one line at once and then at most one a minute, which says how many it stands for.
A place that complains of several things tells them apart by ``extra={"kind": ...}``, of which there must be few.
"""

import logging
import time
from collections.abc import Callable, Iterable

_SECONDS_BETWEEN = 60.0


class Sparse(logging.Filter):
    """Lets one record of each place in the code through in a while."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._places: dict[tuple[str, int, str], tuple[float, int]] = {}
        """File, line and kind to the time of the last line written and how many were left out since."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        place = record.pathname, record.lineno, str(getattr(record, "kind", ""))
        now = self._monotonic()
        written, left_out = self._places.get(place, (now - _SECONDS_BETWEEN, 0))
        if now - written < _SECONDS_BETWEEN:
            self._places[place] = (written, left_out + 1)
            return False
        self._places[place] = (now, 0)
        if left_out:
            record.msg = f"{record.msg} (and {left_out} more like it)"
        return True


def keep_sparse(names: Iterable[str]) -> None:
    """Make these loggers sparse, once."""
    for name in names:
        logger = logging.getLogger(name)
        if not any(isinstance(found, Sparse) for found in logger.filters):
            logger.addFilter(Sparse())
