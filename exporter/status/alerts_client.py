"""Asks for alerts in the background, never for a page: a page shows what was last answered, and how old that is.

1. One question at a time, with a deadline by the wall clock for all of it and a cap on what may come back.
2. An answer counts for ``max_age`` seconds. Then the alerts are unknown, with the reason; they are never "none".
3. No answer, however odd, ends the asking.

It speaks HTTP through h11, which the listener has loaded already: an HTTP client library would cost the exporter more
memory than all its readings.
"""

import asyncio
import ssl
import time
from collections.abc import Callable

import h11

from exporter.status.address import Address
from exporter.status.alerts import NO_SOURCE, Alerts, Answer, read_answer
from gpuwarden.errors import GpuwardenError

MOST_BYTES = 4 * 2**20

_INTERVAL_SECONDS, _DEADLINE_SECONDS, _MAX_AGE_SECONDS = 5.0, 4.0, 20.0
_CLOSED = "the connection was closed before an answer came"
_CHUNK_BYTES = 64 * 2**10


class NoAnswerError(GpuwardenError, OSError):
    """What came back is no HTTP answer that can be used; the message is one line for a person."""


class AlertsClient:
    """Asks ``address`` until cancelled, nobody where it is None; ``known`` from the same event loop."""

    def __init__(
        self,
        address: Address | None,
        *,
        own: Callable[[], frozenset[str]] = frozenset,
        interval: float = _INTERVAL_SECONDS,
        deadline: float = _DEADLINE_SECONDS,
        max_age: float = _MAX_AGE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._own = own
        self._context = ssl.create_default_context() if address is not None and address.secure else None
        self._interval = interval
        self._deadline = deadline
        self._max_age = max_age
        self._monotonic = monotonic
        self._answer: Answer | None = None
        self._answered_at = 0.0
        self._trouble = "it has not been asked yet"

    async def run(self) -> None:
        """Ask now and every ``interval`` seconds."""
        while self._address is not None:
            await self.ask(self._address)
            await asyncio.sleep(self._interval)

    async def ask(self, address: Address) -> None:
        """Ask once; what goes wrong is kept in words."""
        try:
            async with asyncio.timeout(self._deadline):
                status, body = await _get(address, self._context, "/api/v1/alerts")
                # Beside the event loop, which has scrapes to answer.
                self._answer = await asyncio.to_thread(read_answer, status, body, self._own())
        except TimeoutError:
            self._trouble = f"no complete answer within {self._deadline:g} s"
        except ssl.SSLCertVerificationError as error:
            self._trouble = f"its certificate is not accepted: {error.verify_message}"
        except OSError as error:
            self._trouble = error.strerror or str(error) or type(error).__name__
        except (GpuwardenError, h11.RemoteProtocolError) as error:
            self._trouble = str(error)
        except Exception as error:  # noqa: BLE001 -- see 3
            self._trouble = f"{type(error).__name__}: {error}"
        else:
            self._answered_at, self._trouble = self._monotonic(), ""

    def known(self) -> Alerts:
        """What is known now."""
        if self._address is None:
            return NO_SOURCE
        if self._answer is None:
            return Alerts(source=self._address.shown, trouble=self._trouble)
        age = self._monotonic() - self._answered_at
        if age > self._max_age:
            return Alerts(source=self._address.shown, answered_ago=age, trouble=self._trouble or "no answer")
        return Alerts(
            source=self._address.shown,
            listed=self._answer.alerts,
            more=self._answer.more,
            more_firing=self._answer.more_firing,
            remarks=self._answer.remarks,
            answered_ago=age,
            trouble=self._trouble,
        )


async def _get(address: Address, secure: ssl.SSLContext | None, path: str) -> tuple[int, bytes]:
    """The status and body of one answer on a connection of its own."""
    reader, writer = await asyncio.open_connection(address.host, address.port, ssl=secure)
    try:
        connection = h11.Connection(h11.CLIENT)
        writer.write(connection.send(_request(address, path)) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()
        return await _read(connection, reader)
    finally:
        # Not close(): that waits for a peer that may never take what is left.
        writer.transport.abort()


def _request(address: Address, path: str) -> h11.Request:
    host = f"[{address.host}]" if ":" in address.host else address.host
    headers = [
        ("Host", f"{host}:{address.port}"),
        ("Accept", "application/json"),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
        ("User-Agent", "gpuwarden-exporter"),
        *([("Authorization", address.authorization)] if address.authorization else []),
    ]
    return h11.Request(method="GET", target=f"{address.prefix}{path}", headers=headers)


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[int, bytes]:
    status, body = 0, bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(_CHUNK_BYTES)
            if not data and not status:  # of which h11 says nothing that a person understands
                raise NoAnswerError(_CLOSED)
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MOST_BYTES:
                message = f"the answer is larger than {MOST_BYTES // 2**20} MiB"
                raise NoAnswerError(message)
        elif isinstance(event, h11.EndOfMessage):
            return status, bytes(body)
        elif not isinstance(event, h11.InformationalResponse):
            raise NoAnswerError(_CLOSED)
