"""``gpuwarden alerter``."""

import os
import pathlib
from typing import Any, cast

import click

from alerts.serve import serve_alerter
from alerts.settings import AlerterSettings
from gpuwarden import settings
from gpuwarden.lifecycle import log_to_stderr
from gpuwarden.options import config_option, listen_option


@click.command()
@config_option
@listen_option
@click.option("--web-config", metavar="FILE", help="TLS, client certificates and passwords, as for other exporters.")
@click.option("--state", metavar="DIR", help="Folder of what must survive [default: in the user's state folder]")
@click.option("--rules", multiple=True, metavar="FILE", help="Rules on top of the shipped ones; may be repeated.")
@click.option("--target", "targets", multiple=True, metavar="URL", help="Page to watch; may be repeated.")
@click.option("--demo", is_flag=True, default=None, hidden=True)
def alerter(config: pathlib.Path | None, **flags: Any) -> None:
    """Judge the rules on what the exporter publishes, and mail what follows."""

    def read() -> AlerterSettings:
        return load_alerter_settings(config, flags).values

    found = read()
    log_to_stderr()
    serve_alerter(found, read)


def load_alerter_settings(config: pathlib.Path | None, flags: dict[str, Any]) -> settings.Loaded[AlerterSettings]:
    """The alerter's settings; a repeatable flag that was not given is as if it were not there."""
    given = {
        key: [*cast("tuple[Any, ...]", value)] if isinstance(value, tuple) else value for key, value in flags.items()
    }
    given = {key: value for key, value in given.items() if value != []}
    return settings.load("alerter", AlerterSettings, config=config, environ=os.environ, flags=given)
