"""What a job on a card loses to the exporter's probe, and how much of the card's time the probe takes.

``python -m tests.perf.probe_beside_a_job [--minutes 8] [--card 0] [--out FOLDER]`` in a Python with torch and the
exporter's dependencies. Written anew after each segment: probe.json, probe.md. ``--tiny`` tries all of it on the CPU,
with a simulated driver.

- A real exporter probes with an interval so short that its share of the card's time is what limits it: 5 %, since at
  the shipped 1 % there would be one run in eight minutes; the loss is told for 1 %. A second one
  without a probe stands still meanwhile; in the segments without a probe they change places, so that what reading the
  card costs is on both sides, and the probe's own accounts go on over the whole measurement.
- Two jobs, one after the other: a light one that works a fifth of the time, which the probe may run beside, and one
  that keeps the card full, where the probe is to stay away. Each step of theirs is written down with its time.
- A job's loss is told twice: by segments, with the probe over without; and by runs, from the steps done around each run
  beside the rest of its segment. The second is sharper: a run takes seconds of a segment's minutes.
- ``--then COMMAND`` is run with the probe on, when the jobs have ended: the accounts of the card's time go on over it.
- The card's time is told twice, too: by the exporter, and by NVML's list of processes, looked at from here. The list
  has a process for as long as its context lives, also while it does nothing on the card.
"""

import argparse
import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.e2e.running import CLIENT, Running
from tests.fakes.nvml.driver import FakeDriver
from tests.perf.probe_figures import AFTER
from tests.perf.probe_page import probe_series
from tests.perf.probe_report import report
from tests.perf.probe_watch import ProbeWatch

ROOT = Path(__file__).parents[2]
PLAN = (
    *(("light", probe, weight) for probe, weight in (("on", 28), ("off", 8), ("on", 28), ("off", 8))),
    *(("full", probe, weight) for probe, weight in (("on", 11), ("off", 7), ("on", 11), ("off", 7))),
)
BUSY = {"light": 0.2, "full": 1.0}
_LONGEST_RUN_SECONDS = 30.0
_SECONDS_OF_A_START = 15.0
"""What the second job needs before anything is measured."""


