"""A mail server that takes everything and counts it, as a process of its own: the fastest that Python offers.

``python -m tests.perf.smtp_sink PORT_FILE COUNT_FILE`` serves until SIGTERM, then writes what it took as JSON:
``{"mails": 10000, "different": 10000, "connections": 2}``; two mails differ in Message-ID or recipient.
"""

import asyncio
import json
import re
import signal
import sys
from pathlib import Path

_MESSAGE_ID = re.compile(rb"^Message-ID: *(\S+)", re.MULTILINE | re.IGNORECASE)


class Sink(asyncio.Protocol):
    """One connection."""

    counts = {"mails": 0, "connections": 0}  # noqa: RUF012 -- one process, one count
    seen: set[tuple[bytes, bytes]] = set()  # noqa: RUF012 -- as above

    def connection_made(self, transport):
        self.transport = transport
        self.buffer = b""
        self.recipient = b""
        self.in_data = False
        self.counts["connections"] += 1
        transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data):
        self.buffer += data
        while True:
            end = self.buffer.find(b"\r\n.\r\n" if self.in_data else b"\r\n")
            if end < 0:
                return
            piece, self.buffer = self.buffer[:end], self.buffer[end + (5 if self.in_data else 2) :]
            self.transport.write(self.take(piece) if self.in_data else self.answer(piece))

    def take(self, mail):
        self.in_data = False
        self.counts["mails"] += 1
        self.seen.add((_MESSAGE_ID.search(mail)[1], self.recipient))
        return b"250 taken\r\n"

    def answer(self, line):
        verb = line[:4].upper()
        if verb == b"RCPT":
            self.recipient = line.lower()
        self.in_data = verb == b"DATA"
        if verb == b"QUIT":
            self.transport.close()
        return {b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n", b"EHLO": b"250-sink\r\n250 8BITMIME\r\n"}.get(
            verb, b"250 ok\r\n"
        )


async def serve(port_file, count_file):
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(Sink, "127.0.0.1", 0, backlog=1000)
    draft = port_file.with_suffix(".tmp")
    draft.write_text(str(server.sockets[0].getsockname()[1]))
    draft.rename(port_file)
    await stop.wait()
    count_file.write_text(json.dumps({**Sink.counts, "different": len(Sink.seen)}))


if __name__ == "__main__":
    asyncio.run(serve(*map(Path, sys.argv[1:])))
