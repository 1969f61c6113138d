"""Which way mails go: the only place that knows all transports."""

from collections.abc import Callable
from pathlib import Path

from alerts.in_force import Following, InForce
from alerts.mail_settings import MailSettings
from alerts.maildir import MaildirTransport
from alerts.smtp import SmtpTransport
from alerts.transport import Letter, Reply, Transport

MAILDIR_NAME = "mail"


def transport_for(settings: MailSettings, state: Path, tell: Callable[[str], None] | None = None) -> Transport:
    """The way that the settings ask for: the mail server, or without one the Maildir in the state folder."""
    if settings.host is None:
        return MaildirTransport(state / MAILDIR_NAME)
    return SmtpTransport(settings, tell) if tell else SmtpTransport(settings)


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
