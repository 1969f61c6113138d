"""``gpuwarden state``: look whether the alerter's state file is whole, and set one aside that is not."""

from pathlib import Path

import click

from alerts import deliveries, schema
from alerts.cli import load_alerter_settings
from alerts.store_file import FILE_NAME, StateDamagedError, StoreUnavailableError, opened_whole, set_aside
from gpuwarden.options import FAILED, config_option

_STATE = click.option("--state", metavar="DIR", help="The alerter's state folder [default: as the settings say]")


@click.group()
def state() -> None:
    """Look after the alerter's state file."""


@state.command("check")
@config_option
@_STATE
def check_(config: Path | None, state: str | None) -> None:
    """Say whether the state file is whole, and what is in it; an alerter may be running on it."""
    folder = load_alerter_settings(config, {"state": state}).values.state_folder
    click.echo(f"{folder / FILE_NAME} is whole: {_contents(folder)}")


@state.command("set-aside")
@config_option
@_STATE
@click.pass_context
def set_aside_(context: click.Context, config: Path | None, state: str | None) -> None:
    """Keep a damaged state file under another name, so that the alerter can start without it.

    What fires is then told anew. Mails that waited are only in the file that was set aside.
    """
    folder = load_alerter_settings(config, {"state": state}).values.state_folder
    try:
        contents = _contents(folder)
    except StateDamagedError:
        click.echo(f"kept as {set_aside(folder)}")
        return
    click.echo(f"nothing was done: {folder / FILE_NAME} is whole ({contents})", err=True)
    context.exit(FAILED)


def _contents(folder: Path) -> str:
    """What is in the state file, which is left as it is; raises StoreUnavailableError."""
    path = folder / FILE_NAME
    if not path.exists():
        message = f"there is no state file {path}"
        raise StoreUnavailableError(message)
    if not path.stat().st_size:
        raise StateDamagedError(folder, "it is empty")
    with opened_whole(folder) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(schema.STEPS):
            return f"of version {version}, written by a newer gpuwarden"
        alerts = connection.execute("SELECT count(*) FROM alert_states").fetchone()[0]
        counts = deliveries.counts(connection)
    waiting = counts["queued"] + counts["sending"]
    return f"{alerts} alerts are remembered, {waiting} mails wait, {counts['dead']} are given up"
