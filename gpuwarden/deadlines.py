"""A deadline for each request, which uvicorn does not have: its own timer only runs between two requests.

A connection that says nothing, half a head or half a body for too long is closed, so that silent clients cannot take
all the places there are. The clock runs from the connection's start, or from the first byte of its next request, until
the request is complete; what the answer takes is not counted.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_INCOMPLETE = (h11.IDLE, h11.SEND_BODY)


class DeadlinedProtocol(H11Protocol):
    """HTTP/1.1 in which a request must be complete within ``request_seconds``."""

    request_seconds = 10.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the clock: the first request is due."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Run the clock while a request is incomplete."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state not in _INCOMPLETE:
            self._stop()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.request_seconds, self.transport.close)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def protocol(request_seconds: float) -> type[DeadlinedProtocol]:
    """The protocol with another deadline; uvicorn makes one object of the class for each connection."""
    return type("DeadlinedProtocol", (DeadlinedProtocol,), {"request_seconds": request_seconds})
