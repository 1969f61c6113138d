"""Real gpuwarden processes for the e2e tests: started on a free port, read through their log and over HTTP."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.polling import wait_until

Labels = tuple[tuple[str, str], ...]
CLIENT = httpx.Client(trust_env=False, timeout=5)


class Running:
    """One ``gpuwarden`` command, for the time of a ``with`` block; ``before`` is a command that runs it."""

    def __init__(
        self, *arguments: str, home: Path, environ: Mapping[str, str] | None = None, before: Sequence[str] = ()
    ) -> None:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("GPUWARDEN_")}
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*before, sys.executable, "-m", "gpuwarden", *arguments],
            cwd=home,
            env={**clean, "HOME": str(home), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait(5)
        self._reader.join(5)
        self.process.stdout.close()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, seconds: float = 20.0) -> re.Match[str]:
        """The first match of ``pattern`` in what the process has printed."""
        found: list[re.Match[str]] = []

        def seen() -> bool:
            match = re.search(pattern, self.output)
            found.extend([match] if match else [])
            return match is not None

        wait_until(lambda: seen() or self.process.poll() is not None, seconds, f"no {pattern!r} in:\n{self.output}")
        assert found or seen(), f"ended with {self.process.returncode}, no {pattern!r} in:\n{self.output}"
        return found[0]

    @property
    def url(self) -> str:
        """Where the process listens, once it does."""
        return self.wait_for(r"listening on (http://\S+)").group(1)

    def kill(self) -> None:
        """End it as a power loss would."""
        self.process.kill()
        self.process.wait(5)


def exporter(home: Path, environ: Mapping[str, str] | None = None, *arguments: str) -> Running:
    """The real exporter on a free port, sampling five times a second."""
    return Running("exporter", "--listen", "127.0.0.1:0", "--interval", "200ms", *arguments, home=home, environ=environ)


def alerter(home: Path, target: str, *arguments: str, environ: Mapping[str, str] | None = None) -> Running:
    """The real alerter on a free port, judging five times a second.

    Unless ``environ`` says so, it gathers no mails and calls nothing flapping: each firing and each end is a mail.
    """
    plain = {f"GPUWARDEN_ALERTER_NOTIFY_{key}": "0" for key in ("DIGEST_ABOVE", "FLAPPING_COUNT")}
    quick = {"GPUWARDEN_ALERTER_INTERVAL": "200ms", **plain}
    own = ("--listen", "127.0.0.1:0", "--target", f"{target}/metrics", "--state", str(home / "state"))
    return Running("alerter", *own, *arguments, home=home, environ={**quick, **(environ or {})})


def series(url: str) -> dict[str, dict[Labels, float]]:
    """Everything on a /metrics page: name to labels to value."""
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(CLIENT.get(f"{url}/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def of_gpu(found: Mapping[str, Mapping[Labels, float]], name: str, gpu: int) -> float | None:
    """The value of a series that a card has once, None where it is absent."""
    values = [value for labels, value in found.get(name, {}).items() if dict(labels)["gpu"] == str(gpu)]
    return values[0] if values else None


def run(*arguments: str, home: Path, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GPUWARDEN_")}
    return subprocess.run(
        [sys.executable, "-m", "gpuwarden", *arguments],
        cwd=home,
        env={**clean, "HOME": str(home), **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def write(path: Path, lines: Sequence[str] | str) -> Path:
    """A file with these lines."""
    path.write_text(lines if isinstance(lines, str) else "\n".join(lines) + "\n")
    return path
