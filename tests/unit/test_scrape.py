"""Real sockets on loopback; the targets misbehave byte by byte."""

import asyncio
import base64
import contextlib
import time
from collections.abc import Awaitable, Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import scrape as scraping
from alerts.scrape import ScrapeError, fetch, instance_of, parse, without_userinfo
from alerts.series import Scrape

WANTED = frozenset({"gpu_memory_used_ratio", "gpu_process_memory_used_bytes"})
PAGE = b"""# HELP gpu_memory_used_ratio Used memory over total minus reserved.
# TYPE gpu_memory_used_ratio gauge
gpu_memory_used_ratio{gpu="0",uuid="GPU-a"} 0.95
gpu_memory_used_ratio{gpu="1",uuid="GPU-b"} NaN
gpu_power_watts{gpu="0",uuid="GPU-a"} 215
"""
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", "Connection: close"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def visit(reply: bytes | Behaviour, *, userinfo: str = "", deadline: float = 5.0) -> tuple[Scrape, bytes]:
    """One fetch from a target that sends ``reply``, and the request that it saw."""
    seen = bytearray()
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            seen.extend(await reader.readuntil(b"\r\n\r\n"))
            if isinstance(reply, bytes):
                writer.write(reply)
            else:
                await reply(reader, writer)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
            served.set()

    async def go() -> Scrape:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            async with httpx.AsyncClient(trust_env=False) as client:
                scrape = await fetch(client, f"http://{userinfo}127.0.0.1:{port}/metrics", 7.0, deadline, WANTED)
            await asyncio.wait_for(served.wait(), 5)
            await asyncio.sleep(0)
        return scrape

    return asyncio.run(go()), bytes(seen)


def values(scrape: Scrape, name: str) -> list[float]:
    return [sample.value for sample in scrape.samples.get(name, ())]


def test_page_becomes_samples_with_job_and_instance():
    """A reading does not reach the rules, or two hosts cannot be told apart."""
    scrape, request = visit(answer(PAGE))
    first, second = scrape.samples["gpu_memory_used_ratio"]
    assert dict(first.labels) == {"gpu": "0", "uuid": "GPU-a", "job": "gpuwarden", "instance": scrape.instance}
    assert (first.value, second.value != second.value) == (0.95, True)
    assert (scrape.error, scrape.at, scrape.job) == (None, 7.0, "gpuwarden")
    assert scrape.target == f"http://{scrape.instance}/metrics"
    assert set(scrape.samples) == {"gpu_memory_used_ratio", "up", "scrape_duration_seconds"}
    assert values(scrape, "up") == [1.0]
    assert 0 < values(scrape, "scrape_duration_seconds")[0] < 5
    assert dict(scrape.samples["up"][0].labels) == {"job": "gpuwarden", "instance": scrape.instance}
    assert b"GET /metrics HTTP/1.1\r\n" in request
    assert b"accept-encoding: identity\r\n" in request.lower()


def test_the_targets_own_job_and_instance_are_kept_aside():
    """A federated page takes over the identity of its series, so a failed target cannot be matched to its alerts."""
    page = b'gpu_memory_used_ratio{job="x",instance="y",exported_job="z"} 1\n'
    scrape, _ = visit(answer(page))
    assert dict(scrape.samples["gpu_memory_used_ratio"][0].labels) == {
        "job": "gpuwarden",
        "instance": scrape.instance,
        "exported_job": "z",
        "exported_exported_job": "x",
        "exported_instance": "y",
    }


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not writer.is_closing() and not reader.at_eof():
        writer.write(b"#")
        try:
            await asyncio.wait_for(reader.read(1), 0.02)
        except TimeoutError:
            continue


