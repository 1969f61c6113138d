"""The front door: ``gpuwarden`` and its subcommands, each imported only when it is called."""

import importlib
from typing import Any

import click

from gpuwarden import __version__
from gpuwarden.options import ErrorsToExitStatus

_COMMANDS = {
    "up": "gpuwarden.up",
    "exporter": "exporter.cli",
    "alerter": "alerts.cli",
    "rules": "alerts.cli_rules",
    "mail": "alerts.cli_mail",
    "silence": "alerts.cli_silence",
    "outbox": "alerts.cli_outbox",
    "state": "alerts.cli_state",
    "config": "gpuwarden.cli_config",
    "generate": "gpuwarden.cli_generate",
    "bench": "exporter.bench.cli",
}


class FrontDoor(ErrorsToExitStatus):
    """Mounts each package's commands lazily: ``gpuwarden exporter`` never imports the alerter."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """The subcommands in the order of a reader's interest."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module that holds the command; the attribute has the command's name."""
        if cmd_name not in _COMMANDS:
            from gpuwarden.documents import nearest  # noqa: PLC0415 -- only a misspelt command needs it

            ctx.fail(f"there is no command {cmd_name!r}. {nearest(cmd_name, _COMMANDS)}".rstrip())
        module: Any = importlib.import_module(_COMMANDS[cmd_name])
        return getattr(module, cmd_name)


@click.group(cls=FrontDoor, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gpuwarden")
def main() -> None:
    """Watch GPUs: publish what the cards do on :9400 and write a mail before one runs out of memory."""
