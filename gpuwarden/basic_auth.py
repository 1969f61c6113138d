"""Basic authentication against bcrypt hashes, for a page that is asked each second.

1. A password that was right is remembered as a keyed digest, with a key that only this process has, and compared in
   constant time; so are the last wrong ones. A scraper costs one bcrypt, not one for each scrape, right or wrong.
2. bcrypt runs in a thread, one at a time, so that guessing costs at most one core and never the page of others. The
   same question asked by many at once is answered by one run. What waits is bounded: beyond it the answer is BUSY.
3. A name that is not there costs the same bcrypt as the dearest one that is: names cannot be told by the time it takes.
"""

import asyncio
import base64
import binascii
import enum
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping

_MOST_WAITING = 32
_MOST_REMEMBERED_REFUSALS = 128
_LONGEST_PASSWORD_BYTES = 72
"""bcrypt sees no more; longer ones are cut by every implementation that does not refuse them."""


def matches(password: bytes, known: bytes) -> bool:
    """Whether a password belongs to a bcrypt hash; takes as long as the hash's cost says."""
    import bcrypt  # noqa: PLC0415 -- no basic auth, no memory for it

    try:
        return bcrypt.checkpw(password[:_LONGEST_PASSWORD_BYTES], known)
    except ValueError:  # a NUL byte, which versions before 4 refuse
        return False


class Verdict(enum.Enum):
    """What follows for a request."""

    LET_IN = "let in"
    REFUSED = "refused"
    BUSY = "busy"


class BasicAuth:
    """The users of one web-config file; used from one event loop."""

    def __init__(self, hashes: Mapping[str, str], matches: Callable[[bytes, bytes], bool] = matches) -> None:
        self._matches = matches
        self._hashes = {name.encode(): text.encode() for name, text in hashes.items()}
        dearest = max((text.split(b"$")[2] for text in self._hashes.values()), default=b"10")
        self._nobody = b"$2b$" + dearest + b"$" + b"." * 53
        self._key = secrets.token_bytes(32)
        self._let_in: dict[bytes, bytes] = {}
        self._refused: dict[bytes, None] = {}
        self._running: dict[bytes, asyncio.Task[bool]] = {}
        self._one_at_a_time = asyncio.Lock()

    def know_from(self, before: "BasicAuth") -> None:
        """Take over who was let in before the file was read again, as far as their hashes are the same.

        A certificate is exchanged every few weeks, and a scraper must not have to stand in line with those who guess.
        """
        known = before._let_in, before._hashes  # noqa: SLF001 -- the same class
        self._key = before._key  # noqa: SLF001 -- the same class
        self._let_in = {
            name: digest
            for name, digest in known[0].items()
            if name in self._hashes and self._hashes[name] == known[1].get(name)
        }

    async def verdict(self, authorization: bytes | None) -> Verdict:
        """Judge the ``Authorization`` header of a request."""
        name, password = _credentials(authorization)
        if name is None:
            return Verdict.REFUSED
        digest = self._digest(name, password)
        if hmac.compare_digest(self._let_in.get(name, b""), digest):
            return Verdict.LET_IN
        if digest in self._refused:
            return Verdict.REFUSED
        if digest not in self._running:
            if len(self._running) >= _MOST_WAITING:
                return Verdict.BUSY
            self._running[digest] = asyncio.create_task(self._check(name, password, digest))
        right = await asyncio.shield(self._running[digest])
        return Verdict.LET_IN if right else Verdict.REFUSED

    async def _check(self, name: bytes, password: bytes, digest: bytes) -> bool:
        try:
            async with self._one_at_a_time:
                known = self._hashes.get(name)
                right = await asyncio.to_thread(self._matches, password, known or self._nobody) and known is not None
        finally:
            del self._running[digest]
        if right:
            self._let_in[name] = digest
        else:
            self._refused[digest] = None
            if len(self._refused) > _MOST_REMEMBERED_REFUSALS:
                del self._refused[next(iter(self._refused))]
        return right

    def _digest(self, name: bytes, password: bytes) -> bytes:
        said = len(name).to_bytes(4, "big") + name + password
        return hmac.new(self._key, said, hashlib.sha256).digest()


def _credentials(authorization: bytes | None) -> tuple[bytes, bytes] | tuple[None, bytes]:
    """Name and password (RFC 7617); no name where the header is absent, another scheme or broken."""
    scheme, _, encoded = (authorization or b"").partition(b" ")
    if scheme.lower() != b"basic":
        return None, b""
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except binascii.Error:
        return None, b""
    return (name, password) if colon else (None, b"")