class Job:
    """A training job and the times of its steps."""

    def __init__(self, name: str, folder: Path, device: str, environ: dict[str, str], *small: str) -> None:
        self._file = folder / f"{name}.steps"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.perf.training_job", "--device", device),
                *("--busy", str(BUSY[name]), "--out", str(self._file), *small),
            ],
            cwd=ROOT,
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            text=True,
        )
        words = self._process.stdout.readline().split()
        if words[:1] != ["ready"]:
            message = f"the {name} job did not begin: {words}"
            raise RuntimeError(message)
        self.step_seconds, self.pause_seconds = map(float, words[1:])

    @property
    def steps(self) -> list[float]:
        """When each step was done."""
        content = self._file.read_bytes()
        return [at for (at,) in struct.iter_unpack("d", content[: len(content) // 8 * 8])]

    @property
    def runs(self) -> bool:
        """Whether it has not ended by itself."""
        return self._process.poll() is None

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


class Exporters:
    """One with a probe and one without, of which one stands still."""

    def __init__(self, stack: contextlib.ExitStack, folder: Path, settings: dict[str, str], environ) -> None:
        self._both: dict[str, Running] = {}
        for name, own in (("off", {}), ("on", settings)):
            home = folder / name
            home.mkdir()
            options = ("exporter", "--listen", "127.0.0.1:0", "--state", str(home / "state"))
            both = Running(*options, home=home, environ={**environ, "HOME": os.environ.get("HOME", str(home)), **own})
            self._both[name] = stack.enter_context(both)
            stack.callback(both.process.send_signal, signal.SIGCONT)
        self.urls = {name: both.url for name, both in self._both.items()}
        self._both["off"].process.send_signal(signal.SIGSTOP)

    @property
    def probing(self) -> Running:
        """The one with a probe."""
        return self._both["on"]

    def turn(self, probe: str, watch: ProbeWatch) -> None:
        """Let that one work; a run under way is let come to its end before."""
        until = time.monotonic() + _LONGEST_RUN_SECONDS
        while probe == "off" and watch.runs_now and time.monotonic() < until:
            time.sleep(0.05)
        other = "on" if probe == "off" else "off"
        self._both[probe].process.send_signal(signal.SIGCONT)
        self._both[other].process.send_signal(signal.SIGSTOP)


def card_of(index: int):
    """NVML and the card, or nothing."""
    try:
        import pynvml

        pynvml.nvmlInit()
        return pynvml, pynvml.nvmlDeviceGetHandleByIndex(index)
    except Exception as error:  # noqa: BLE001
        print(f"no NVML here: {error!r}", file=sys.stderr)
        return None, None


def described(nvml, handle) -> dict[str, object]:
    """Card and driver."""
    if nvml is None:
        return {}
    return {
        "card": nvml.nvmlDeviceGetName(handle),
        "driver": nvml.nvmlSystemGetDriverVersion(),
        "uuid": nvml.nvmlDeviceGetUUID(handle),
    }


def probe_settings(arguments: argparse.Namespace) -> dict[str, str]:
    """The exporter's, from its environment."""
    small = {"device": "cpu", "models": "gpt2-tiny", "busy": "1"} if arguments.tiny else {}
    found = {
        "enabled": "true",
        "device": "cuda",
        "gpus": str(arguments.card),
        "interval": arguments.interval,
        "share": str(arguments.share),
        "quiet": arguments.quiet,
        "busy": str(arguments.busy),
        **({"models": arguments.models} if arguments.models else {}),
        **small,
    }
    return {f"GPUWARDEN_EXPORTER_PROBE_{key.upper()}": value for key, value in found.items()}


class Measurement:
    """The document that grows segment by segment."""

    def __init__(self, arguments: argparse.Namespace, folder: Path, stack: contextlib.ExitStack) -> None:
        self._arguments, self._folder = arguments, folder
        nvml, handle = card_of(arguments.card)
        environ = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
        # The order of the numbers is NVML's, for the job as for the probe.
        chosen = {} if arguments.tiny else {"CUDA_VISIBLE_DEVICES": described(nvml, handle).get("uuid", "0")}
        self._job_environ = {**environ, **chosen}
        settings = probe_settings(arguments)
        self._exporters = Exporters(stack, folder, settings, environ)
        probing = self._exporters.probing
        self._watch = ProbeWatch(psutil.Process(probing.process.pid), self._exporters.urls["on"], nvml, handle)
        stack.callback(self._watch.stop)
        self.document: dict = {
            "card": described(nvml, handle),
            "settings": settings,
            "segments": [],
            "failed": [],
            "steps": {},
            "jobs": {},
        }

    def measure(self, until: float) -> None:
        """All segments, up to that moment; a job that fails costs its own."""
        self.document["began"] = time.monotonic()
        for name in BUSY:
            job = None
            try:
                job = self._job(name)
                for position, (job_name, probe, weight) in enumerate(PLAN):
                    if job_name == name:
                        left = until - time.monotonic() - (_SECONDS_OF_A_START if name == "light" else 0)
                        self._segment(name, job, probe, left * weight / sum(each for *_, each in PLAN[position:]))
            except Exception as error:  # noqa: BLE001 -- the other job is still worth measuring
                self.document["failed"].append(f"{name}: {error!r}")
                print(f"{name} job: {error!r}", file=sys.stderr)
            finally:
                if job is not None:
                    job.end()

    def beside(self, command: str) -> None:
        """Run a command with the probe on."""
        if not command:
            return
        self._exporters.turn("on", self._watch)
        segment = {"job": "then", "probe": "on", "began": time.monotonic()}
        status = subprocess.run(command, shell=True, check=False).returncode
        self._write({**segment, "ended": time.monotonic(), "exit_status": status})

    def _job(self, name: str) -> Job:
        small = ("--batch", "2", "--side", "32") if self._arguments.tiny else ()
        device = "cpu" if self._arguments.tiny else "cuda"
        job = Job(name, self._folder, device, self._job_environ, *small)
        self.document["jobs"][name] = {"step_seconds": job.step_seconds, "pause_seconds": job.pause_seconds}
        return job

    def _segment(self, name: str, job: Job, probe: str, seconds: float) -> None:
        self._exporters.turn(probe, self._watch)
        segment = {"job": name, "probe": probe, "began": time.monotonic()}
        time.sleep(seconds)
        if probe == "on":
            # A run that reaches over the end would be told of in neither segment.
            until = time.monotonic() + _LONGEST_RUN_SECONDS
            while self._watch.runs_now and time.monotonic() < until:
                time.sleep(0.05)
            time.sleep(AFTER)
        segment["ended"] = time.monotonic()
        if not job.runs:
            segment["job_ended"] = True
        self.document["steps"][name] = job.steps
        self._write(segment)

    def _write(self, segment: dict) -> None:
        self.document["segments"].append(segment)
        self._take_probe()
        out = self._arguments.out
        (out / "probe.json").write_text(json.dumps(self.document, default=str) + "\n")
        (out / "probe.md").write_text(report(self.document))
        took, runs = segment["ended"] - segment["began"], len(self.document["runs"])
        print(f"{segment['job']}, probe {segment['probe']}: {took:.0f} s, {runs} runs so far", flush=True)

    def _take_probe(self) -> None:
        """What page, log and watch have by now; a page that stands still keeps what it said."""
        watch = self._watch
        runs = [[each.pid, each.began, each.ended, each.listed, each.sm_seconds] for each in watch.children.values()]
        with contextlib.suppress(Exception):
            text = CLIENT.get(f"{self._exporters.urls['on']}/metrics", timeout=0.5).text
            self.document["page"] = probe_series(text)
        self.document |= {
            "ended": time.monotonic(),
            "runs": runs,
            "used": list(watch.used),
            "contexts_of_exporter": watch.contexts_of_exporter,
            "complaints": dict(watch.complaints),
            "log": self._exporters.probing.lines[-200:],
        }


def main() -> int:
    """Measure, and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path.cwd())
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--card", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.05, help="of the card's time; with less there are fewer runs")
    parser.add_argument("--interval", default="10s", help="of the probe")
    parser.add_argument("--quiet", default="10s", help="for how long the probe wants a card to have been quiet")
    parser.add_argument("--busy", type=float, default=0.6, help="the light job's peaks must stay below it")
    parser.add_argument("--models", default="", help="by comma; what the probe takes by itself, if not given")
    parser.add_argument("--then", default="", metavar="COMMAND", help="run beside the probe when all else is measured")
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.tiny and "FAKE_NVML_STATE" not in os.environ:
        return under_a_simulated_driver()
    until = time.monotonic() + 60 * arguments.minutes
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        measurement = Measurement(arguments, Path(name), stack)
        measurement.measure(until)
        measurement.beside(arguments.then)
    print(report(measurement.document))
    return 1 if measurement.document["failed"] else 0


def under_a_simulated_driver() -> int:
    """The same again where a library is found that takes a file for a card."""
    with tempfile.TemporaryDirectory() as name, FakeDriver.create(Path(name)) as driver:
        command = [sys.executable, "-m", "tests.perf.probe_beside_a_job", *sys.argv[1:]]
        return subprocess.run(command, env={**os.environ, **driver.environment()}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
