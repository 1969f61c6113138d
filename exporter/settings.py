"""The exporter's section of the settings."""

import os
import pathlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from exporter.latency.settings import ProbeSettings
from exporter.processes.expressions import MOST_WAYS, ways
from exporter.status.address import parse_url
from gpuwarden.lifecycle import default_state_folder
from gpuwarden.listener import parse_address
from gpuwarden.units import Duration

SHORTEST_INTERVAL, LONGEST_INTERVAL = 0.1, 60.0
MOST_PROCESSES = 1024

_SIMPLER = "at most three of * and + in a row, and none of them, and no |, within another"

Dialect = Literal["dcgm-4.8"]


@dataclass(frozen=True, slots=True)
class WorkloadGroup:
    """One group of processes under ``exporter.workloads``; a process belongs to the first that matches."""

    name: str
    """The label ``workload``."""
    process: str | None = None
    """Regular expression that the whole process name must match."""
    container: str | None = None
    """Regular expression that the whole container name must match, or its short id where the name is not known."""
    user: str | None = None
    """Regular expression that the whole user name must match."""
    budget: float | None = None
    """Share of a card's usable memory that the group may hold, 0.8 for 80 %."""

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        expressions = {"process": self.process, "container": self.container, "user": self.user}
        if not self.name.strip():
            yield "name", "is empty", ""
        if not any(expressions.values()):
            yield "process", "is missing: the group needs process, container or user to match", 'process: "python.*"'
        for key, expression in expressions.items():
            try:
                re.compile(expression or "")
            except re.error as error:
                yield key, f"is not a regular expression: {error}", ""
            else:
                if ways(expression or "") > MOST_WAYS:
                    yield key, "could take hours on a name that somebody chooses for it", _SIMPLER
        if self.budget is not None and not 0 < self.budget <= 1:
            hint = f"write {self.budget / 100:g}" if 1 < self.budget <= 100 else "0.8 is 80 %"  # noqa: PLR2004 -- percent
            yield "budget", "must be above 0 and at most 1", hint


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What a user can set under ``exporter.host``."""

    root: str = "/"
    """Where the host's file system is mounted, for an exporter in a container: `/host`."""


@dataclass(frozen=True, slots=True)
class ExporterSettings:
    """What a user can set under ``exporter:``."""

    listen: str = "127.0.0.1:9400"
    """HOST:PORT of the page."""
    interval: Duration = Duration(1.0)  # noqa: RUF009 -- a number, not a call with state
    """How often each source is read, from `100ms` to `1m`."""
    demo: bool = False
    """Simulated cards instead of real ones."""
    scenario: str | None = None
    """What the demo plays, a YAML file; the shipped one if not given."""
    state: str | None = None
    """Folder of what must survive (known cards, energy); by default below the user's state folder."""
    expect_gpus: int | Literal["auto"] = "auto"
    """How many cards should be here; `auto` is as many as have been seen and not forgotten, 0 a machine without any."""
    process_limit: int = 64
    """Processes shown of each card, the largest first; the rest is summed."""
    web_config: str | None = None
    """A web-config file as other Prometheus exporters take it: TLS, client certificates, basic auth."""
    dialects: tuple[Dialect, ...] = ()
    """Further vocabularies to publish the same readings in: `dcgm-4.8`."""
    alerts_from: str | None = None
    """Where the status page asks for firing alerts: an alerter or a Prometheus, `http://127.0.0.1:9401`."""
    container_engines: tuple[str, ...] = ()
    """Sockets of container engines that may be asked for containers' names, `/var/run/docker.sock`; ids need none."""
    workloads: tuple[WorkloadGroup, ...] = ()
    """Groups of processes, the first that matches counts."""
    host: HostSettings = field(default_factory=HostSettings)
    probe: ProbeSettings = field(default_factory=ProbeSettings)

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        try:
            parse_address(self.listen)
        except ValueError as error:
            yield "listen", str(error), ""
        if not SHORTEST_INTERVAL <= self.interval <= LONGEST_INTERVAL:
            yield "interval", "must be from 100ms to 1m", ""
        try:
            parse_url(self.alerts_from or "http://127.0.0.1")
        except ValueError as error:
            yield "alerts_from", str(error), "http://127.0.0.1:9401"
        if self.expect_gpus != "auto" and self.expect_gpus < 0:
            yield "expect_gpus", "must be auto or 0 or more", ""
        if not 1 <= self.process_limit <= MOST_PROCESSES:
            yield "process_limit", f"must be from 1 to {MOST_PROCESSES}", ""
        names = [group.name for group in self.workloads]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield "workloads", f"name {name} more than once", "one group with one expression: (a|b)"

    @property
    def state_folder(self) -> pathlib.Path:
        """Where the state lives."""
        return pathlib.Path(self.state, "exporter") if self.state else default_state_folder(os.environ, "exporter")
