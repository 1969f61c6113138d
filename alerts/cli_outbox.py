"""``gpuwarden outbox``: see what waits and what was given up; try it again, or drop it."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from alerts.cli import load_alerter_settings
from alerts.outbox_control import Action, ask
from alerts.outbox_rows import look, mail_of, unsettled
from alerts.outbox_view import as_json, details, table
from alerts.store_file import typed_errors
from gpuwarden.options import config_option

Function = TypeVar("Function", bound=Callable[..., Any])

_MOST_LISTED = 1000


def _state_options(function: Function) -> Function:
    for decorate in (
        config_option,
        click.option("--state", metavar="DIR", help="The alerter's state folder [default: as the settings say]"),
        click.option("--demo", is_flag=True, default=None, help="The state of the demo."),
    ):
        function = decorate(function)
    return function


def _folder(place: dict[str, Any]) -> Path:
    return load_alerter_settings(place.pop("config"), place).values.state_folder


@click.group()
def outbox() -> None:
    """See what waits to be delivered and what was given up; try it again, or drop it."""


@outbox.command("list")
@_state_options
@click.option("--dead", is_flag=True, help="Only what was given up.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
def list_(*, dead: bool, json_: bool, **place: Any) -> None:
    """List what waits, is being sent or was given up, oldest first."""
    folder = _folder(place)
    with look(folder) as connection, typed_errors(folder):
        rows = unsettled(connection, _MOST_LISTED + 1, dead_only=dead)
    shown = rows[:_MOST_LISTED]
    if json_:
        click.echo(as_json(shown))
    elif not rows:
        click.echo("nothing was given up" if dead else "nothing waits, nothing was given up")
    else:
        click.echo("\n".join(table(shown, time.time())))
    if len(rows) > _MOST_LISTED:
        click.echo(f"there are more than these {_MOST_LISTED}", err=True)


@outbox.command()
@_state_options
@click.argument("id_", metavar="ID", type=int)
@click.option("--eml", is_flag=True, help="Write the mail itself to standard output, as it is sent.")
def show(id_: int, *, eml: bool, **place: Any) -> None:
    """Show one mail: everybody whom it goes to, what each server said."""
    folder = _folder(place)
    with look(folder) as connection, typed_errors(folder):
        mail = mail_of(connection, id_)
    if mail is None:
        message = f"there is no mail {id_} in {folder}; see gpuwarden outbox list"
        raise click.UsageError(message)
    if eml:
        sys.stdout.buffer.write(mail.data)
    else:
        click.echo("\n".join(details(mail, time.time())))


@outbox.command()
@_state_options
@click.argument("ids", metavar="[ID]...", type=int, nargs=-1)
@click.option("--dead", is_flag=True, help="Everything that was given up.")
def retry(ids: Sequence[int], *, dead: bool, **place: Any) -> None:
    """Try mails now: what waits at once, what was given up with all its time again."""
    _change(_folder(place), "retry", _chosen(ids, dead=dead))


@outbox.command()
@_state_options
@click.argument("ids", metavar="[ID]...", type=int, nargs=-1)
@click.option("--dead", is_flag=True, help="Everything that was given up.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(ids: Sequence[int], *, dead: bool, yes: bool, **place: Any) -> None:
    """Drop mails: nobody will get them."""
    chosen = _chosen(ids, dead=dead)
    if not yes:
        what = "everything that was given up"
        if chosen is not None:
            what = f"{len(chosen)} mail{'' if len(chosen) == 1 else 's'}"
        if not sys.stdin.isatty():
            message = "dropping asks at a terminal; without one, say --yes"
            raise click.UsageError(message)
        click.confirm(f"Drop {what}? Nobody will get it", abort=True)
    _change(_folder(place), "drop", chosen)


def _chosen(ids: Sequence[int], *, dead: bool) -> Sequence[int] | None:
    if dead == bool(ids):
        message = "give either ids (see gpuwarden outbox list) or --dead"
        raise click.UsageError(message)
    return None if dead else list(dict.fromkeys(ids))


def _change(folder: Path, action: Action, ids: Sequence[int] | None) -> None:
    done = ask(folder, action, ids)
    words = {"retry": "due now", "drop": "dropped"}[action]
    click.echo(f"{done} mail{'s' * (done != 1)} {words}")
