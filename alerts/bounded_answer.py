"""The body of an HTTP answer, of bounded size: whoever answers decides how much it sends, not how much we keep."""

from collections.abc import Callable
from http import HTTPStatus

import httpx


async def body_of(response: httpx.Response, most_bytes: int, refusal: Callable[[str], Exception]) -> bytes:
    """The whole body of a streamed answer.

    Raises:
        Exception: the ``refusal`` of it, which gets a sentence: the status is not 200, or the body is too large.
    """
    if response.status_code != HTTPStatus.OK:
        raise refusal(f"answered {response.status_code} {response.reason_phrase}".rstrip())
    return await bounded(response, most_bytes, refusal(f"answered with more than {most_bytes // 2**20} MiB"))


async def bounded(response: httpx.Response, most_bytes: int, too_large: Exception) -> bytes:
    """The whole body of a streamed answer, whatever its status; raises ``too_large`` beyond ``most_bytes``."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most_bytes:
            raise too_large
    return bytes(body)
