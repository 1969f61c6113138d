"""Who carries which delivery: mail servers the addresses, each command of the settings its own.

A recipient is a mail address or ``command:NAME``. Each channel has its own workers and its own pauses, so that a phone
push that hangs holds up no mail, and a wrong mail password no phone push. What names a command that the settings do not
have (any more) is a channel too: it waits, visibly, until the command is back or the 72 hours are over.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from alerts.transport import Letter, Reply, SendError

COMMAND_PREFIX = "command:"


@dataclass(frozen=True, slots=True)
class Channel:
    """Some of the deliveries: ``condition`` is SQL over ``d``, a row of deliveries, with ``values`` by name."""

    name: str
    condition: str
    values: Mapping[str, str] = field(default_factory=dict[str, str])


EVERYTHING = Channel("everything", "TRUE")
MAIL = Channel("mail", f"d.recipient NOT GLOB '{COMMAND_PREFIX}*'")


def command_channel(name: str) -> Channel:
    """The deliveries for one command."""
    recipient = f"{COMMAND_PREFIX}{name}"
    return Channel(recipient, "d.recipient = :channel_recipient", {"channel_recipient": recipient})


def other_commands(names: Iterable[str]) -> Channel:
    """The deliveries for commands that are none of ``names``."""
    known = {f"channel_{number}": f"{COMMAND_PREFIX}{name}" for number, name in enumerate(names)}
    listed = ", ".join(f":{key}" for key in known)
    condition = f"d.recipient GLOB '{COMMAND_PREFIX}*' AND d.recipient NOT IN ({listed})"
    return Channel("other commands", condition, known)


class NoSuchCommand:
    """Carries nothing: the transport of ``other_commands``."""

    async def send(self, letter: Letter) -> Reply:
        """Say that the settings have no such command."""
        name = letter.recipient.removeprefix(COMMAND_PREFIX)
        detail = f"the settings have no command {name!r} (alerter.commands)"
        raise SendError(detail, reason="misconfigured")

    async def close(self) -> None:
        """Nothing is open."""
