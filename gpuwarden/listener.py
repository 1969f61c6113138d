"""One uvicorn server on one address, bound before anything else starts, so that a taken port is a plain error.

Nothing here decides what is served. Limits keep a slow or hostile client from holding the server up: a cap on open
connections, on the size of a request's head, on the time that a request takes to arrive and on idle time.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Generator
from typing import Any

import uvicorn

from gpuwarden.deadlines import protocol
from gpuwarden.errors import GpuwardenError

_MOST_CONNECTIONS = 256
_LARGEST_HEAD_BYTES = 16 * 1024
_REQUEST_SECONDS = 10.0
_IDLE_SECONDS = 75


class AddressTakenError(GpuwardenError, OSError):
    """Another process listens on the address already."""


class AddressError(GpuwardenError, OSError):
    """The address cannot be listened on."""


def parse_address(text: str) -> tuple[str, int]:
    """Split ``HOST:PORT`` (``[::1]:9400``, ``:9400`` for loopback) into host and port.

    Raises:
        ValueError: there is no port, or it is not a number from 0 to 65535.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 -- 16 bits
        message = f"{text!r} is not HOST:PORT, for example 127.0.0.1:9400"
        raise ValueError(message)
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


def bind(address: str, what: str) -> socket.socket:
    """Open the listening socket; ``what`` names the server in the error (``exporter``).

    Raises:
        AddressTakenError: another process has the port.
        AddressError: it cannot be bound for another reason.
    """
    host, port = parse_address(address)
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # a name that is none: labels empty or too long (IDNA)
        raise _cannot_listen(address, what, error) from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen(_MOST_CONNECTIONS)
    except OSError as error:
        listening.close()
        raise _cannot_listen(address, what, error) from error
    listening.setblocking(False)
    return listening


def _cannot_listen(address: str, what: str, error: OSError | UnicodeError) -> AddressTakenError | AddressError:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return AddressTakenError(f"{address} is taken: does the {what} run already? Choose another: {what}.listen")
    return AddressError(f"the {what} cannot listen on {address}: {getattr(error, 'strerror', None) or error}")


def url_of(listening: socket.socket) -> str:
    """The address to open in a browser; a wildcard is shown as loopback."""
    bound: tuple[str, int] = listening.getsockname()[:2]
    host, port = bound
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the process that owns it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def serve(
    app: Any, listening: socket.socket, stop: asyncio.Event, *, request_seconds: float = _REQUEST_SECONDS
) -> None:
    """Serve ``app`` on the bound socket until ``stop`` is set; requests under way get two seconds to end.

    A request that is not complete ``request_seconds`` after its first byte is cut off.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        http=protocol(request_seconds),
        ws="none",
        loop="asyncio",
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        h11_max_incomplete_event_size=_LARGEST_HEAD_BYTES,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    server.should_exit = True
    await serving
