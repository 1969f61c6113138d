"""What a user can set under ``alerter.commands``: programs that are told what a mail would tell."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from alerts.channels import COMMAND_PREFIX
from gpuwarden.units import Duration

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
_HALF_A_MINUTE = Duration(30.0)


@dataclass(frozen=True, slots=True)
class CommandSettings:
    """One entry of ``alerter.commands``."""

    name: str
    """What routes call it: the recipient is `command:NAME`."""
    run: tuple[str, ...]
    """The program and its arguments, `[/usr/local/bin/push, --phone]`; no shell reads them."""
    timeout: Duration = _HALF_A_MINUTE
    """How long it may take; then it is killed with everything that it started, and tried again later."""
    default: bool = False
    """Whether it is told of everything that goes to `alerter.mail.to`."""

    @property
    def recipient(self) -> str:
        """How it stands among the recipients of a notification."""
        return f"{COMMAND_PREFIX}{self.name}"

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        if not _NAME.fullmatch(self.name):
            yield "name", f"{self.name!r} is not a name", "up to 40 letters, digits, - and _"
        if not self.run or not self.run[0]:
            yield "run", "there is nothing to run", "[/usr/local/bin/push, --phone]"
        if any("\0" in argument for argument in self.run):
            yield "run", "holds a character that no program can be given (NUL)", ""
        if self.timeout <= 0:
            yield "timeout", "a timeout of nothing lets no command through", "30s"
