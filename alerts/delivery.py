"""Which way mails go: the only place that knows all transports."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from alerts.channels import NoSuchCommand
from alerts.command import CommandTransport
from alerts.fallback import FallbackTransport
from alerts.in_force import Following, InForce
from alerts.mail_settings import MailSettings
from alerts.maildir import MaildirTransport
from alerts.server_settings import ServerSettings
from alerts.smtp_transport import SmtpTransport
from alerts.transport import Letter, Reply, Transport

MAILDIR_NAME = "mail"


def transport_for(settings: MailSettings, state: Path) -> Transport:
    """The way that the settings ask for: the mail server and its fallback, or the Maildir in the state folder."""
    if settings.host is None:
        return MaildirTransport(state / MAILDIR_NAME)
    first = SmtpTransport(settings)
    if settings.fallback.host is None:
        return first
    return FallbackTransport(first, SmtpTransport(settings.fallback), settings.fallback.address)


class TransportInForce:
    """The way that the settings in force ask for at the time of each letter; one that has begun keeps its own."""

    def __init__(self, in_force: InForce) -> None:
        self._opened: list[Transport] = []
        self._way = Following(lambda: in_force.settings.delivery, lambda mail: self._open(in_force, mail))

    async def send(self, letter: Letter) -> Reply:
        """Deliver ``letter``; raises SendError."""
        return await self._way.now.send(letter)

    async def close(self) -> None:
        """Let go of what is open, of earlier settings too."""
        for transport in self._opened:
            await transport.close()

    def _open(self, in_force: InForce, mail: MailSettings) -> Transport:
        transport = transport_for(mail, in_force.settings.state_folder)
        self._opened.append(transport)
        return transport


class CommandsInForce(Mapping[str, Transport]):
    """The ways to the commands that the settings in force have, by their names; they run in the state folder."""

    def __init__(self, in_force: InForce) -> None:
        self._in_force = in_force

    def __getitem__(self, name: str) -> Transport:
        """The way to one command, as the settings have it at the time of each letter."""
        return _CommandInForce(self._in_force, name)

    def __iter__(self) -> Iterator[str]:
        return (command.name for command in self._in_force.settings.commands_in_force)

    def __len__(self) -> int:
        return len(self._in_force.settings.commands_in_force)


class _CommandInForce:
    def __init__(self, in_force: InForce, name: str) -> None:
        self._in_force = in_force
        self._name = name

    async def send(self, letter: Letter) -> Reply:
        settings = self._in_force.settings
        found = [command for command in settings.commands_in_force if command.name == self._name]
        way = CommandTransport(found[0], settings.state_folder) if found else NoSuchCommand()
        return await way.send(letter)

    async def close(self) -> None:
        """Nothing is kept open."""


def ways_to_try(settings: MailSettings, state: Path, tell: Callable[[str], None]) -> dict[str, Transport]:
    """Each way by itself, by its name for people, saying its steps to ``tell``."""
    if settings.host is None:
        return {f"the Maildir {state / MAILDIR_NAME}": MaildirTransport(state / MAILDIR_NAME)}
    servers: dict[str, ServerSettings] = {settings.address: settings}
    if settings.fallback.host is not None:
        servers[f"the fallback server {settings.fallback.address}"] = settings.fallback
    return {name: SmtpTransport(server, tell) for name, server in servers.items()}
