import asyncio
import ssl

import pytest
import trustme

from exporter.status.address import parse_url
from exporter.status.alerts import NO_SOURCE
from exporter.status.alerts_client import MOST_BYTES, AlertsClient

BODY = b'{"status":"success","data":{"alerts":[{"labels":{"alertname":"A"},"annotations":{},"state":"firing"}]}}'
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\n\r\n" + BODY
EARLY = b"HTTP/1.1 103 Early Hints\r\n\r\n" + GOOD


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


async def serving(behaviour, story, *, url="http://127.0.0.1:{port}", secure=None, **options):
    """A real server that does what ``behaviour`` does with each connection; ``story`` gets client and address."""
    heads = []

    async def handle(reader, writer):
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            await behaviour(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=secure)
    async with server:
        address = parse_url(url.format(port=server.sockets[0].getsockname()[1]))
        await story(AlertsClient(address, **options), address)
    return heads


def asked(behaviour, **options):
    """What a client knows after it has asked a server of this behaviour once."""
    known = []

    async def once(client, address):
        await client.ask(address)
        known.append(client.known())

    asyncio.run(serving(behaviour, once, **options))
    return known[0]


def says(data):
    async def behaviour(writer):
        writer.write(data)

    return behaviour


async def silence(_):
    await asyncio.Event().wait()


async def drip(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def flood(writer):
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b" " * 2**16)
        await writer.drain()


@pytest.mark.parametrize("data", [GOOD, CHUNKED, UNTIL_CLOSE, EARLY])
def test_a_good_answer_is_known(data):
    """The page would show no alerts of a server that frames its answer in another of HTTP's ways."""
    known = asked(says(data))

    assert [alert.name for alert in known.listed] == ["A"]
    assert known.trouble == ""


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (says(b""), "the connection was closed before an answer came"),
        (says(b"SSH-2.0-OpenSSH\r\n\r\n"), "illegal status line"),
        (says(GOOD[:-5]), "peer closed connection without sending complete message body"),
        (says(b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n"), "HTTP 302"),
        (says(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000), "too long"),
        (silence, "no complete answer within 0.3 s"),
        (drip, "no complete answer within 0.3 s"),
    ],
)
def test_a_bad_answer_leaves_the_alerts_unknown_and_says_why(behaviour, said):
    """A broken, silent or dripping server would hold the page up, or look like a calm one."""
    known = asked(behaviour, deadline=0.3)

    assert known.listed is None
    assert said in known.trouble


def test_an_endless_answer_is_cut_off():
    """Whoever answers could fill the exporter's memory."""
    known = asked(flood)

    assert known.trouble == f"the answer is larger than {MOST_BYTES // 2**20} MiB"


def test_nobody_listens():
    """The page would not say that the alerter is down."""
    known = []

    async def gone(client, address):
        known.append(client)

    async def story():
        await serving(silence, gone)
        client = known[0]
        await client.ask(client._address)
        return client.known()

    after = asyncio.run(story())
    assert after.listed is None
    assert "connect" in after.trouble.lower()


def test_an_answer_counts_for_a_while_and_then_the_alerts_are_unknown():
    """A page would show alerts of an hour ago, or flicker at every lost packet."""
    clock, seen = Clock(), []

    async def story(client, address):
        await client.ask(address)
        server.data = b"nonsense\r\n\r\n"
        for clock.now in (1005.0, 1020.0, 1020.5):
            await client.ask(address)
            seen.append(client.known())

    class Server:
        data = GOOD

        async def __call__(self, writer):
            writer.write(self.data)

    server = Server()
    asyncio.run(serving(server, story, monotonic=clock))

    assert [known.listed is None for known in seen] == [False, False, True]
    assert [known.answered_ago for known in seen] == [5.0, 20.0, 20.5]
    assert all(known.trouble for known in seen)


def test_it_goes_on_asking_by_itself():
    """The alerts of the first second would stand there for ever."""

    async def thrice(client, _):
        task = asyncio.create_task(client.run())
        async with asyncio.timeout(20):
            await asking.enough.wait()
        task.cancel()

    class Asking:
        def __init__(self):
            self.count, self.enough = 0, asyncio.Event()

        async def __call__(self, writer):
            self.count += 1
            writer.write(GOOD if self.count > 1 else b"")
            if self.count > 2:
                self.enough.set()

    asking = Asking()
    asyncio.run(serving(asking, thrice, interval=0.01))


def test_without_a_source_nobody_is_asked():
    """An exporter alone would ask an address that nobody gave it."""
    client = AlertsClient(None)
    asyncio.run(client.run())

    assert client.known() == NO_SOURCE


def test_the_request_carries_the_path_and_the_password_of_the_url():
    """A Prometheus behind a proxy's path and password could not be asked."""

    async def once(client, address):
        await client.ask(address)

    (head,) = asyncio.run(serving(says(GOOD), once, url="http://me:secret@127.0.0.1:{port}/prometheus/"))

    assert head.startswith(b"GET /prometheus/api/v1/alerts HTTP/1.1\r\n")
    assert b"authorization: basic bwu6c2vjcmv0" in head.lower()


def test_a_certificate_that_nobody_vouches_for_is_not_accepted():
    """Alerts, and the password in the URL, would go to whoever answers."""
    authority = trustme.CA()
    secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(secure)
    known = asked(says(GOOD), url="https://127.0.0.1:{port}", secure=secure)

    assert known.listed is None
    assert "certificate is not accepted" in known.trouble
