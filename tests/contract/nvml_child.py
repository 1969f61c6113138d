"""A process that samples through the real NVML binding and answers with its latest snapshot, as JSON lines.

``Sampling`` starts it under a driver's environment; the process knows nothing of the driver being a fake.
"""

import dataclasses
import json
import logging
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 10.0


class Sampling:
    """The child process; ``settings`` are keywords of ``NvmlSession`` or of what its ``Holders`` are made of."""

    def __init__(self, environment: Mapping[str, str], interval: float = 0.05, **settings: Any) -> None:
        settings = {"retry_limit": 0.2, "recount": 0.1, **settings}
        self._process = subprocess.Popen(
            [sys.executable, __file__, json.dumps({"interval": interval, **settings})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
        self.log: deque[str] = deque()
        self._reader = Thread(target=lambda: self.log.extend(self._process.stderr), daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            pipe.close()

    def ask(self, command: str = "snapshot") -> dict[str, Any]:
        """The answer to one command; TimeoutError is left to pytest's own timeout."""
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            message = "the sampling process ended:\n" + "".join(self.log)
            raise RuntimeError(message)
        return json.loads(line)

    def until(self, reached: Callable[[dict[str, Any]], Any], deadline: float = DEADLINE) -> dict[str, Any]:
        """The first snapshot for which ``reached`` is true; TimeoutError with the last one."""
        end = time.monotonic() + deadline
        while not reached(snapshot := self.ask()):
            if time.monotonic() > end:
                message = f"not reached; last: {json.dumps(snapshot, indent=1)}\n{''.join(self.log)}"
                raise TimeoutError(message)
            time.sleep(0.01)
        return snapshot

    def until_up(self, *ups: bool) -> dict[str, Any]:
        """The first snapshot in which the cards are up, or not, in the order of their index."""
        return self.until(lambda snapshot: [gpu["up"] for gpu in snapshot["gpus"]] == list(ups))

    def whole_log(self) -> list[str]:
        """Every line that the process logged, once it has ended."""
        self._reader.join()
        return list(self.log)

    def leave(self) -> int:
        """End as the exporter does; the exit status."""
        self._process.stdin.close()
        return self._process.wait(DEADLINE)


def health(snapshot: dict[str, Any], source: str) -> dict[str, Any]:
    """The health row of one source."""
    return next(row for row in snapshot["sources"] if row["source"] == source)


def main() -> None:
    """Sample until standard input ends."""
    from exporter.known_cards import KnownCards
    from exporter.processes.holders import Holders
    from exporter.processes.table import ProcessTable
    from exporter.processes.workloads import Workloads
    from exporter.sampler import Sampler
    from exporter.settings import WorkloadGroup
    from exporter.sources.nvml.session import NvmlSession

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    settings = json.loads(sys.argv[1])
    if "state" in settings:
        settings["known"] = KnownCards(Path(settings.pop("state")))
    sampler = Sampler(settings.pop("interval"))
    holders = Holders(
        ProcessTable(Path(settings.pop("root", "/"))),
        Workloads([WorkloadGroup(**group) for group in settings.pop("workloads", ())]),
        settings.pop("process_limit", 64),
    )
    session = NvmlSession(sampler, holders=holders, **settings)
    session.start()
    for _ in sys.stdin:
        began = time.perf_counter()
        snapshot = sampler.latest()
        took = time.perf_counter() - began
        answer = {
            "expected": snapshot.gpus_expected,
            "gpus": [_plain(gpu) for gpu in snapshot.gpus],
            "sources": [dataclasses.asdict(row) for row in snapshot.sources],
            "now": time.monotonic(),
            "took": took,
            "needs_restart": session.needs_restart.is_set(),
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    ended = [session.stop(1.0), sampler.stop(1.0)]
    logging.shutdown()
    os._exit(0 if all(ended) else 3)


def _plain(gpu: Any) -> dict[str, Any]:
    values = {item.name: getattr(gpu, item.name) for item in dataclasses.fields(gpu)}
    values["mig_info"] = [dict(info) for info in gpu.mig_info]
    values["processes"] = [dataclasses.asdict(process) for process in gpu.processes]
    return {name: _labelled(value) if isinstance(value, Mapping) else value for name, value in values.items()}


def _labelled(values: Mapping[Any, Any]) -> dict[str, Any]:
    """With several labels, the key is "one two"."""
    return {" ".join(key) if isinstance(key, tuple) else key: value for key, value in values.items()}


if __name__ == "__main__":
    main()
