"""Where ``gpuwarden silence`` finds the silences, and how it gets at them.

1. Where Alertmanager judges they are Alertmanager's (``alerter.alertmanager.url``), else the running alerter's
   (``alerter.listen``). Both speak the same API, so that one client serves both.
2. Where nobody listens and the alerter would judge, the state folder is free for the taking: the silence is written
   into it, and holds when the alerter starts.
3. Logins and certificates are those with which the alerter visits its targets (``alerter.scrape``).
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol, cast

import httpx

from alerts import silence_rows
from alerts.clean_text import one_line
from alerts.scrape import instance_of, without_userinfo
from alerts.scrape_settings import ScrapeSettings
from alerts.settings import AlerterSettings
from alerts.silence_document import document_of
from alerts.silences import adding
from alerts.store import FILE_NAME, StateInUseError, Store
from gpuwarden.errors import GpuwardenError, UserInputError
from gpuwarden.listener import parse_address

DEADLINE_SECONDS = 10.0
MOST_BYTES = 8 * 2**20

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- compared, not bound
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}

Document = Mapping[str, Any]


class SilenceAccessError(GpuwardenError, OSError):
    """The silences cannot be got at; the message says where and why."""


class NobodyListensError(SilenceAccessError):
    """Nothing answers at the address."""


class SilenceRefusedError(UserInputError, ValueError):
    """What was asked for is not right, in the words of whom we asked."""


class AddressOfSilencesError(UserInputError, ValueError):
    """What a person said of where the silences are is no URL."""


class NoAlertmanagerError(UserInputError, ValueError):
    """Alertmanager judges and the settings do not say where it is."""


class Access(Protocol):
    """The silences, wherever they are; each call raises SilenceAccessError or SilenceRefusedError."""

    place: str
    """Where they are, in words."""

    def add(self, document: Document) -> str:
        """Keep a silence; its id."""
        ...

    def all(self) -> Sequence[Document]:
        """Every silence that is known, ended ones too."""
        ...

    def end(self, identity: str) -> None:
        """Let a silence end now."""
        ...


def reach(settings: AlerterSettings, url: str | None) -> Access:
    """The way to the silences; ``url`` is a person's own word on where they are.

    Raises:
        AddressOfSilencesError, NoAlertmanagerError, SilenceAccessError: there is none.
    """
    if url is not None:
        _check_url(url)
        return OverHttp(url, settings.scrape)
    if not settings.judges_itself:
        if settings.alertmanager.url is None:
            message = (
                "Alertmanager keeps the silences (alerter.judge): say where it is (alerter.alertmanager.url, or --url)"
            )
            raise NoAlertmanagerError(message)
        return OverHttp(settings.alertmanager.url, settings.scrape)
    running = OverHttp(own_url(settings.listen), settings.scrape)
    try:
        running.all()
    except NobodyListensError as silent:
        return _in_the_folder(settings.state_folder, silent)
    return running


def _check_url(url: str) -> None:
    try:
        instance_of(url)
    except ValueError as error:
        message = f"--url: {error}, for example http://127.0.0.1:9401"
        raise AddressOfSilencesError(message) from error


def own_url(listen: str) -> str:
    """Where an alerter that listens so can be reached from here."""
    host, port = parse_address(listen)
    host = _WILDCARDS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _in_the_folder(folder: Path, silent: NobodyListensError) -> Access:
    access = InTheFolder(folder)
    try:
        access.all()
    except StateInUseError as error:
        message = f"{silent}, but {error}: say where it listens (alerter.listen, or --url)"
        raise SilenceAccessError(message) from error
    return access


class OverHttp:
    """The silences of an alerter or an Alertmanager at ``url``."""

    def __init__(self, url: str, access: ScrapeSettings) -> None:
        self._url = url.rstrip("/")
        self._access = access
        self.place = f"at {without_userinfo(url)}"

    def add(self, document: Document) -> str:
        """Post it."""
        answer = self._ask("POST", "/api/v2/silences", document)
        return str(cast("Document", answer).get("silenceID", "")) if isinstance(answer, dict) else ""

    def all(self) -> Sequence[Document]:
        """Get them all."""
        answer = self._ask("GET", "/api/v2/silences")
        if not isinstance(answer, list):
            message = f"{self.place[3:]} answered with something that is no list of silences"
            raise SilenceAccessError(message)
        return [cast("Document", item) for item in cast("list[Any]", answer) if isinstance(item, dict)]

    def end(self, identity: str) -> None:
        """Delete it."""
        self._ask("DELETE", f"/api/v2/silence/{httpx.URL(path=identity).raw_path.decode()}")

    def _ask(self, method: str, path: str, document: Document | None = None) -> Any:
        named = self.place[3:]
        try:
            status, body = asyncio.run(self._exchange(method, path, document))
        except httpx.ConnectError as error:
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
            raise SilenceAccessError(message)
        return answer

    async def _exchange(self, method: str, path: str, document: Document | None) -> tuple[int, bytes]:
        body = bytearray()
        async with (
            asyncio.timeout(DEADLINE_SECONDS),
            self._access.client() as client,
            client.stream(method, f"{self._url}{path}", json=document, headers=_HEADERS) as response,
        ):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MOST_BYTES:
                    message = f"the answer is larger than {MOST_BYTES // 2**20} MiB"
                    raise SilenceAccessError(message)
        return response.status_code, bytes(body)


class InTheFolder:
    """The silences in the state folder of an alerter that does not run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = f"in {folder}, since no alerter runs"

    def add(self, document: Document) -> str:
        """Write it."""
        with Store.open(self._folder) as store:
            return store.change(adding(document, time.time())).id

    def all(self) -> Sequence[Document]:
        """Read them; a folder that is not there yet has none."""
        if not (self._folder / FILE_NAME).exists():
            return []
        with Store.open(self._folder) as store:
            return [document_of(silence, time.time()) for silence in store.read(silence_rows.everything).values()]

    def end(self, identity: str) -> None:
        """Write its end."""
        with Store.open(self._folder) as store:
            store.change(silence_rows.end, identity, time.time())


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None