async def _endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        writer.write(b"# comment\n" * 1000)
        await writer.drain()


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize(
    ("reply", "deadline", "error"),
    [
        pytest.param(_silent, 0.2, "no complete answer within 0.2 s", id="silent"),
        pytest.param(_trickle, 0.2, "no complete answer within 0.2 s", id="a byte now and then"),
        pytest.param(_endless, 5, "more than 1 MiB", id="endless"),
        pytest.param(_hang_up, 5, "Server disconnected", id="hangs up"),
        pytest.param(b"garbage\r\n\r\n", 5, "illegal status line", id="not HTTP"),
        pytest.param(answer(b"no", "503 Service Unavailable"), 5, "answered 503 Service Unavailable", id="503"),
        pytest.param(answer(b"", "302 Found", "Location: /login"), 5, "answered 302 Found", id="redirect"),
        pytest.param(answer(PAGE, "200 OK", "Content-Encoding: gzip"), 5, "encoding", id="gzip unasked"),
        pytest.param(answer(PAGE, length=9999), 5, "peer closed connection", id="cut off by length"),
        pytest.param(answer(PAGE[:-1]), 5, "cut off", id="cut off in the last line"),
        pytest.param(answer(b"<html>Log in</html>\n"), 5, "not in Prometheus's text format, in line 1", id="html"),
        pytest.param(answer(b'{"gpu": 1}\n'), 5, "not in Prometheus's text format", id="json"),
        pytest.param(answer(b"gpu_memory_used_ratio{gpu=0} 1\n"), 5, "not in Prometheus's text format", id="no quotes"),
        pytest.param(answer(b"gpu_memory_used_ratio\n"), 5, "not in Prometheus's text format", id="no value"),
        pytest.param(answer(b"gpu_memory_used_ratio nothing\n"), 5, "not in Prometheus's text format", id="word"),
        pytest.param(answer(b'a{b="\xff"} 1\n'), 5, "not UTF-8", id="not utf-8"),
        pytest.param(answer(b'a{b="' + b"x" * 20000 + b'"} 1\n'), 5, "in line 1", id="endless line"),
    ],
)
def test_bad_target_is_a_failed_scrape(monkeypatch, reply, deadline, error):
    """One broken target stops the round for all others, or passes for a healthy box without GPUs."""
    monkeypatch.setattr(scraping, "MOST_BYTES", 2**20)
    scrape, _ = visit(reply, deadline=deadline)
    assert error in scrape.error
    assert "\n" not in scrape.error
    assert len(scrape.error) <= 200
    assert set(scrape.samples) == {"up", "scrape_duration_seconds"}
    assert values(scrape, "up") == [0.0]


