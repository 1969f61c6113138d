"""The alerter's section of the settings."""

import os
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from alerts.command_settings import CommandSettings
from alerts.evidence.links import LinkSettings
from alerts.heartbeat_settings import HeartbeatSettings
from alerts.mail_settings import MailSettings
from alerts.notify.policy import Policy
from alerts.notify.repeat import EARLY_SECONDS
from alerts.notify.routes import Route
from alerts.notify_settings import NotifySettings
from alerts.report_settings import ReportSettings
from alerts.route_settings import RouteSettings, unknown_commands
from alerts.scrape import instance_of
from alerts.scrape_settings import ScrapeSettings
from alerts.server_settings import is_loopback
from gpuwarden.lifecycle import default_state_folder
from gpuwarden.listener import parse_address
from gpuwarden.units import Duration

DEMO_RULES = pathlib.Path(__file__).with_name("demo.yml")
SHORTEST_INTERVAL, LONGEST_INTERVAL = 0.1, 300.0
SHORTEST_ASK_AFTER, LONGEST_ASK_AFTER = 1.0, 30 * 86400.0
_FIVE_SECONDS = Duration(5.0)
_FOUR_HOURS_TEN = Duration(15_000.0)

Judge = Literal["self", "alertmanager"]


@dataclass(frozen=True, slots=True)
class PrometheusSettings:
    """What a user can set under ``alerter.prometheus``."""

    url: str | None = None
    """Where Prometheus answers queries, `http://prometheus:9090`; mails get readings, processes and host from it."""

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        if self.url is None:
            return
        try:
            instance_of(self.url)
        except ValueError as error:
            yield "url", str(error), "http://prometheus:9090"


@dataclass(frozen=True, slots=True)
class AlertmanagerSettings:
    """What a user can set under ``alerter.alertmanager``."""

    url: str | None = None
    """Where Alertmanager answers, `http://alertmanager:9093`: for silences, and for alerts whose end is not posted."""
    ask_after: Duration = _FOUR_HOURS_TEN
    """It is asked about an alert that it has not posted for so long; longer than its repeat_interval."""

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        if not SHORTEST_ASK_AFTER <= self.ask_after <= LONGEST_ASK_AFTER:
            yield "ask_after", "must be from 1s to 30d", ""
        if self.url is None:
            return
        try:
            instance_of(self.url)
        except ValueError as error:
            yield "url", str(error), "http://alertmanager:9093"


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """What a user can set under ``alerter.webhook``."""

    secret_file: str | None = None
    """A file that holds only the secret that Alertmanager sends as a bearer token; read at each post."""

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        if self.secret_file is not None and not self.secret_file.strip():
            yield "secret_file", "is empty", "a file that holds only the secret"


