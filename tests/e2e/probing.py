"""A real exporter that probes with a stand-in for a Python with torch, and what it says of that."""

import contextlib
import json
import os
import signal
from pathlib import Path

from tests.e2e.running import CLIENT, Running, exporter, series
from tests.fakes import probe_python
from tests.polling import wait_until

QUICK = {"ENABLED": "true", "INTERVAL": "10s", "QUIET": "1s", "SHARE": "0.05", "MODELS": "gpt2-small"}
SECONDS = 60.0


class Probing:
    """The stand-in of one test; ``mode`` may be changed while the exporter runs."""

    def __init__(self, home: Path, mode: str = "ok", **settings: str) -> None:
        self.home = home
        self.program, self._environ = probe_python.install(home, mode)
        self._settings = {**QUICK, "PYTHON": str(self.program), **settings}

    def mode(self, mode: str) -> None:
        (self.home / "mode").write_text(mode)

    def exporter(self, environ: dict[str, str] | None = None) -> Running:
        own = {f"GPUWARDEN_EXPORTER_PROBE_{key}": value for key, value in self._settings.items()}
        return exporter(self.home, {**self._environ, **own, **(environ or {})})

    def runs(self) -> dict[int, dict[str, object]]:
        """The specs of all runs so far, by process id."""
        found = {}
        for file in (self.home / "told").glob("*.json"):
            with contextlib.suppress(ValueError):  # being written
                found[int(file.stem)] = json.loads(file.read_text())
        return found

    def wait_for_run(self) -> int:
        """The process id of the first run."""
        wait_until(self.runs, SECONDS, "no run was started")
        return next(iter(self.runs()))


def value(url: str, name: str, **labels: str) -> float | None:
    """The one series of that name with these labels, None where there is none."""
    found = [value for shown, value in series(url).get(name, {}).items() if labels.items() <= dict(shown).items()]
    assert len(found) <= 1, (name, labels)
    return found[0] if found else None


def wait_for(process: Running, name: str, wanted: float, seconds: float = SECONDS, **labels: str) -> None:
    """Until that series has that value."""
    wait_until(
        lambda: value(process.url, name, **labels) == wanted,
        seconds,
        lambda: f"{name}{labels} is {value(process.url, name, **labels)}\n{process.output}\n{_probes(process.url)}",
    )


def _probes(url: str) -> str:
    lines = CLIENT.get(f"{url}/metrics").text.splitlines()
    return "\n".join(line for line in lines if line.startswith("model_") and not line.endswith(" 0.0"))


def is_there(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has taken in does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def end(pid: int) -> None:
    """A test that fails must not leave a process behind."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
