"""One exporter under measurement: started, scraped as Prometheus scrapes, halted in between, costs read from /proc."""

import contextlib
import http.client
import re
import signal
import socket
import subprocess
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

# What Prometheus 3 sends, without protobuf.
HEADERS = {
    "accept": "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
    "accept-encoding": "gzip",
    "user-agent": "gpuwarden-bench",
}
_LONGEST_START = 60.0
_SETTLED_AFTER = 3.0
_COMPLETE = 0.98


class Watched:
    """A running exporter; ``page`` is its last answer, ``start_seconds`` the time to the first complete one."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._port = _free_port()
        self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        self.page = b""
        began = time.monotonic()
        self._process = subprocess.Popen(
            [part.format(port=self._port) for part in command],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self.start_seconds = self._complete_after(began)
        except BaseException:
            self.end()
            raise

    def _complete_after(self, began: float) -> float:
        """When the answer first had as many samples as it has once it no longer grows."""
        seen: list[tuple[float, int]] = []
        while not seen or time.monotonic() - self._grown_at(seen) < _SETTLED_AFTER:
            if self._process.poll() is not None or time.monotonic() - began > _LONGEST_START:
                message = f"{self._process.args[0]} did not start"
                raise RuntimeError(message)
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.scrape()
                seen.append((time.monotonic(), self.samples))
            time.sleep(0.02)
        enough = _COMPLETE * seen[-1][1]
        return next(at for at, samples in seen if samples >= enough) - began

    @staticmethod
    def _grown_at(seen: Sequence[tuple[float, int]]) -> float:
        most = max(samples for _, samples in seen)
        return next(at for at, samples in seen if samples >= _COMPLETE * most)

    def scrape(self) -> float:
        """Seconds until the whole answer was here; the connection is used again where the exporter allows it."""
        began = time.perf_counter()
        try:
            self._connection.request("GET", "/metrics", headers=HEADERS)
            response = self._connection.getresponse()
            body = response.read()
            took = time.perf_counter() - began
        except BaseException:
            self._connection.close()
            raise
        if response.status != http.client.OK:
            message = f"{self._process.args[0]} answered {response.status}"
            raise RuntimeError(message)
        compressed = response.getheader("content-encoding") == "gzip"
        self.page = zlib.decompress(body, wbits=zlib.MAX_WBITS + 16) if compressed else body
        return took

    @property
    def samples(self) -> int:
        """How many the last answer had."""
        return len(re.findall(rb"^[^#\n]", self.page, re.MULTILINE))

    @contextlib.contextmanager
    def awake(self) -> Iterator[None]:
        """Let it run for the time of the block; else it stands still, so that it costs the others nothing."""
        self._process.send_signal(signal.SIGCONT)
        self._connection.close()
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """Stand still."""
        self._process.send_signal(signal.SIGSTOP)

    def cpu_seconds(self) -> float:
        """Processor time so far, with its children's."""
        return sum(sum(process.cpu_times()[:2]) for process in self._tree())

    def memory(self) -> tuple[int, int | None]:
        """Resident bytes, and the proportional share (PSS) where the kernel tells it; with its children's."""
        shares = [_proportional(process.pid) for process in self._tree()]
        resident = sum(process.memory_info().rss for process in self._tree())
        return resident, None if None in shares else sum(shares)

    def _tree(self) -> list[psutil.Process]:
        own = psutil.Process(self._process.pid)
        return [own, *own.children(recursive=True)]

    def end(self) -> None:
        """End it and wait."""
        self._connection.close()
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def _proportional(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found.group(1)) * 1024 if found else None
