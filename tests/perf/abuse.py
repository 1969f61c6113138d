"""Clients for an exporter under abuse: well-behaved scrapers that are measured, and three kinds that are not nice.

Slow readers ask for twenty pages at once into a tiny receive buffer and take a byte a second. Slow senders write a
request a byte a second. Malformed requests come as fast as twenty connections send them. Whoever of them is cut off
comes back at once. ``python -m tests.perf.abuse URL ...`` is the abuse in a process of its own, so that it does not
hold up the ones that are measured.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

REQUEST = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"
MALFORMED = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/9.9\r\nhost: x\r\n\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Basic !!!\r\nx: \x00\r\n\r\n",
)


@dataclass(slots=True)
class Scraped:
    """What the well-behaved saw: seconds for each answer, and what went wrong."""

    times: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    reconnected: int = 0

    def quantile(self, share: float) -> float:
        """Seconds within which that share of the answers came."""
        return sorted(self.times)[min(int(share * len(self.times)), len(self.times) - 1)] if self.times else 0.0


@dataclass(slots=True)
class Abused:
    """What the others did and got."""

    slow_readers_cut: int = 0
    slow_senders_cut: int = 0
    malformed: int = 0
    longest_reader_seconds: float = 0.0


class Scraper:
    """One well-behaved client on a kept connection; a kept connection that was closed is opened again, as Go does."""

    def __init__(self, url: str, scraped: Scraped) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname, parts.port
        self._scraped = scraped
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, period: float, until: float) -> None:
        """Scrape every ``period`` seconds until that monotonic time."""
        await asyncio.sleep(random.uniform(0, period))
        while (begun := time.monotonic()) < until:
            try:
                async with asyncio.timeout(10):
                    await self._scrape()
            except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                self._scraped.errors.append(f"{type(error).__name__}: {error}")
                self._streams = None
            else:
                self._scraped.times.append(time.monotonic() - begun)
            await asyncio.sleep(max(0.0, period - (time.monotonic() - begun)))
        if self._streams:
            self._streams[1].close()

    async def _scrape(self) -> None:
        if self._streams is not None:
            try:
                await self._exchange(*self._streams)
            except (ConnectionError, asyncio.IncompleteReadError):
                self._scraped.reconnected += 1
            else:
                return
        self._streams = await asyncio.open_connection(*self._address)
        await self._exchange(*self._streams)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REQUEST)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        if b" 200 " not in head[:20]:
            message = head[:40].decode("latin-1")
            raise ValueError(message)


async def scrape(url: str, scraped: Scraped, clients: int, period: float, seconds: float) -> None:
    """Let ``clients`` scrape at once."""
    until = time.monotonic() + seconds
    await asyncio.gather(*(Scraper(url, scraped).run(period, until) for _ in range(clients)))


@contextlib.asynccontextmanager
async def connected(address: tuple[str, int], receive: int = 0) -> AsyncIterator[socket.socket]:
    """A bare connection."""
    with socket.socket() as connection:
        if receive:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, address)
        yield connection


async def read_slowly(address: tuple[str, int], seen: Abused) -> None:
    """Be a slow reader until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        begun = time.monotonic()
        with contextlib.suppress(OSError):
            async with connected(address, 4096) as connection:
                await loop.sock_sendall(connection, 20 * REQUEST)
                # The kernel still hands out what arrived before a reset, so the error is asked for.
                while not connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    if not await loop.sock_recv(connection, 1):
                        break
                    await asyncio.sleep(1)
        seen.slow_readers_cut += 1
        seen.longest_reader_seconds = max(seen.longest_reader_seconds, time.monotonic() - begun)
        await asyncio.sleep(0.1)


async def send_slowly(address: tuple[str, int], seen: Abused) -> None:
    """Be a slow sender until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        with contextlib.suppress(OSError):
            async with connected(address) as connection:
                for byte in itertools.cycle(b"GET /metrics HTTP/1.1\r\nhost: x\r\nx: "):
                    await loop.sock_sendall(connection, bytes([byte]))
                    await asyncio.sleep(1)
        seen.slow_senders_cut += 1
        await asyncio.sleep(0.1)


async def be_malformed(address: tuple[str, int], seen: Abused, most: int) -> None:
    """Send malformed requests, one to a connection, until there were ``most`` from all of us."""
    loop = asyncio.get_running_loop()
    while seen.malformed < most:
        said = MALFORMED[seen.malformed % len(MALFORMED)]
        seen.malformed += 1
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(5), connected(address) as connection:
                await loop.sock_sendall(connection, said)
                await loop.sock_recv(connection, 4096)


async def abuse(url: str, seconds: float, readers: int, senders: int, malformed: int) -> Abused:
    """All of it for that time."""
    parts = urlsplit(url)
    address, seen = (str(parts.hostname), int(parts.port or 0)), Abused()
    slow = [asyncio.create_task(read_slowly(address, seen)) for _ in range(readers)]
    slow += [asyncio.create_task(send_slowly(address, seen)) for _ in range(senders)]
    hasty = [asyncio.create_task(be_malformed(address, seen, malformed)) for _ in range(20)]
    await asyncio.sleep(seconds)
    for task in (*slow, *hasty):
        task.cancel()
    await asyncio.gather(*slow, *hasty, return_exceptions=True)
    return seen


def main() -> None:
    """Abuse, then print what was seen as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float)
    for name in ("readers", "senders", "malformed"):
        parser.add_argument(f"--{name}", type=int)
    seen = asyncio.run(abuse(**vars(parser.parse_args())))
    print(json.dumps({name: getattr(seen, name) for name in Abused.__slots__}))


if __name__ == "__main__":
    main()
