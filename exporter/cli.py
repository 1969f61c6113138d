"""``gpuwarden exporter``: serves, and its subcommands look after the cards that it remembers."""

import datetime as dt
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import click

from exporter.known_cards import KnownCards
from exporter.serve import serve_exporter
from exporter.settings import ExporterSettings
from gpuwarden.apart import apart
from gpuwarden.errors import UserInputError
from gpuwarden.lifecycle import log_to_stderr
from gpuwarden.options import config_option, demo_option, listen_option


class UnknownCardError(UserInputError, LookupError):
    """No card of that UUID is remembered."""


@click.group(invoke_without_command=True)
@config_option
@listen_option
@demo_option
@click.option("--interval", metavar="DURATION", help="How often each source is read [default: 1s]")
@click.option("--web-config", metavar="FILE", help="TLS, client certificates and passwords, as for other exporters.")
@click.option("--scenario", metavar="FILE", help="What --demo plays [default: the shipped one]")
@click.option("--state", metavar="DIR", help="Folder of what must survive [default: in the user's state folder]")
@click.option("--alerts-from", metavar="URL", help="Alerter or Prometheus that the status page asks for alerts.")
@click.pass_context
def exporter(context: click.Context, config: pathlib.Path | None, **flags: str | bool | None) -> None:
    """Read the cards and the host, and serve them at /metrics."""
    context.obj = apart(lambda: _settings(config, flags))
    if context.invoked_subcommand is None:
        log_to_stderr()
        serve_exporter(context.obj)


def _settings(config: pathlib.Path | None, flags: Mapping[str, Any]) -> ExporterSettings:
    """In a child: YAML and the checks on it are what the exporter would otherwise carry about for good."""
    from gpuwarden import settings  # noqa: PLC0415 -- only the child loads it

    return settings.load("exporter", ExporterSettings, config=config, environ=os.environ, flags=flags).values


@exporter.command()
@click.pass_obj
def cards(found: ExporterSettings) -> None:
    """List the cards that were ever seen here and not forgotten."""
    known = KnownCards(found.state_folder).cards()
    for uuid, card in sorted(known.items(), key=lambda item: (item[1].index, item[0])):
        seen = dt.datetime.fromtimestamp(card.seen_at).astimezone().strftime("%Y-%m-%d %H:%M")
        click.echo(f"GPU {card.index}  {uuid}  {card.info.get('name', 'of unknown name')}  last seen {seen}")
    if not known:
        click.echo(f"no card is remembered in {found.state_folder}")


@exporter.command()
@click.argument("uuid")
@click.pass_obj
def forget(found: ExporterSettings, uuid: str) -> None:
    """Forget the card with this UUID: it was taken out, and is not to be missed any more.

    A running exporter takes it off its page within ten seconds. A card that is still there is found again.
    """
    card = KnownCards(found.state_folder).forget(uuid)
    if card is None:
        message = f"no card {uuid} is remembered in {found.state_folder}; see: gpuwarden exporter cards"
        raise UnknownCardError(message)
    click.echo(f"forgotten: {uuid} {card.info.get('name', '')}".rstrip())
