"""Asking an alerter or an Alertmanager about its silences, by Alertmanager's API (v2)."""

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

import httpx

from alerts.bounded_answer import bounded
from alerts.clean_text import one_line
from alerts.scrape import without_userinfo
from alerts.scrape_settings import ScrapeSettings
from gpuwarden.errors import GpuwardenError, UserInputError

DEADLINE_SECONDS = 10.0
MOST_BYTES = 8 * 2**20

_LOG_IN = "; log in by alerter.scrape.username and password_file, or by a name and password in --url"
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}

Document = Mapping[str, Any]


class SilenceAccessError(GpuwardenError, OSError):
    """The silences cannot be got at; the message says where and why."""


class NobodyListensError(SilenceAccessError):
    """Nothing answers at the address."""


class SilenceRefusedError(UserInputError, ValueError):
    """What was asked for is not right, in the words of whom we asked."""


class OverHttp:
    """The silences of an alerter or an Alertmanager at ``url``."""

    def __init__(self, url: str, access: ScrapeSettings) -> None:
        self._url = url.rstrip("/")
        self._access = access
        self._named = without_userinfo(url)
        self.place = f"at {self._named}"

    def add(self, document: Document) -> str:
        """Post it."""
        answer = self._ask("POST", "/api/v2/silences", document)
        return str(cast("Document", answer).get("silenceID", "")) if isinstance(answer, dict) else ""

    def all(self) -> Sequence[Document]:
        """Get them all."""
        answer = self._ask("GET", "/api/v2/silences")
        if not isinstance(answer, list):
            message = f"{self._named} answered with something that is no list of silences"
            raise SilenceAccessError(message)
        return [cast("Document", item) for item in cast("list[Any]", answer) if isinstance(item, dict)]

    def end(self, identity: str) -> None:
        """Delete it."""
        self._ask("DELETE", f"/api/v2/silence/{httpx.URL(path=identity).raw_path.decode()}")

    def _ask(self, method: str, path: str, document: Document | None = None) -> Any:
        named = self._named
        try:
            status, body = asyncio.run(self._exchange(method, path, document))
        except httpx.ConnectError as error:
            if _is_about_tls(error):
                message = f"{named} cannot be asked: {one_line(str(error), 300)}"
                raise SilenceAccessError(message) from error
            message = f"nothing answers at {named}"
            raise NobodyListensError(message) from error
        except TimeoutError as error:
            message = f"{named} gave no answer within {DEADLINE_SECONDS:g} s"
            raise SilenceAccessError(message) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, GpuwardenError) as error:
            message = f"{named} cannot be asked: {one_line(str(error), 300)}"
            raise SilenceAccessError(message) from error
        answer = _parsed(body)
        if status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND} and isinstance(answer, str):
            message = f"{named} refused: {one_line(answer, 500)}"
            raise SilenceRefusedError(message)
        if status != HTTPStatus.OK:
            words = answer if isinstance(answer, str) else body[:200].decode("utf-8", "replace")
            message = f"{named} answered {status}: {one_line(words, 300)}".rstrip(": ")
            message += _LOG_IN if status == HTTPStatus.UNAUTHORIZED else ""
            raise SilenceAccessError(message)
        return answer

    async def _exchange(self, method: str, path: str, document: Document | None) -> tuple[int, bytes]:
        too_large = SilenceAccessError(f"the answer is larger than {MOST_BYTES // 2**20} MiB")
        async with (
            asyncio.timeout(DEADLINE_SECONDS),
            self._access.client() as client,
            client.stream(method, f"{self._url}{path}", json=document, headers=_HEADERS) as response,
        ):
            return response.status_code, await bounded(response, MOST_BYTES, too_large)


def _is_about_tls(error: BaseException | None) -> bool:
    """Whether somebody listens, and the two of us could not agree on how to speak."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None