@dataclass(frozen=True, slots=True)
class AlerterSettings:
    """What a user can set under ``alerter:``."""

    listen: str = "127.0.0.1:9401"
    """HOST:PORT of the alerter's own health."""
    web_config: str | None = None
    """A web-config file as other Prometheus exporters take it: TLS, client certificates, basic auth."""
    judge: Judge = "self"
    """Who judges the rules: `self`, or `alertmanager` (with Prometheus), which posts to `/webhook`."""
    targets: tuple[str, ...] = ("http://127.0.0.1:9400/metrics",)
    """Pages to watch, ours or any Prometheus exporter's."""
    interval: Duration = _FIVE_SECONDS
    """How often the targets are visited and the rules judged."""
    rules: tuple[str, ...] = ()
    """Rules files on top of the shipped rules."""
    state: str | None = None
    """Folder of what must survive; by default below the user's state folder."""
    demo: bool = False
    """Shortened waits, a state folder of its own, and never a mail server."""
    prometheus: PrometheusSettings = field(default_factory=PrometheusSettings)
    alertmanager: AlertmanagerSettings = field(default_factory=AlertmanagerSettings)
    links: LinkSettings = field(default_factory=LinkSettings)
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    scrape: ScrapeSettings = field(default_factory=ScrapeSettings)
    mail: MailSettings = field(default_factory=MailSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    heartbeat: HeartbeatSettings = field(default_factory=HeartbeatSettings)
    commands: tuple[CommandSettings, ...] = ()
    """Programs to tell beside mail: a phone push, a chat."""
    routes: tuple[RouteSettings, ...] = ()
    """Who is told of which alerts; without one that means an alert, `alerter.mail.to`."""

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        try:
            host, _ = parse_address(self.listen)
        except ValueError as error:
            yield "listen", str(error), ""
        else:
            yield from self._webhook_problems(host)
        if not SHORTEST_INTERVAL <= self.interval <= LONGEST_INTERVAL:
            yield "interval", "must be from 100ms to 5m", ""
        if self.judges_itself:
            yield from self._target_problems()
        names = [command.name for command in self.commands]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield "commands", f"two commands are called {name!r}", "a name for each"
        yield from unknown_commands(self.routes, self.report.to, names)

    def _webhook_problems(self, host: str) -> Iterator[tuple[str, str, str]]:
        """With a web-config file, only its content tells; that is looked at when the alerter starts."""
        asks = self.webhook.secret_file is not None or self.web_config is not None
        if not self.judges_itself and not asks and not is_loopback(host):
            message = f"anyone who reaches {self.listen} could post alerts, since no secret is asked for"
            yield (
                "webhook.secret_file",
                message,
                "the path of a file that holds only the secret, or listen on 127.0.0.1",
            )

    def _target_problems(self) -> Iterator[tuple[str, str, str]]:
        if not self.targets:
            yield "targets", "there is nothing to watch", "http://127.0.0.1:9400/metrics"
        seen: set[str] = set()
        for target in self.targets:
            try:
                instance = instance_of(target)
            except ValueError as error:
                yield "targets", str(error), "http://127.0.0.1:9400/metrics"
                continue
            if instance in seen:
                yield "targets", f"{instance} is given twice", "one page per host and port"
            seen.add(instance)

    @property
    def judges_itself(self) -> bool:
        """Whether the rules are judged here; the demo needs nobody else."""
        return self.demo or self.judge == "self"

    @property
    def rule_files(self) -> tuple[pathlib.Path, ...]:
        """The files to load on top of the shipped rules, in order."""
        return (*((DEMO_RULES,) if self.demo else ()), *map(pathlib.Path, self.rules))

    @property
    def delivery(self) -> MailSettings:
        """The mail settings in force: the demo never uses a mail server."""
        return MailSettings() if self.demo else self.mail

    @property
    def policy(self) -> Policy:
        """Who is told what, and how often; the demo tells nobody but the owner of its Maildir."""
        return Policy(
            notify=self.notify,
            repeats_early=0.0 if self.judges_itself else EARLY_SECONDS,
            routes=() if self.demo else tuple(map(_route, self.routes)),
        )

    @property
    def heartbeat_in_force(self) -> HeartbeatSettings:
        """The heartbeat in force: the demo calls nobody."""
        return HeartbeatSettings() if self.demo else self.heartbeat

    @property
    def commands_in_force(self) -> tuple[CommandSettings, ...]:
        """The commands that may be run: the demo tells nobody."""
        return () if self.demo else self.commands

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who is told of what nothing else decides on: addresses, and ``command:NAME``."""
        told = [command.recipient for command in self.commands_in_force if command.default]
        return (*self.delivery.recipients, *told)

    @property
    def reported_to(self) -> tuple[str, ...]:
        """Who gets the reports; those of the demo stay in its Maildir."""
        return self.recipients if self.demo else self.report.to or self.recipients

    @property
    def all_simulated(self) -> bool:
        """Whether every mail is marked: a page says itself whether it is simulated, a post does not."""
        return self.demo and self.judge == "alertmanager"

    @property
    def state_folder(self) -> pathlib.Path:
        """Where the state lives; the demo's is its own."""
        if self.state is not None:
            return pathlib.Path(self.state, "demo") if self.demo else pathlib.Path(self.state)
        return default_state_folder(os.environ, "demo" if self.demo else "alerter")


def _route(entry: RouteSettings) -> Route:
    return Route(where=entry.matchers, recipients=entry.recipients, repeat=entry.repeat, goes_on=entry.continue_)
