"""One row of call words: what a test orders a call to answer, and what it learns about the calls that were made."""

import ctypes
from collections.abc import Collection, Iterator

from tests.fakes.nvml import layout
from tests.fakes.nvml.codes import Return
from tests.fakes.nvml.table import CALLS
from tests.polling import wait_until

DEADLINE = 5.0


class CallRow:
    """The calls on one GPU, or the driver-wide ones: ``own`` are those that can be ordered to fail or to hang here.

    KeyError for a call that the table does not know. What is asked with a handle or an index of no card is counted in
    the driver-wide row.
    """

    def __init__(
        self, page: ctypes.Structure, row: int, own: Collection[str], unsupported: frozenset[str] = frozenset()
    ) -> None:
        self._page = page
        self._row = row
        self._own = own
        self._unsupported = unsupported
        self.heal()

    def _state(self, call: str) -> ctypes.Structure:
        return layout.call_state(self._page, self._row, call)

    def _own_state(self, call: str) -> ctypes.Structure:
        if call not in self._own:
            message = f"{call} is not answered here: it answers {', '.join(self._own)}"
            raise ValueError(message)
        return self._state(call)

    def fail(self, call: str, code: Return) -> None:
        """From now on ``call`` answers ``code``; SUCCESS too is an order: it answers that and writes no result."""
        state = self._own_state(call)
        state.answer = code
        state.forced = 1

    def heal(self) -> None:
        """Every call answers as the card's profile says."""
        for call in CALLS:
            self._state(call).forced = 0
        for call in self._unsupported:
            self.fail(call, Return.NOT_SUPPORTED)

    def hang(self, call: str) -> None:
        """From now on ``call`` does not return, until :meth:`release`."""
        self._own_state(call).hang = 1

    def release(self, call: str | None = None) -> None:
        """Let this call, or all of them, go on; only then is it decided what they answer."""
        for name in CALLS if call is None else (call,):
            self._state(name).hang = 0

    def entered(self, call: str) -> int:
        """How often the call was begun."""
        return self._state(call).entered

    def left(self, call: str) -> int:
        """How often it has returned."""
        return self._state(call).left

    def made(self) -> Iterator[tuple[str, int]]:
        """The calls that were begun at least once, and how often."""
        return ((call, self.entered(call)) for call in CALLS if self.entered(call))

    def wait_for(self, call: str, count: int, deadline: float = DEADLINE) -> None:
        """Until the call has returned ``count`` times in all."""
        wait_until(lambda: self.left(call) >= count, deadline, lambda: self._told(call, f"{count} returns"))

    def wait_for_more(self, call: str, more: int = 1, deadline: float = DEADLINE) -> None:
        """Until ``more`` calls that begin after this moment have returned: they have seen what the test wrote before.

        Raises:
            AssertionError: not within ``deadline`` seconds.
        """
        self.wait_for(call, self.entered(call) + more, deadline)

    def wait_for_hang(self, call: str, deadline: float = DEADLINE) -> None:
        """Until somebody hangs in the call."""
        wait_until(lambda: self.entered(call) > self.left(call), deadline, lambda: self._told(call, "a caller inside"))

    def _told(self, call: str, wanted: str) -> str:
        return f"{call}: waited for {wanted}; entered {self.entered(call)}, left {self.left(call)}"
