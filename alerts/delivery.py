"""Which way mails go: the only place that knows all transports."""

from collections.abc import Callable, Iterable
from pathlib import Path

from alerts.command import CommandTransport
from alerts.command_settings import CommandSettings
from alerts.mail_settings import MailSettings
from alerts.maildir import MaildirTransport
from alerts.smtp import SmtpTransport
from alerts.transport import Transport

MAILDIR_NAME = "mail"


def transport_for(settings: MailSettings, state: Path, tell: Callable[[str], None] | None = None) -> Transport:
    """The way that the settings ask for: the mail server, or without one the Maildir in the state folder."""
    if settings.host is None:
        return MaildirTransport(state / MAILDIR_NAME)
    return SmtpTransport(settings, tell) if tell else SmtpTransport(settings)


def commands_for(commands: Iterable[CommandSettings], state: Path) -> dict[str, Transport]:
    """The way to each command, by its name; they run in the state folder."""
    return {command.name: CommandTransport(command, state) for command in commands}
