import asyncio
import contextlib
import http.client
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gpuwarden.deadlines import Limits
from gpuwarden.listener import AddressError, AddressTakenError, bind, parse_address, serve, url_of
from tests.polling import wait_until


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9400", ("127.0.0.1", 9400)),
        ("[::1]:9400", ("::1", 9400)),
        (":9400", ("127.0.0.1", 9400)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("box.lan:65535", ("box.lan", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text, address):
    """The exporter would listen elsewhere than it was told; without a host, it stays on loopback."""
    assert parse_address(text) == address


@given(st.text())
def test_any_other_text_is_refused(text):
    """A typing mistake in an address would end in a traceback."""
    try:
        host, port = parse_address(text)
    except ValueError as error:
        assert "is not HOST:PORT" in str(error)
    else:
        assert host
        assert 0 <= port <= 65535


def test_a_taken_port_names_the_address_and_the_way_out():
    """A second start would not say what is wrong."""
    with bind("127.0.0.1:0", "exporter") as first:
        address = f"127.0.0.1:{first.getsockname()[1]}"
        with pytest.raises(AddressTakenError, match=f"{address} is taken: does the exporter run already"):
            bind(address, "exporter")


def test_an_address_that_is_none_is_refused():
    """A typing mistake in a host name would end in a traceback."""
    with pytest.raises(AddressError, match=r"the exporter cannot listen on a\.\.b:9400"):
        bind("a..b:9400", "exporter")


def test_an_address_of_another_machine_is_refused():
    """A wrong address would end in a traceback."""
    with pytest.raises(AddressError, match=r"the exporter cannot listen on 192\.0\.2\.1:9400"):
        bind("192.0.2.1:9400", "exporter")


def test_a_wildcard_is_shown_as_something_that_a_browser_can_open():
    """A person would be told to open 0.0.0.0."""
    with bind("0.0.0.0:0", "exporter") as listening:
        assert url_of(listening).startswith("http://127.0.0.1:")


def served(talk, **options):
    """What ``talk(port)`` returns while a small application is served."""

    async def main():
        app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("hello"))])
        stop = asyncio.Event()
        listening = bind("127.0.0.1:0", "test")
        serving = asyncio.create_task(serve(app, listening, stop, **options))
        answer = await asyncio.to_thread(talk, listening.getsockname()[1])
        stop.set()
        await serving
        return answer

    return asyncio.run(main())


def connected(port):
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def asked(port):
    """The first line of the answer to one request."""
    with connected(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        return connection.recv(1000).partition(b"\r")[0]


def test_a_head_without_end_is_cut_off():
    """One client could fill the exporter's memory."""

    def talk(port):
        with connected(port) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nx-long: " + b"x" * 40_000)
            return connection.recv(1000)

    assert served(talk).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nhost: x\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf",
    ],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
def test_a_request_that_does_not_arrive_is_cut_off(said):
    """Silent clients would keep their places for ever."""

    def talk(port):
        with connected(port) as connection:
            connection.sendall(said)
            answer = b""
            while part := connection.recv(1000):
                answer += part
            return answer

    assert b"200 OK" not in served(talk, limits=Limits(request_seconds=0.1))


def test_a_second_request_on_a_connection_has_its_own_time():
    """Prometheus's kept connections would be cut off between two scrapes."""

    def talk(port):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/")
            first = connection.getresponse().read()
            same = connection.sock
            time.sleep(0.3)
            connection.request("GET", "/")
            return first, connection.getresponse().read(), connection.sock is same

    assert served(talk, limits=Limits(request_seconds=0.2)) == (b"hello", b"hello", True)


def test_silent_connections_do_not_blind_everybody_else():
    """Three hundred silent clients would keep Prometheus out for good."""

    def talk(port):
        silent = [connected(port) for _ in range(260)]
        wait_until(lambda: asked(port).startswith(b"HTTP/1.1 200"), 5, "nobody else is served")
        for connection in silent:
            connection.close()

    served(talk, limits=Limits(request_seconds=0.5))