def test_nobody_listens():
    """A box that is switched off raises instead of being down."""

    async def go() -> Scrape:
        server = await asyncio.start_server(_hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        async with httpx.AsyncClient(trust_env=False) as client:
            return await fetch(client, f"http://127.0.0.1:{port}/", 7.0, 5.0, WANTED)

    scrape = asyncio.run(go())
    assert values(scrape, "up") == [0.0]
    assert scrape.error


def test_a_surprise_is_a_failed_scrape():
    """One odd target would end the alerter, and with it the watch over all others."""

    def surprise(_: httpx.Request) -> httpx.Response:
        message = "port must be\n0-65535."
        raise OverflowError(message)

    async def go() -> Scrape:
        async with httpx.AsyncClient(transport=httpx.MockTransport(surprise)) as client:
            return await fetch(client, "http://box:9400/", 7.0, 5.0, WANTED)

    scrape = asyncio.run(go())
    assert values(scrape, "up") == [0.0]
    assert scrape.error == "cannot be visited: OverflowError: port must be 0-65535."


@pytest.mark.parametrize("reply", [answer(PAGE), answer(b"", "401 Unauthorized"), b"garbage\r\n\r\n"])
def test_password_is_sent_and_said_nowhere(reply):
    """A protected exporter cannot be read, or its password stands in labels, logs and mails."""
    scrape, request = visit(reply, userinfo="me:s%23cret@")
    expected = base64.b64encode(b"me:s#cret")
    assert b"authorization: basic " + expected in request.replace(b"Authorization: Basic", b"authorization: basic")
    assert "cret" not in repr(scrape)
    assert "me:" not in repr(scrape)


def test_large_page_is_parsed_beside_the_loop():
    """While a page of many cards is parsed, mails are not sent and the web page does not answer."""
    lines = b"".join(b'gpu_memory_used_ratio{gpu="%d"} 0.5\n' % number for number in range(5000))
    assert len(lines) > scraping._INLINE_BYTES
    scrape, _ = visit(answer(lines))
    assert len(scrape.samples["gpu_memory_used_ratio"]) == 5000


@pytest.mark.parametrize(
    ("target", "instance", "printed"),
    [
        ("http://box:9400/metrics", "box:9400", "http://box:9400/metrics"),
        ("http://box/metrics", "box:80", "http://box/metrics"),
        ("https://me:pw@box/m?a=b", "box:443", "https://box/m?a=b"),
        ("http://[::1]:9400/", "[::1]:9400", "http://[::1]:9400/"),
    ],
)
def test_instance_is_host_and_port(target, instance, printed):
    """The same box has another identity here than in Prometheus, or the URL's password is printed."""
    assert (instance_of(target), without_userinfo(target)) == (instance, printed)


@pytest.mark.parametrize(
    "target",
    [
        "box:9400",
        "ftp://box/",
        "http://",
        "http://box:port/",
        "",
        "/metrics",
        "http://box:0/",
        "http://box:-1/",
        "http://box:65536/metrics",
        "http://me[:secret@box/",
    ],
)
def test_target_that_is_no_url(target):
    """A mistyped target is only found out at three in the morning."""
    with pytest.raises(ValueError) as caught:
        instance_of(target)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        (b'm{a="x\\"},{b\\\\c\\n"} 1', {"a": 'x"},{b\\c\n'}, 1.0),
        (b"m 1 1700000000000", {}, 1.0),
        (b"m\t-1.5e3", {}, -1500.0),
        (b"m{} +Inf", {}, float("inf")),
        (b'm{a="\xe2\x80\xa8 \xc2\x85x",} 2', {"a": "\u2028 \u0085x"}, 2.0),
    ],
)
def test_text_format(line, labels, value):
    """A valid page is refused or read wrongly."""
    assert parse(line + b"\n", frozenset({"m"})) == {"m": [(labels, value)]}


@pytest.mark.parametrize(
    "line", [b'm{a="x" 1', b'm{a="x"}', b'm{a="x",a="y"} 1', b"m 1 2 3", b"m{a} 1", b"1m 1", b"m1"]
)
def test_broken_lines(line):
    """Half a line is read as a value."""
    with pytest.raises(ScrapeError):
        parse(line + b"\n", frozenset({"m"}))


def test_empty_page_is_a_page():
    """An exporter without cards and without host looks broken."""
    assert parse(b"", WANTED) == {}


PIECES = [*'{}=",\\1 \t\n.#-e', "m", "NaN", "+Inf", "TYPE", "HELP", "\u2028", "__name__", "\r", 'm{a="x"} 1\n']


@given(st.lists(st.sampled_from(PIECES)).map("".join).map(str.encode) | st.binary())
def test_any_bytes_are_a_page_or_a_failed_scrape(body):
    """A target that sends rubbish ends the alerter with a traceback."""
    try:
        found = parse(body, frozenset({"m"}))
    except ScrapeError as error:
        assert "\n" not in str(error)
    else:
        assert set(found) <= {"m"}


@pytest.mark.parametrize("filling", [b'\\"', b"\\\\", b"}", b'"}', b",", b'a="",', b"{"])
def test_hostile_line_costs_little(filling):
    """One crafted label keeps a processor busy for minutes, because the parser looks at it again and again."""
    begun = time.process_time()
    with contextlib.suppress(ScrapeError):
        parse(b'm{a="' + filling * (16_000 // len(filling)) + b'"} 1\n', frozenset({"m"}))
    assert time.process_time() - begun < 1
