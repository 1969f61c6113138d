"""How ``gpuwarden outbox`` reaches the alerter that owns the state: a socket in the state folder.

Whoever may write into the folder may change the outbox, and nobody else: no port, no password, no page in a browser can
reach it, whatever the listener asks for. One line of JSON goes each way::

    {"do": "retry", "ids": [4, 7]}      {"do": "drop", "ids": null}       null: every dead letter
    {"done": 2}                         {"error": "mail 7 was accepted; nothing was changed"}

With no alerter at work the command takes the state itself.
"""

import asyncio
import json
import logging
import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, cast

from alerts import deliveries
from alerts.outbox import Outbox
from alerts.store import StateInUseError, Store
from gpuwarden.errors import GpuwardenError

Action = Literal["retry", "drop"]

_SOCKET_NAME = "alerter.sock"
_LONGEST_LINE = 1 << 20
_SECONDS = 10.0

_log = logging.getLogger(__name__)


class ControlError(GpuwardenError, RuntimeError):
    """The outbox was not changed; the message says why."""


async def serve_control(folder: Path, outbox: Outbox) -> None:
    """Answer at the socket in ``folder`` until cancelled; the lock of the state makes it ours alone."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_SECONDS):
                reply = await _answer(await reader.readline(), outbox)
                writer.write(json.dumps(reply).encode("ascii") + b"\n")
                await writer.drain()
        except (TimeoutError, OSError, ValueError) as error:
            _log.warning("a request about the outbox was not answered: %s", error or type(error).__name__)
        finally:
            writer.close()

    try:
        listening = _bind(folder)
    except OSError as error:
        _log.warning("`gpuwarden outbox retry` and `drop` cannot reach this alerter: %s", error)
        return
    try:
        async with await asyncio.start_unix_server(answer, sock=listening, limit=_LONGEST_LINE):
            await asyncio.Event().wait()
    finally:
        listening.close()
        with suppress(OSError):
            (folder / _SOCKET_NAME).unlink()


async def _answer(line: bytes, outbox: Outbox) -> dict[str, Any]:
    try:
        action, ids = _read(line)
        work = outbox.retry if action == "retry" else outbox.drop
        return {"done": await work(ids)}
    except (GpuwardenError, ValueError) as error:
        return {"error": str(error)}


def _read(line: bytes) -> tuple[Action, list[int] | None]:
    request: Any = json.loads(line)
    fields = cast("dict[str, Any]", request) if isinstance(request, dict) else {}
    action, ids = fields.get("do"), fields.get("ids")
    numbers = ids is None or (isinstance(ids, list) and all(type(one) is int for one in cast("list[Any]", ids)))
    if action not in {"retry", "drop"} or not numbers:
        message = "this alerter does not know what was asked for"
        raise ValueError(message)
    return action, cast("list[int] | None", ids)


def ask(folder: Path, action: Action, ids: Sequence[int] | None) -> int:
    """Have the outbox in ``folder`` changed, by the alerter that owns it or directly; how many mails were.

    Raises:
        ControlError, StoreUnavailableError, StateInUseError, NoSuchDeliveryError
    """
    try:
        return _ask_owner(folder, action, ids)
    except (FileNotFoundError, ConnectionRefusedError):
        pass  # nobody owns it now
    except OSError as error:
        message = f"the alerter that owns {folder} does not answer: {error}"
        raise ControlError(message) from error
    try:
        with Store.open(folder) as store:
            store.recover()  # what a killed alerter was sending only waits
            if action == "retry":
                return store.change(deliveries.retry, ids, time.time())
            return store.change(deliveries.drop, ids)
    except StateInUseError as error:
        message = f"an alerter starts or stops with {folder} at this moment: try again"
        raise ControlError(message) from error


def _ask_owner(folder: Path, action: Action, ids: Sequence[int] | None) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_SECONDS)
        _at(folder, connection.connect)
        with connection.makefile("rwb") as stream:
            stream.write(json.dumps({"do": action, "ids": None if ids is None else list(ids)}).encode("ascii") + b"\n")
            stream.flush()
            line = stream.readline(_LONGEST_LINE)
    reply: Any = json.loads(line or b'{"error": "the alerter hung up"}')
    if "error" in reply:
        raise ControlError(str(reply["error"]))
    return int(reply["done"])


def _bind(folder: Path) -> socket.socket:
    with suppress(FileNotFoundError):
        (folder / _SOCKET_NAME).unlink()  # left by an alerter that was killed
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _at(folder, listening.bind)
        (folder / _SOCKET_NAME).chmod(0o600)  # before anybody can connect
        listening.listen()
    except OSError:
        listening.close()
        raise
    return listening


def _at(folder: Path, do: Any) -> None:
    """Call ``do`` with the socket's path, by way of a descriptor: a socket's own path ends at 107 bytes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        do(f"/proc/self/fd/{descriptor}/{_SOCKET_NAME}")
    finally:
        os.close(descriptor)
