"""What stands between a request and the application: the password, the headers, answers in pieces.

An answer is written in pieces of 32 KiB, each when the client has taken most of what came before, so that a page of a
megabyte under two hundred slow readers is in memory once and not two hundred times.
"""

import logging
from collections.abc import Callable, Collection
from typing import Any

from gpuwarden.basic_auth import Verdict
from gpuwarden.web_offer import Web

_log = logging.getLogger(__name__)

_PIECE_BYTES = 32 * 1024
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_REFUSALS = {
    Verdict.REFUSED: (401, b"Unauthorized\n", (b"www-authenticate", b"Basic")),
    Verdict.BUSY: (503, b"too many passwords to check, try again\n", (b"retry-after", b"1")),
}

Application = Callable[..., Any]


def guarded(app: Application, web: Callable[[], Web], own_secret: Callable[[], Collection[str]] = tuple) -> Application:
    """``app`` behind what ``web()`` asks for at the time of a request.

    The paths of ``own_secret()`` ask for something else in the one Authorization header of a request, and so for no
    password; the application refuses those who do not know it.
    """

    async def guard(scope: Any, receive: Any, send: Any) -> None:
        now = web()

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *now.headers]}
            await _in_pieces(message, send)

        verdict = Verdict.LET_IN
        if now.auth is not None and scope["path"] not in own_secret():
            verdict = await now.auth.verdict(dict(scope["headers"]).get(b"authorization"))
        if verdict is Verdict.LET_IN:
            await app(scope, receive, answer)
        else:
            await _refuse(verdict, answer)

    return guard


async def _refuse(verdict: Verdict, answer: Application) -> None:
    status, body, header = _REFUSALS[verdict]
    _log.info("answered %d to a client without a name and password that are known", status)
    headers = [_TEXT, header, (b"content-length", str(len(body)).encode())]
    await answer({"type": "http.response.start", "status": status, "headers": headers})
    await answer({"type": "http.response.body", "body": body})


async def _in_pieces(message: Any, send: Any) -> None:
    body = message.get("body", b"")
    if len(body) <= _PIECE_BYTES:
        await send(message)
        return
    whole = memoryview(body)
    for start in range(0, len(body), _PIECE_BYTES):
        last = start + _PIECE_BYTES >= len(body)
        more = not last or message.get("more_body", False)
        await send({**message, "body": whole[start : start + _PIECE_BYTES], "more_body": more})
