"""``gpuwarden exporter``."""

import os
import pathlib

import click

from exporter.serve import serve_exporter
from exporter.settings import ExporterSettings
from gpuwarden import settings
from gpuwarden.lifecycle import log_to_stderr
from gpuwarden.options import config_option, demo_option, listen_option


@click.command()
@config_option
@listen_option
@demo_option
@click.option("--interval", metavar="DURATION", help="How often each source is read [default: 1s]")
@click.option("--web-config", metavar="FILE", help="TLS, client certificates and passwords, as for other exporters.")
@click.option("--scenario", metavar="FILE", help="What --demo plays [default: the shipped one]")
def exporter(config: pathlib.Path | None, **flags: str | bool | None) -> None:
    """Read the cards and the host, and serve them at /metrics."""
    loaded = settings.load("exporter", ExporterSettings, config=config, environ=os.environ, flags=flags)
    log_to_stderr()
    serve_exporter(loaded.values)
