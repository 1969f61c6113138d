"""The two roads from a page to a mail, side by side over one exporter, all of them real processes.

- ``up``: the process tree of ``gpuwarden up``; its alerter judges.
- ``prometheus``: Prometheus scrapes the exporter of that same ``gpuwarden up``, judges the rule file of ``gpuwarden
  generate`` and tells Alertmanager, which posts to an alerter of its own, with the secret, as in the compose stack.
  Prometheus's and Alertmanager's configurations and flags are the stack's own files, with other addresses and paced.

That both read one exporter is what makes them comparable: the same readings at the same moments under the same
``instance``, and one death.

``up`` starts its exporter again a second after it died, then after two, four, ... thirty. So an exporter that is killed
for 25 minutes is one that is killed again each time it comes to life, before it listens: what the kernel does to it on
a machine that is out of memory. ``kill_exporter_for`` does that. It ends with the first start after the given time, up
to thirty seconds later, for both roads alike.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import httpx
import yaml

from gpuwarden.units import format_duration
from tests.e2e.running import CLIENT, Running, alerter, run, write
from tests.e2e.test_alertmanager import free_port, running
from tests.fakes.nvml.driver import FakeDriver
from tests.fakes.smtp.server import SmtpServer
from tests.polling import wait_until
from tests.scenarios.pace import Pace
from tests.scenarios.told import Told, told

UP, PROMETHEUS = ROADS = "up", "prometheus"
RECIPIENTS = ("ann@example.com", "bob@example.com")
COMPOSE = Path(__file__).parents[2] / "compose"

_SECRET = "correct horse battery"
_DEFAULTS = {
    "--rules.alert.resend-delay": "1m",
    "--rules.alert.for-outage-tolerance": "1h",
    "--query.lookback-delta": "5m",
}
"""Spans of Prometheus that the stack leaves as they are."""
_PACED = ("--rules.", "--query.")
_SERVICES = ("exporter:9400", "alerter:9401", "alertmanager:9093", "prometheus:9090")
_SECONDS_TO_START = 60.0
_SECONDS_BETWEEN_LOOKS = 0.05


class Roads:
    """Both roads, for the time of a ``with`` block; ``home`` is an empty folder.

    ``more`` are further settings of every alerter, as ``MAIL_TO``.
    """

    def __init__(self, home: Path, driver: FakeDriver, pace: Pace, more: Mapping[str, str] | None = None) -> None:
        self.home, self.pace, self.driver = home, pace, driver
        self.more = more or {}
        self.start = time.time()
        self.smtp = {road: SmtpServer(home / f"smtp-{road}") for road in ROADS}
        self.ports = {service: free_port() for service in _SERVICES}
        self.rules = write(home / "paced.yml", pace.rules())
        self.secret = write(home / "secret", f"{_SECRET}\n")
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with self._stack as stack:
            for server in self.smtp.values():
                stack.enter_context(server)
            self.up = stack.enter_context(self._up())
            cards = len(self.driver.gpus)
            self.up.wait_for(f"{cards} of {cards} GPUs answer", _SECONDS_TO_START)
            self.webhook = stack.enter_context(self._webhook())
            self.webhook.wait_for("listening", _SECONDS_TO_START)
            stack.enter_context(self._alertmanager())
            stack.enter_context(self._prometheus())
            wait_until(self._prometheus_reads, _SECONDS_TO_START, lambda: f"no readings\n{self.tail()}")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *failure: object) -> bool | None:
        return self._stack.__exit__(*failure)

    def told(self, road: str, recipient: str) -> list[Told]:
        """What this person has got by this road so far."""
        return told(self.smtp[road].folder, recipient, self.start)

    def kill_exporter_for(self, seconds: float) -> float:
        """Kill it whenever it comes to life, for so many seconds; returns how long it was dead when it lives again."""
        began, killed = time.monotonic(), 0
        while True:
            dead, pid = time.monotonic() - began, self._exporter_pid()
            if pid is not None and pid != killed:
                if dead >= seconds:
                    return dead
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                killed = pid
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def reached(self, seconds: float) -> bool:
        """Whether Prometheus read the exporter at all within the last ``seconds``."""
        span = format_duration(seconds)
        return self._value(f'max_over_time(up{{job="gpuwarden"}}[{span}])') != 0

    def tail(self) -> str:
        """The last words of everybody."""
        logs = [f"--- {path.name}\n{path.read_text()[-1500:]}" for path in sorted(self.home.glob("*.log"))]
        ours = [f"--- {name}\n{process.output[-3000:]}" for name, process in self._ours()]
        return "\n".join([*ours, *logs])

    def _ours(self) -> Iterator[tuple[str, Running]]:
        for name in ("up", "webhook"):
            if process := getattr(self, name, None):
                yield name, process

    def _mail(self, road: str) -> dict[str, str]:
        settings = {
            "RULES": str(self.rules),
            "INTERVAL": format_duration(self.pace.interval),
            "MAIL_HOST": "127.0.0.1",
            "MAIL_PORT": str(self.smtp[road].port),
            "MAIL_SECURITY": "none",
            "MAIL_FROM": "gpuwarden <gpuwarden@example.com>",
            "MAIL_TO": ",".join(RECIPIENTS),
            **self.more,
        }
        return {f"GPUWARDEN_ALERTER_{key}": value for key, value in settings.items()}

    def _up(self) -> Running:
        environ = {
            **self.driver.environment(),
            **self._mail(UP),
            "GPUWARDEN_EXPORTER_LISTEN": self._address("exporter:9400"),
            "GPUWARDEN_EXPORTER_INTERVAL": format_duration(self.pace.sample),
            "GPUWARDEN_ALERTER_LISTEN": "127.0.0.1:0",
        }
        return Running("up", "--state", str(self.home / "state-up"), home=self.home, environ=environ)

    def _webhook(self) -> Running:
        settings = {
            "GPUWARDEN_ALERTER_JUDGE": "alertmanager",
            "GPUWARDEN_ALERTER_PROMETHEUS_URL": f"http://{self._address('prometheus:9090')}",
            "GPUWARDEN_ALERTER_WEBHOOK_SECRET_FILE": str(self.secret),
        }
        listen = ("--listen", self._address("alerter:9401"))
        return alerter(self.home, "http://127.0.0.1:1", *listen, environ={**self._mail(PROMETHEUS), **settings})

    def _alertmanager(self) -> contextlib.AbstractContextManager[object]:
        out = self.home / "generated"
        hook = f"http://{self._address('alerter:9401')}/webhook"
        paths = ("--rules", str(self.rules), "--out", str(out), "--webhook-secret-file", str(self.secret))
        made = run("generate", *paths, "--webhook", hook, home=self.home)
        assert made.returncode == 0, made.stderr
        config = yaml.safe_load((out / "alertmanager" / "alertmanager.yml").read_text())
        config["route"] = self.pace.route(config["route"])
        write(self.home / "alertmanager.yml", yaml.safe_dump(config))
        files = ("--config.file=alertmanager.yml", f"--storage.path={self.home / 'data-alertmanager'}")
        flags = [flag for flag in _flags("alertmanager") if flag.startswith("--cluster.")]
        listen = f"--web.listen-address={self._address('alertmanager:9093')}"
        return running(self.home, "prometheus-alertmanager", *files, *flags, listen)

    def _prometheus(self) -> contextlib.AbstractContextManager[object]:
        text = (COMPOSE / "prometheus" / "prometheus.yml").read_text()
        for service in _SERVICES:
            text = text.replace(service, self._address(service))
        config = yaml.safe_load(text.replace("/generated/", f"{self.home / 'generated'}/"))
        if self.pace.scale != 1:
            often = format_duration(self.pace.interval)
            config["global"] = {f"{key}_interval": often for key in ("scrape", "evaluation")}
            config["global"]["scrape_timeout"] = often
        write(self.home / "prometheus.yml", yaml.safe_dump(config))
        paced = {**_DEFAULTS, **dict(flag.split("=", 1) for flag in _flags("prometheus") if flag.startswith(_PACED))}
        flags = [f"{name}={self.pace.written(span)}" for name, span in paced.items()]
        listen = f"--web.listen-address={self._address('prometheus:9090')}"
        files = ("--config.file=prometheus.yml", f"--storage.tsdb.path={self.home / 'data-prometheus'}")
        return running(self.home, "prometheus", *files, *flags, listen, "--log.level=warn")

    def _address(self, service: str) -> str:
        return f"127.0.0.1:{self.ports[service]}"

    def _prometheus_reads(self) -> bool:
        try:
            return self._value("count(gpu_memory_used_ratio)") == len(self.driver.gpus)
        except (httpx.HTTPError, ValueError, KeyError):
            return False

    def _value(self, query: str) -> float | None:
        url = f"http://{self._address('prometheus:9090')}/api/v1/query"
        found = CLIENT.get(url, params={"query": query}).json()["data"]["result"]
        return float(found[0]["value"][1]) if found else None

    def _exporter_pid(self) -> int | None:
        """The process number of the exporter that ``up`` has now."""
        supervisor = self.up.process.pid
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        for pid in children:
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"exporter" in words[:4]:
                    return int(pid)
        return None


def _flags(service: str) -> Sequence[str]:
    return yaml.safe_load((COMPOSE / "base.yaml").read_text())["services"][service]["command"]
