"""``gpuwarden generate``: the files that Prometheus, Alertmanager and Grafana read, from the rules in force.

Everything is made before anything is written, and each file is replaced whole. Where a promtool refuses an ``expr``,
nothing is written: Prometheus would refuse the whole file. Other users read the files (each service of a stack runs as
its own), so their modes do not follow the umask. What else lies below DIR is left alone.
"""

import os
import pathlib
from collections.abc import Mapping

import click

from alerts.alertmanager_config import DEFAULT_WEBHOOK, alertmanager_config
from alerts.expression_checks import unverified
from alerts.prometheus_rules import rule_file
from alerts.rule import Rule
from alerts.rules import SHIPPED, load_parts
from alerts.scrape import instance_of
from alerts.settings import AlerterSettings
from gpuwarden import settings
from gpuwarden.errors import GpuwardenError
from gpuwarden.options import FAILED, config_option
from gpuwarden.whole_files import replace_file

_FOLDER_MODE = 0o755


def _http_url(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        instance_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value


class GeneratedFileError(GpuwardenError, OSError):
    """A generated file could not be read or written; the message names it."""


@click.command()
@config_option
@click.option("--rules", multiple=True, metavar="FILE", help="Rules on top of the shipped ones; may be repeated.")
@click.option(
    "--out", "folder", required=True, metavar="DIR", type=click.Path(path_type=pathlib.Path), help="Where to write."
)
@click.option("--check", is_flag=True, help="Write nothing; exit status 1 when DIR holds something else.")
@click.option(
    "--webhook",
    default=DEFAULT_WEBHOOK,
    show_default=True,
    metavar="URL",
    callback=_http_url,
    help="The alerter's webhook, as Alertmanager sees it.",
)
@click.option("--webhook-secret-file", metavar="FILE", help="Its secret, at the path that Alertmanager sees.")
def generate(
    config: pathlib.Path | None,
    rules: tuple[str, ...],
    folder: pathlib.Path,
    webhook: str,
    webhook_secret_file: str | None,
    *,
    check: bool,
) -> None:
    """Write what Prometheus, Alertmanager and Grafana read, from the shipped rules and yours."""
    flags = {"rules": [*rules] or None}
    loaded = settings.load("alerter", AlerterSettings, config=config, environ=os.environ, flags=flags)
    parts = [part for part in load_parts(SHIPPED, loaded.values.rule_files) if part.enabled]
    if remark := unverified(parts):
        click.echo(remark, err=True)
    in_force = tuple(part.rule for part in parts)
    files = generated(in_force, webhook, webhook_secret_file, repeat_interval=loaded.values.policy.shortest_repeat)
    if check:
        _check(folder, files)
        return
    for name, text in files.items():
        _write(folder / name, text)
        click.echo(f"wrote {folder / name}")


def generated(
    rules: tuple[Rule, ...], webhook: str, webhook_secret_file: str | None, *, repeat_interval: float | None = None
) -> dict[str, str]:
    """Every file by its path below the folder, in the order of writing."""
    from dashboards.generate import generate as dashboards_of  # noqa: PLC0415 -- grafanalib takes long to import

    return {
        "prometheus/gpuwarden.rules.yml": rule_file(rules),
        "alertmanager/alertmanager.yml": alertmanager_config(
            webhook, webhook_secret_file, rules, repeat_interval=repeat_interval
        ),
        **{f"grafana/dashboards/{name}": text for name, text in sorted(dashboards_of(rules).items())},
    }


def _check(folder: pathlib.Path, files: Mapping[str, str]) -> None:
    found = {name: _found(folder / name) for name in files}
    for name, text in files.items():
        if found[name] != text.encode():
            click.echo(f"{folder / name} {'is missing' if found[name] is None else 'differs'}", err=True)
    if any(found[name] != text.encode() for name, text in files.items()):
        raise click.exceptions.Exit(FAILED)
    click.echo(f"ok: {len(files)} files")


def _found(path: pathlib.Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _failure(path, "read", error) from error


def _write(path: pathlib.Path, text: str) -> None:
    """Replace one file, so that a reader sees the old one or the new one."""
    try:
        _make_folder(path.parent)
        replace_file(path, text)
    except OSError as error:
        raise _failure(path, "written", error) from error


def _make_folder(folder: pathlib.Path) -> None:
    """Make what is missing; a folder that was there keeps its mode."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(_FOLDER_MODE)


def _failure(path: pathlib.Path, what: str, error: OSError) -> GeneratedFileError:
    return GeneratedFileError(f"{path} cannot be {what}: {error.strerror or error}")
