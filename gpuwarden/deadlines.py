"""Deadlines for each connection, which uvicorn does not have: its own timer only runs between two requests.

A connection is in one phase at a time, and a clock runs against the client in all but the last:

- HANDSHAKE, only under TLS: until it is done (asyncio's own clock, set by ``gpuwarden.connections``);
- REQUEST: from the start, or from the first byte of the next request, until the request is complete;
- ANSWER: from then on until the client has taken the answer: out of our buffer and out of the kernel's, which is
  looked at once, when the time is up. Asking for more without ever taking what there is does not stop this clock;
- IDLE: between two requests of a kept connection (uvicorn's clock).

Who is too late is cut off at once: an orderly close would wait for the client to take what is still in the buffer.
"""

import asyncio
import enum
import fcntl
import logging
import socket
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_log = logging.getLogger(__name__)

_BUFFER_BYTES = 16 * 1024
"""What may wait in our memory for one client, besides the piece of an answer that is being written."""


class Phase(enum.Enum):
    """What a connection waits for."""

    HANDSHAKE = "its handshake did not end"
    REQUEST = "its request did not arrive"
    ANSWER = "it did not take its answer"
    IDLE = "it was idle"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much clients may ask of the server; times in seconds."""

    connections: int = 512
    head_bytes: int = 16 * 1024
    handshake_seconds: float = 10.0
    request_seconds: float = 10.0
    answer_seconds: float = 30.0
    idle_seconds: int = 75


class Connection(H11Protocol):
    """HTTP/1.1 under ``Limits``; ``ended`` is called once, when the connection is gone."""

    def __init__(
        self, limits: Limits, admits: Callable[[object], bool], ended: Callable[["Connection"], None], **uvicorns: Any
    ) -> None:
        super().__init__(**uvicorns)
        self.phase = Phase.HANDSHAKE
        self.since = self.loop.time()
        self.opening: asyncio.Task[None] | None = None
        """The task that opens it, while it does."""
        self._limits = limits
        self._admits = admits
        self._ended = ended
        self._request_clock: asyncio.TimerHandle | None = None
        self._answer_clock: asyncio.TimerHandle | None = None
        self._asked_before = False

    def connection_made(self, transport: Any) -> None:
        """Start the clock: the first request is due."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_BUFFER_BYTES)
        self._look()
        if not self._admits(transport.get_extra_info("peercert")):
            self.cut("its certificate has none of the names in client_allowed_sans")

    def data_received(self, data: bytes) -> None:
        """Run the clock that is due."""
        try:
            super().data_received(data)
        except h11.LocalProtocolError:  # a body that breaks off while its answer is under way: no 400 can follow
            self.cut("its request is malformed")
        self._look()

    def send_400_response(self, msg: str) -> None:
        """Answer what is malformed; the application's own answer to it, if one is under way, goes nowhere."""
        if self.cycle and not self.cycle.response_complete:
            self.cycle.disconnected = True
        super().send_400_response(msg)

    def on_response_complete(self) -> None:
        """Look at what is there of the next request."""
        self._asked_before = True
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks, uvicorn's too, which would keep the whole connection in memory until it rings."""
        self._request_clock = _stopped(self._request_clock)
        self._answer_clock = _stopped(self._answer_clock)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._ended(self)

    def cut(self, why: str) -> None:
        """End it now, whatever is under way."""
        _log.info("cut off %s: %s", self.client[0] if self.client else "a client", why)
        if self.transport:
            if not self._all_taken():  # else the kernel would go on for us, with a connection that is nobody's
                no_linger = struct.pack("ii", 1, 0)
                self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
            self.transport.abort()
        elif self.opening:
            self.opening.cancel()
        self._ended(self)

    def _look(self) -> None:
        """Enter the phase that the last event led to, and start or stop the clocks."""
        phase = self._phase_now()
        if phase is self.phase and phase is not Phase.ANSWER:
            return
        if phase is not self.phase:
            self.phase, self.since = phase, self.loop.time()
        if phase is Phase.ANSWER:
            if self._answer_clock is not None and self._all_taken():
                self._answer_clock = _stopped(self._answer_clock)
            if self._answer_clock is None:
                self._answer_clock = self.loop.call_later(self._limits.answer_seconds, self._answer_due)
        if phase is Phase.REQUEST:
            self._request_clock = self.loop.call_later(self._limits.request_seconds, self.cut, phase.value)
        else:
            self._request_clock = _stopped(self._request_clock)

    def _phase_now(self) -> Phase:
        if self.conn.their_state is h11.SEND_BODY:
            return Phase.REQUEST
        if self.conn.their_state is h11.IDLE:
            return Phase.IDLE if self._asked_before and not self.conn.trailing_data[0] else Phase.REQUEST
        return Phase.ANSWER

    def _answer_due(self) -> None:
        self._answer_clock = None
        if self.phase is Phase.ANSWER or not self._all_taken():
            self.cut(Phase.ANSWER.value)

    def _all_taken(self) -> bool:
        """Whether nothing that was written waits here or, unacknowledged, in the kernel (tcp(7): SIOCOUTQ)."""
        if self.transport.get_write_buffer_size():
            return False
        try:
            waiting = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        except (OSError, ValueError):  # closed under us
            return True
        return struct.unpack("i", waiting) == (0,)


def _stopped(clock: asyncio.TimerHandle | None) -> None:
    if clock is not None:
        clock.cancel()
