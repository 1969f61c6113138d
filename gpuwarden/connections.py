"""Who is let in when many want to: a bounded number of connections, and a place for whoever comes next.

The newcomer always gets a place; a page that is refused in an emergency is not a monitoring page. When all places are
taken, one connection is cut off for it:

1. the one that has kept us waiting longest, for its handshake, its request or for taking its answer, if that is a
   second or more: what a well-behaved scraper sends arrives in milliseconds;
2. else the kept connection that has been idle longest: its owner opens another when it comes again, which HTTP clients
   do by themselves;
3. else the one that has kept us waiting longest, if only for less than a second.

So slow clients by the hundred only push each other out. There is no limit per address: behind a proxy or on one box
everybody has the same one.

TLS is decided for each connection when it arrives, so that a certificate can be exchanged without touching those that
are open. Their handshakes count as connections.
"""

import asyncio
import asyncio.sslproto
import contextlib
import errno
import logging
import socket
from collections.abc import Callable
from typing import Any

from gpuwarden.deadlines import Connection, Limits, Phase
from gpuwarden.web_offer import Tls

_log = logging.getLogger(__name__)

_SLOW_SECONDS = 1.0
_SECONDS_WITHOUT_DESCRIPTORS = 0.5
_NO_MORE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_SECONDS_TO_SAY_GOODBYE = 2.0
"""For the closing exchange of TLS, which a client may just not take part in."""
_TLS_READ_BYTES = 16 * 1024
"""One record. asyncio's own read buffer is 256 KiB for each connection, which is what all the rest costs ten times."""
_TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)

Arguments = dict[str, Any]


class Door:
    """Accepts connections on a listening socket from ``open`` on until ``close``."""

    def __init__(
        self,
        listening: socket.socket,
        limits: Limits,
        tls: Callable[[], Tls | None],
        arguments: Callable[[], Arguments],
    ) -> None:
        self._listening = listening
        self._limits = limits
        self._tls = tls
        self._arguments = arguments
        self._inside: set[Connection] = set()
        self._accepting: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to accept."""
        asyncio.sslproto.SSLProtocol.max_size = _TLS_READ_BYTES  # undocumented; without effect, only memory is lost
        self._accepting = asyncio.create_task(self._accept())

    def close(self) -> None:
        """Accept nobody any more; who is inside stays, who is still in the handshake does not."""
        if self._accepting is not None:
            self._accepting.cancel()
        for connection in [found for found in self._inside if found.phase is Phase.HANDSHAKE]:
            connection.cut("the server ends")

    async def wait_closed(self) -> None:
        """Wait until nobody is accepted any more."""
        if self._accepting is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._accepting

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(self._listening)
            except OSError as error:
                if error.errno in _NO_MORE:
                    _log.warning("nobody can be let in for now: %s", error.strerror)
                    self._make_room()
                    await asyncio.sleep(_SECONDS_WITHOUT_DESCRIPTORS)
                continue
            self._let_in(accepted)
            await asyncio.sleep(0)  # a crowd at the door must not keep those inside from being served

    def _let_in(self, accepted: socket.socket) -> None:
        while len(self._inside) >= self._limits.connections:
            self._make_room()
        tls = self._tls()
        admits = tls.admits if tls else _anybody
        connection = Connection(self._limits, admits, self._inside.discard, **self._arguments())
        self._inside.add(connection)
        connection.opening = asyncio.create_task(self._hand_over(accepted, connection, tls))

    async def _hand_over(self, accepted: socket.socket, connection: Connection, tls: Tls | None) -> None:
        """Make the connection the socket's protocol, behind TLS where there is."""
        under_tls: Arguments = {
            "ssl": tls.context,
            "ssl_handshake_timeout": self._limits.handshake_seconds,
            "ssl_shutdown_timeout": _SECONDS_TO_SAY_GOODBYE,
        } if tls else {}  # fmt: skip
        loop = asyncio.get_running_loop()
        try:
            # The kernel ends what a dead client never acknowledges, also after we have closed it.
            patience = int(self._limits.answer_seconds * 1000)
            accepted.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, patience)
            await loop.connect_accepted_socket(lambda: connection, accepted, **under_tls)
        except OSError as error:  # includes whatever is wrong with a handshake
            _log.info("no connection with a client: %s", getattr(error, "reason", None) or error)
            accepted.close()
            self._inside.discard(connection)
        except asyncio.CancelledError:
            accepted.close()
            raise
        finally:
            connection.opening = None

    def _make_room(self) -> None:
        """Cut one off; see the top of the file."""
        now = asyncio.get_running_loop().time()
        waited_for = [found for found in self._inside if found.phase is not Phase.IDLE]
        slow = [found for found in waited_for if now - found.since >= _SLOW_SECONDS]
        idle = [found for found in self._inside if found.phase is Phase.IDLE]
        choice = slow or idle or waited_for
        if choice:
            chosen = min(choice, key=lambda found: found.since)
            chosen.cut(f"another needed its place, and {chosen.phase.value}")


def _anybody(_: object) -> bool:
    return True
