"""Containers' names from their engines: Docker's API over its Unix socket, which Podman's service speaks as well.

Only asked where a user has named the sockets: whoever can reach such a socket can do everything on the host. Nothing
is ever asked but ``GET /containers/<id>/json``. An engine may hang, drip or answer without end: a question has one
deadline for all of it and its answer a largest size. Called from a background thread only (lookups.py).
"""

import http.client
import io
import json
import re
import socket
import time
from collections.abc import Sequence
from typing import Any, cast

_PATIENCE = 2.0
_MOST_BYTES = 2**20
_ID = re.compile(r"[0-9a-f]{64}")
_REQUEST = "GET /containers/{identity}/json HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n"


class ContainerNames:
    """The engines behind ``sockets``, asked in this order; ``patience`` in seconds is for each of them."""

    def __init__(self, sockets: Sequence[str], patience: float = _PATIENCE) -> None:
        self._sockets = tuple(sockets)
        self._patience = patience

    def look_up(self, identity: str) -> str:
        """The name of the container with this full id; blocks.

        Raises:
            KeyError: no engine knows it.
            OSError: none does, and at least one is not there or does not answer in time.
            ValueError: none does, and at least one answers something else.
        """
        problem: OSError | ValueError | None = None
        for path in self._sockets:
            try:
                name = _ask(path, identity, self._patience)
            except (OSError, ValueError) as error:
                problem = error
            else:
                if name:
                    return name
        raise problem or KeyError(identity)


def _ask(path: str, identity: str, patience: float) -> str:
    if not _ID.fullmatch(identity):
        message = "not a container's full id"
        raise ValueError(message)
    deadline = time.monotonic() + patience
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(patience)
        line.connect(path)
        line.sendall(_REQUEST.format(identity=identity).encode())
        received = _received(line, deadline)
    try:
        response = http.client.HTTPResponse(cast("socket.socket", _Recorded(received)))
        response.begin()
        return _name(json.loads(response.read())) if response.status == http.client.OK else ""
    except (http.client.HTTPException, RecursionError) as error:
        message = f"not an engine's answer: {error!r}"
        raise ValueError(message) from error


def _received(line: socket.socket, deadline: float) -> bytes:
    """All that comes until the engine closes; the limits are for all of it together."""
    received = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        line.settimeout(left)
        part = line.recv(2**16)
        if not part:
            return bytes(received)
        received += part
        if len(received) > _MOST_BYTES:
            message = "the engine's answer is too large"
            raise ValueError(message)


def _name(answer: Any) -> str:
    name = answer.get("Name") if isinstance(answer, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(name, str):
        message = "the engine's answer has no name"
        raise ValueError(message)  # noqa: TRY004 -- it is the answer that is wrong
    return name.removeprefix("/")


class _Recorded:
    """What ``HTTPResponse`` wants of a socket, for an answer that has already come."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._received)
