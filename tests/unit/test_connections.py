import asyncio
import contextlib
import http.client
import socket
import time

import psutil
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gpuwarden.deadlines import Limits
from gpuwarden.listener import bind, serve
from gpuwarden.web_files import WebFiles
from tests.e2e.secure import Secrets
from tests.polling import wait_until

LARGE = b"x" * 8 * 2**20
"""More than the kernel's buffers of both sides hold."""


def served(talk, web=None, **limits):
    """What ``talk(port)`` returns while a small application is served."""

    async def main():
        large = Route("/large", lambda _: Response(LARGE))
        app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("hello")), large])
        stop = asyncio.Event()
        listening = bind("127.0.0.1:0", "test")
        serving = asyncio.create_task(serve(app, listening, stop, web=web, limits=Limits(**limits)))
        answer = await asyncio.to_thread(talk, listening.getsockname()[1])
        stop.set()
        await serving
        return answer

    return asyncio.run(main())


def connected(port, receive=None):
    connection = socket.socket()
    if receive:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    connection.settimeout(5)
    connection.connect(("127.0.0.1", port))
    return connection


def ask(connection, path="/"):
    connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())


def answer(connection):
    """The status of an answer to ``ask``."""
    found = b""
    while not found.endswith(b"hello"):
        part = connection.recv(1000)
        if not part:
            break
        found += part
    return found[:12]


def is_gone(connection):
    """Whether the server has ended the connection; what it had sent before is thrown away."""
    connection.settimeout(0.01)
    with contextlib.suppress(TimeoutError):
        try:
            while connection.recv(2**16):
                pass
        except ConnectionError:
            pass
        return True
    return False


def is_reset(connection):
    """Whether the server has cut the connection, without reading from it."""
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0 or tcp_state(connection) != "ESTABLISHED"


def tcp_state(connection):
    own = connection.getsockname()[1]
    return next(
        (found.status for found in psutil.Process().net_connections("tcp") if found.laddr.port == own), "CLOSED"
    )


@pytest.mark.parametrize("reads", [0, 1], ids=["nothing", "a byte at a time"])
def test_who_does_not_take_the_answer_is_cut_off(reads):
    """Clients that do not read would hold connections and memory for ever."""

    def talk(port):
        with connected(port, receive=4096) as slow:
            ask(slow, "/large")

            def cut_off():
                if reads:
                    with contextlib.suppress(ConnectionError):
                        slow.recv(reads)
                return is_reset(slow)

            wait_until(cut_off, 10, "the slow reader keeps its connection")

    served(talk, answer_seconds=0.5)


def test_a_slow_reader_under_tls_is_cut_off(tmp_path):
    """TLS would be a way around the limits."""
    secrets = Secrets(tmp_path)

    def talk(port):
        with secrets.trust().wrap_socket(connected(port, receive=4096), server_hostname="localhost") as slow:
            ask(slow, "/large")
            wait_until(lambda: is_reset(slow), 10, "the slow reader keeps its connection")

    served(talk, WebFiles(str(secrets.config(auth=False))), answer_seconds=0.5)


def test_a_handshake_that_does_not_end_is_cut_off(tmp_path):
    """Clients that connect and say nothing would keep their places for a minute."""
    web = WebFiles(str(Secrets(tmp_path).config(auth=False)))

    def talk(port):
        with connected(port) as silent:
            return silent.recv(1000)

    assert served(talk, web, handshake_seconds=0.3) == b""


def test_who_takes_the_answer_in_time_gets_it_whole():
    """Large pages would arrive in half, or with pieces out of order."""

    def talk(port):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            bodies = []
            for _ in range(3):
                connection.request("GET", "/large")
                bodies.append(connection.getresponse().read())
            return bodies

    assert served(talk) == [LARGE] * 3


def test_a_kept_connection_outlives_the_time_for_an_answer():
    """Prometheus's connections would be cut off between two scrapes."""

    def talk(port):
        with connected(port) as kept:
            first = []
            deadline = time.monotonic() + 0.7
            while time.monotonic() < deadline:
                ask(kept)
                first.append(answer(kept))
            return set(first)

    assert served(talk, answer_seconds=0.2) == {b"HTTP/1.1 200"}


def test_asking_for_more_does_not_buy_time_to_take_an_answer():
    """A client could hold its answers in our memory by asking for the next one."""

    def talk(port):
        with connected(port, receive=4096) as slow:

            def cut_off():
                with contextlib.suppress(OSError):
                    slow.setblocking(False)
                    ask(slow, "/large")
                return is_reset(slow)

            wait_until(cut_off, 10, "the slow reader keeps its connection")

    served(talk, answer_seconds=0.5)


def test_slow_readers_hold_little_memory():
    """Two hundred clients that do not read would take the memory of two hundred pages."""

    def talk(port):
        own = psutil.Process()
        with contextlib.ExitStack() as stack:
            before = own.memory_info().rss
            slow = [stack.enter_context(connected(port, receive=4096)) for _ in range(50)]
            for connection in slow:
                ask(connection, "/large")
            with connected(port) as other:
                ask(other)
                assert answer(other) == b"HTTP/1.1 200"
            return own.memory_info().rss - before

    assert served(talk) < 3 * len(LARGE)


def test_the_newcomer_gets_the_place_of_the_slowest():
    """Silent clients would keep Prometheus out until their time is up."""

    def talk(port):
        with contextlib.ExitStack() as stack:
            kept = stack.enter_context(connected(port))
            ask(kept)
            assert answer(kept) == b"HTTP/1.1 200"
            silent = stack.enter_context(connected(port))
            time.sleep(1.1)  # a client is slow from a second on
            half = stack.enter_context(connected(port))
            half.sendall(b"GET / HT")
            newcomer = stack.enter_context(connected(port))
            ask(newcomer)
            assert answer(newcomer) == b"HTTP/1.1 200"
            wait_until(lambda: is_gone(silent), 5, "the silent one kept its place")
            assert not is_gone(kept)
            assert not is_gone(half)

    served(talk, connections=3)


def test_without_slow_ones_the_longest_idle_makes_room():
    """A newcomer would be refused, or a request under way cut off, while connections idle."""

    def talk(port):
        with contextlib.ExitStack() as stack:
            idle = [stack.enter_context(connected(port)) for _ in range(3)]
            for connection in idle:
                ask(connection)
                assert answer(connection) == b"HTTP/1.1 200"
            newcomer = stack.enter_context(connected(port))
            ask(newcomer)
            assert answer(newcomer) == b"HTTP/1.1 200"
            wait_until(lambda: is_gone(idle[0]), 5, "the longest idle kept its place")
            assert not is_gone(idle[1])
            assert not is_gone(idle[2])

    served(talk, connections=3)


def test_a_crowd_that_only_connects_keeps_nobody_out():
    """Whoever opens connections fast enough would blind the monitoring."""

    def talk(port):
        with contextlib.ExitStack() as stack:
            for _ in range(50):
                for _ in range(10):
                    stack.enter_context(connected(port))
                with connected(port) as scraper:
                    ask(scraper)
                    assert answer(scraper) == b"HTTP/1.1 200"

    served(talk, connections=20)


def test_malformed_requests_are_a_line_in_the_log(caplog):
    """Ten thousand malformed requests would be ten thousand lines."""

    def talk(port):
        for number in range(200):
            with connected(port) as connection:
                said = [b"\x16\x03\x01\x00\xa5\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"][number % 3]
                connection.sendall(said)
                assert connection.recv(1000).startswith(b"HTTP/1.1 400")

    served(talk)
    assert len(caplog.records) <= 3
