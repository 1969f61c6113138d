"""``gpuwarden mail``: try the way to the inbox, and look at what would arrive."""

from pathlib import Path
from typing import Any

import click

from alerts.cli import load_alerter_settings
from alerts.evidence.setup import FONTS
from alerts.mail_preview import run_mail_preview
from alerts.mail_trial import run_mail_test
from alerts.report.command import run_mail_report
from gpuwarden.options import config_option
from gpuwarden.units import parse_duration


@click.group()
def mail() -> None:
    """Try the way to the inbox, and look at the mails."""


@mail.command("test")
@config_option
@click.pass_context
def test_(context: click.Context, config: Path | None) -> None:
    """Send a small mail to the configured recipients now and say each step."""
    settings = load_alerter_settings(config, {}).values
    context.exit(run_mail_test(settings.delivery, settings.state_folder, click.echo))


@mail.command()
@config_option
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("mail-preview"),
    show_default=True,
    help="Where the files go.",
)
@click.pass_context
def preview(context: click.Context, config: Path | None, out: Path) -> None:
    """Write an example of each kind of mail as .eml and .html."""
    settings = load_alerter_settings(config, {}).values
    context.exit(run_mail_preview(settings.delivery, out, click.echo, settings.state_folder / FONTS))


@mail.command()
@config_option
@click.option("--over", default="24h", show_default=True, metavar="DURATION", help="The time until now that it covers.")
@click.option("--send", is_flag=True, help="Mail it to those who get reports, instead of printing it.")
@click.option("--state", metavar="DIR", help="The alerter's state folder.")
@click.option("--demo", is_flag=True, default=None, help="On the demo.")
@click.pass_context
def report(context: click.Context, config: Path | None, over: str, *, send: bool, **flags: Any) -> None:
    """Tell what happened lately: peaks, energy, alerts, latencies, mails."""
    try:
        seconds = parse_duration(over)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--over") from error
    settings = load_alerter_settings(config, flags).values
    context.exit(run_mail_report(settings, seconds, click.echo, send=send))
