"""Where ``gpuwarden silence`` finds the silences, and how it gets at them.

1. Where Alertmanager judges they are Alertmanager's (``alerter.alertmanager.url``), else the running alerter's
   (``alerter.listen``). Both speak the same API, so that one client serves both.
2. Where nobody listens and the alerter would judge, the state folder is free for the taking: the silence is written
   into it, and holds when the alerter starts.
3. Logins and certificates are those with which the alerter visits its targets (``alerter.scrape``).
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from alerts import silence_rows
from alerts.scrape import instance_of
from alerts.settings import AlerterSettings
from alerts.silence_client import Document, NobodyListensError, OverHttp, SilenceAccessError
from alerts.silence_document import document_of
from alerts.silences import adding
from alerts.store import FILE_NAME, StateInUseError, Store
from gpuwarden.errors import UserInputError
from gpuwarden.listener import address_url, parse_address
from gpuwarden.web_config import load_web_config


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
    running = OverHttp(own_url(settings.listen, settings.web_config), settings.scrape)
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


def own_url(listen: str, web_config: str | None) -> str:
    """Where an alerter that listens so can be reached from here.

    Raises:
        DocumentError: the web-config file is wrong.
    """
    tls = web_config is not None and load_web_config(Path(web_config))[0].tls_server_config is not None
    return address_url(*parse_address(listen), "https" if tls else "http")


def _in_the_folder(folder: Path, silent: NobodyListensError) -> Access:
    access = InTheFolder(folder)
    try:
        access.all()
    except StateInUseError as error:
        message = f"{silent}, but {error}: say where it listens (alerter.listen, or --url)"
        raise SilenceAccessError(message) from error
    return access


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
