"""What a child of ``gpuwarden up`` tells it, over a pipe: one line every two seconds, from the time when it is ready.

The page itself may ask for TLS, a client's certificate or a password, and none of that is the supervisor's business. So
the child asks its own application, in the process and behind no guard, and passes the answer on. A supervisor that gets
no line knows that the child's event loop hangs, or that it does not become ready.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Any

_log = logging.getLogger(__name__)

REPORTS_TO = "GPUWARDEN_REPORTS_TO"
"""Environment variable: the file descriptor to write to."""
SECONDS_BETWEEN_REPORTS = 2.0

_SECONDS_UNTIL_READY = 0.1
_LONGEST_LINE_BYTES = 2048  # below PIPE_BUF, so that a line is written whole or not at all
_OK = 200


async def report(app: Callable[..., Any]) -> None:
    """Tell the supervisor, if there is one, what ``/-/ready`` and ``/status`` say, until cancelled."""
    descriptor = int(os.environ.get(REPORTS_TO, "-1"))
    if descriptor < 0:
        return
    os.set_blocking(descriptor, False)
    os.set_inheritable(descriptor, False)
    ready, complaint = False, ""
    while True:
        try:
            ready = ready or (await ask(app, "/-/ready"))[0] == _OK
            text = (await ask(app, "/status"))[1] if ready else ""
            complaint = ""
        except Exception as error:  # noqa: BLE001 -- one answer that cannot be made must not end the reports for good
            if str(error) != complaint:
                _log.warning("the status cannot be told: %r", error)
            text, complaint = "", str(error)
        if text and not _write(descriptor, text):
            return
        await asyncio.sleep(SECONDS_BETWEEN_REPORTS if ready else _SECONDS_UNTIL_READY)


async def ask(app: Callable[..., Any], path: str) -> tuple[int, str]:
    """Status and text of an ASGI application's answer to ``GET path``, without a socket."""
    answer: dict[str, Any] = {"status": 0, "body": b""}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        answer["status"] = message.get("status", answer["status"])
        answer["body"] += message.get("body", b"")

    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [],
        "client": None, "server": None,
    }  # fmt: skip
    await app(scope, receive, send)
    return answer["status"], answer["body"].decode()


def _write(descriptor: int, text: str) -> bool:
    """Whether the supervisor is still there; one that does not read misses a line."""
    line = " ".join(text.split()).encode()[:_LONGEST_LINE_BYTES]
    try:
        os.write(descriptor, line + b"\n")
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True
