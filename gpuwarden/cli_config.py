"""``gpuwarden config``: the settings in force and where each was written, without secrets."""

import os
import pathlib
import re
from typing import Any, cast

import click

from alerts.settings import AlerterSettings
from exporter.settings import ExporterSettings
from gpuwarden import settings
from gpuwarden.options import config_option
from gpuwarden.units import Duration, Secret, format_duration

_USERINFO = re.compile(r"(?<=://)\S*@|^[^\s@:/]+:(?!//)\S*@")
"""What stands before the last @ of a URL, also where the scheme was forgotten; a mail address is no secret."""


@click.command()
@config_option
def config(config: pathlib.Path | None) -> None:
    """Show the settings in force and where each was written; passwords are hidden."""
    sections: tuple[tuple[str, type[Any]], ...] = (("exporter", ExporterSettings), ("alerter", AlerterSettings))
    found = [(name, cls, settings.load(name, cls, config=config, environ=os.environ)) for name, cls in sections]
    file = found[0][2].file
    click.echo(f"# {'settings file: ' + str(file) if file else 'no settings file'}")
    for name, cls, loaded in found:
        for path, kind in settings.leaves(cls):
            key = ".".join(map(str, (name, *path)))
            origin = loaded.origins.get(path, "default")
            click.echo(f"{key}: {shown(_value(loaded.values, path), kind)}  # {origin}")


def shown(value: Any, kind: Any) -> str:
    """A value as it would stand in the file, with secrets, and what stands before an @ in a URL, hidden."""
    if value is None:
        return "null"
    if kind is Secret:
        return "***"
    if kind is Duration:
        return format_duration(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(hidden(str(item)) for item in cast('tuple[Any, ...]', value))}]"
    return hidden(str(value)) or '""'


def hidden(text: str) -> str:
    """Replace a name and password in a URL."""
    return _USERINFO.sub("***@", text)


def _value(values: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        values = getattr(values, settings.keys_of(type(values))[str(key)])
    return values
