"""The web-config file in force, reread when it or a file that it names changes.

1. The files are looked at each second (mtime, ctime, inode, size) and read once they have stopped changing, so that a
   certificate and its key can be exchanged one after the other.
2. A file that turns out to be wrong leaves everything as it was, and one line says so for each change.
3. While it runs, a server does not become more open than it was started: no change takes away TLS or its lowest
   version, the demand for a client's certificate or for one of its names, or the demand for a password. A file that is
   cut off in the middle is often a valid one.
4. What is open stays open: a new certificate is shown to new connections, new users and headers hold from the next
   request on.
"""

import asyncio
import datetime as dt
import logging
import pathlib
from collections.abc import Iterable

from gpuwarden.errors import UserInputError
from gpuwarden.web_offer import Tls, Web

_log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 1.0

Fingerprint = tuple[tuple[int, int, int, int] | None, ...]


class WeakerError(UserInputError, ValueError):
    """The files no longer ask for something that a running server does not give up."""


class WebFiles:
    """Without a file, the page is open and plain.

    Raises:
        DocumentError: the file, or one that it names, is wrong.
    """

    def __init__(self, path: str | None) -> None:
        self.current = Web()
        self._path = pathlib.Path(path) if path else None
        self._watched: tuple[pathlib.Path, ...] = ()
        self._loaded: Fingerprint = ()
        self._last_seen: Fingerprint = ()
        self._said_expired = False
        if self._path is not None:
            self._watched = (self._path,)
            before = _fingerprint(self._watched)
            self.current = self._read(self._path)
            self._remember((self._path,), before)

    @property
    def scheme(self) -> str:
        """Of the page's URL."""
        return "https" if self.current.tls else "http"

    async def watch(self) -> None:
        """Keep ``current`` up to date until cancelled."""
        self._tell_validity()
        while self._path is not None:
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
            self.look()

    def look(self) -> None:
        """Reread the files if they have changed since they were read, and not since the last look."""
        if self._path is None:
            return
        self._tell_expiry(dt.datetime.now(dt.UTC))
        seen, before = _fingerprint(self._watched), self._last_seen
        self._last_seen = seen
        if seen == self._loaded or seen != before:
            return
        watched = self._watched
        self._reread(self._path)
        self._remember(watched, seen)

    def _remember(self, watched: tuple[pathlib.Path, ...], seen: Fingerprint) -> None:
        """What was read is what was there before the reading: a change that came meanwhile is still to be read."""
        before = dict(zip(watched, seen, strict=True))
        self._loaded = tuple(before[path] if path in before else _look_at(path) for path in self._watched)
        self._last_seen = self._loaded

    def prepare(self) -> Web:
        """What the files say now, for ``take``; without a file, what is in force.

        Raises:
            UserInputError: one is wrong, or they ask for less than before.
        """
        if self._path is None:
            return self.current
        watched, seen = self._watched, _fingerprint(self._watched)
        try:
            return self._no_weaker(self._path)
        finally:
            self._remember(watched, seen)

    def take(self, found: Web) -> None:
        """Put in force what was read."""
        if found is self.current:
            return
        if found.auth and self.current.auth:
            found.auth.know_from(self.current.auth)
        self.current = found
        _log.info("%s was read again", self._path)
        self._tell_validity()

    def _reread(self, path: pathlib.Path) -> None:
        try:
            found = self._no_weaker(path)
        except UserInputError as error:
            _log.error("what was read before stays in force: %s", "; ".join(str(error).splitlines()))
            return
        except Exception:  # noqa: BLE001 -- what nobody thought of must not end the watch, and with it every later exchange
            _log.exception("what was read before stays in force")
            return
        self.take(found)

    def _no_weaker(self, path: pathlib.Path) -> Web:
        found = self._read(path)
        weaker = _weaker(self.current, found)
        if weaker:
            message = f"{path} no longer asks for {weaker}; only a restart allows it"
            raise WeakerError(message)
        return found

    def _read(self, path: pathlib.Path) -> Web:
        from gpuwarden.web_reading import Asked  # noqa: PLC0415 -- a page without such a file does not pay for it

        self._watched = (path,)
        asked = Asked.of(path)
        self._watched = (path, *asked.files)
        return asked.offer()

    def _tell_validity(self) -> None:
        tls, now = self.current.tls, dt.datetime.now(dt.UTC)
        self._said_expired = False
        if tls is None:
            return
        if now < tls.not_before:
            _log.warning("the certificate is not valid before %s", _minute(tls.not_before))
        elif now <= tls.not_after:
            _log.info("the certificate is valid until %s", _minute(tls.not_after))
        self._tell_expiry(now)

    def _tell_expiry(self, now: dt.datetime) -> None:
        tls = self.current.tls
        if tls is not None and now > tls.not_after and not self._said_expired:
            self._said_expired = True
            _log.warning("the certificate has expired at %s: clients will refuse it", _minute(tls.not_after))


def _weaker(before: Web, now: Web) -> str:
    """What is no longer asked for, empty when all still is."""
    if before.tls and not now.tls:
        return "TLS"
    if before.client_certificates and not now.client_certificates:
        return "a client's certificate"
    if before.auth and not now.auth:
        return "a password"
    return _weaker_tls(before.tls, now.tls) if before.tls and now.tls else ""


def _weaker_tls(before: Tls, now: Tls) -> str:
    if before.san_names and not now.san_names:
        return "one of the names in client_allowed_sans"
    if now.context.minimum_version < before.context.minimum_version:
        return f"{before.context.minimum_version.name} at least"
    if now.context.verify_mode < before.context.verify_mode:
        return "a valid certificate of those who show one"
    return ""


def _fingerprint(paths: Iterable[pathlib.Path]) -> Fingerprint:
    return tuple(map(_look_at, paths))


def _look_at(path: pathlib.Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size


def _minute(time: dt.datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
