"""One uvicorn server on one address, bound before anything else starts, so that a taken port is a plain error.

Nothing here decides what is served. ``gpuwarden.connections`` says who is let in, ``gpuwarden.deadlines`` who is cut
off for being slow, ``gpuwarden.web_files`` and ``gpuwarden.web_guard`` what a client must show.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Collection, Generator
from typing import Any

import uvicorn

from gpuwarden.connections import Door
from gpuwarden.deadlines import Limits
from gpuwarden.errors import GpuwardenError
from gpuwarden.reports import report
from gpuwarden.sparse_log import keep_sparse
from gpuwarden.web_files import WebFiles
from gpuwarden.web_guard import guarded

_BACKLOG = 256
_KERNEL_BUFFER_BYTES = 64 * 1024
"""What the kernel may hold of an answer that a client does not take; left alone, it would be megabytes for each."""
_COMPLAINING = (
    "asyncio",
    "uvicorn.error",
    "gpuwarden.connections",
    "gpuwarden.deadlines",
    "gpuwarden.web_guard",
)


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
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BUFFER_BYTES)  # connections inherit it
        listening.bind(place)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise _cannot_listen(address, what, error) from error
    listening.setblocking(False)
    return listening


def _cannot_listen(address: str, what: str, error: OSError | UnicodeError) -> AddressTakenError | AddressError:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return AddressTakenError(f"{address} is taken: does the {what} run already? Choose another: {what}.listen")
    return AddressError(f"the {what} cannot listen on {address}: {getattr(error, 'strerror', None) or error}")


def url_of(listening: socket.socket, scheme: str = "http") -> str:
    """The address to open in a browser; a wildcard is shown as loopback."""
    bound: tuple[str, int] = listening.getsockname()[:2]
    return address_url(*bound, scheme)


def address_url(host: str, port: int, scheme: str = "http") -> str:
    """The URL at which a listener on ``host`` and ``port`` can be reached from here."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- compared, not bound
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class _Server(uvicorn.Server):
    """A uvicorn server that lets clients in by our door and leaves signals to the process that owns it."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket, limits: Limits, web: WebFiles) -> None:
        super().__init__(config)
        self._door = Door(listening, limits, lambda: web.current.tls, self._arguments)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 -- uvicorn's signature
        await self.lifespan.startup()
        self._door.open()
        door: Any = self._door
        self.servers = [door]  # uvicorn closes them and waits for it
        self.started = True

    def _arguments(self) -> dict[str, Any]:
        return {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}


async def serve(
    app: Any,
    listening: socket.socket,
    stop: asyncio.Event,
    *,
    web: WebFiles | None = None,
    limits: Limits = Limits(),  # noqa: B008 -- frozen
    own_secret: Callable[[], Collection[str]] = tuple,
) -> None:
    """Serve ``app`` on the bound socket until ``stop`` is set; requests under way get two seconds to end.

    ``web`` says who is let in, and how; without it, anybody is, over plain HTTP. On the paths of ``own_secret()`` the
    application itself asks for a secret in place of the password. A ``gpuwarden up`` that started this process is told
    what ``/-/ready`` and ``/status`` say.
    """
    web = web or WebFiles(None)
    keep_sparse(_COMPLAINING)
    config = uvicorn.Config(
        guarded(app, lambda: web.current, own_secret),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        loop="asyncio",
        server_header=False,
        h11_max_incomplete_event_size=limits.head_bytes,
        timeout_keep_alive=limits.idle_seconds,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config, listening, limits, web)
    beside = [asyncio.create_task(web.watch()), asyncio.create_task(report(app))]
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for task in beside:
        task.cancel()
    server.should_exit = True
    await serving
