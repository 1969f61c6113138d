"""``gpuwarden silence``: hear nothing of an alert for a while."""

import getpass
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from alerts.clean_text import one_line
from alerts.cli import load_alerter_settings
from alerts.matcher_text import read_matcher, write_matcher
from alerts.matchers import Operator
from alerts.rules import SHIPPED, load_rules
from alerts.silence_access import Access, reach
from alerts.silence_document import asking, operator_of
from alerts.webhook import parse_time
from gpuwarden.documents import DocumentError, nearest
from gpuwarden.errors import UserInputError
from gpuwarden.options import config_option
from gpuwarden.units import format_timestamp, format_value, parse_duration

Function = TypeVar("Function", bound=Callable[..., Any])

_COLUMNS = ("ID", "STATE", "ENDS", "ALERTS", "BY", "COMMENT")
_LONGEST_WORD = 200
_RANKS = {"active": 0, "pending": 1}


class DurationError(UserInputError, ValueError):
    """``--for`` is no time that makes sense."""


def _place_options(function: Function) -> Function:
    """``--config FILE`` and ``--url URL``."""
    url = click.option(
        "--url",
        metavar="URL",
        help="Where the alerter or Alertmanager is [default: what the settings say].",
    )
    return config_option(url(function))


@click.group()
def silence() -> None:
    """Hear nothing of an alert for a while."""


@silence.command()
@click.argument("matchers", nargs=-1, required=True, metavar="LABEL=VALUE...")
@click.option("--for", "span", default="4h", show_default=True, metavar="TIME", help="How long: 30m, 4h, 2d.")
@click.option("--comment", default="", metavar="TEXT", help="Why, for the others.")
@click.option("--by", default="", metavar="NAME", help="Who asks for it [default: the user's name].")
@_place_options
def add(matchers: tuple[str, ...], span: str, comment: str, by: str, config: Path | None, url: str | None) -> None:
    """Silence the alerts that have these labels, from now on.

    As in Alertmanager, a label is matched by =, !=, =~ or !~, and all must match: alertname=GpuMemoryAlmostFull gpu=2.
    What still fires when the silence ends is told then.
    """
    asked = [read_matcher(text) for text in matchers]
    now, seconds = time.time(), _seconds(span)
    access = _reach(config, url)
    document = asking(asked, now, now + seconds, by=by or _user(), comment=comment or "gpuwarden silence add")
    identity = access.add(document)
    words = " ".join(write_matcher(*matcher) for matcher in asked)
    click.echo(f"silenced until {format_timestamp(now + seconds)} {access.place}: {words}")
    click.echo(f"to end it before: gpuwarden silence end {identity}")
    _warn_of_unknown(asked, config)


@silence.command("list")
@click.option("--ended", is_flag=True, help="Those that have ended, too.")
@_place_options
def list_(config: Path | None, url: str | None, *, ended: bool) -> None:
    """Show the silences that hold or will."""
    access = _reach(config, url)
    found = [document for document in access.all() if ended or _state(document) != "expired"]
    if not found:
        click.echo(f"no silences {access.place}")
        return
    found.sort(key=lambda document: (_RANKS.get(_state(document), len(_RANKS)), str(document.get("endsAt"))))
    now = time.time()
    rows = [_COLUMNS, *(_row(document, now) for document in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@silence.command()
@click.argument("identities", nargs=-1, metavar="ID...")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@_place_options
def end(identities: tuple[str, ...], config: Path | None, url: str | None, *, everything: bool) -> None:
    """End silences now; what fires is told then."""
    if bool(identities) is everything:
        message = "name the silences (gpuwarden silence list shows them), or --all"
        raise click.UsageError(message)
    access = _reach(config, url)
    if everything:
        identities = tuple(str(item.get("id")) for item in access.all() if _state(item) != "expired")
    for identity in identities:
        access.end(identity)
    click.echo(f"ended {len(identities)} {'silence' if len(identities) == 1 else 'silences'} {access.place}")


def _reach(config: Path | None, url: str | None) -> Access:
    return reach(load_alerter_settings(config, {}).values, url)


def _warn_of_unknown(asked: Iterable[tuple[str, Operator, str]], config: Path | None) -> None:
    """Say so where no rule of ours has the name: it may be another's, and it may be misspelt."""
    names = [value for label, operator, value in asked if (label, operator) == ("alertname", "=")]
    try:
        known = {rule.alert for rule in load_rules(SHIPPED, load_alerter_settings(config, {}).values.rule_files)}
    except DocumentError:  # the alerter says what is wrong with the rules
        return
    for name in names:
        if name not in known:
            hint = nearest(name, known)
            click.echo(f"no rule in force is called {name[:100]!r}{f' ({hint})' if hint else ''}", err=True)


def _seconds(span: str) -> float:
    try:
        seconds = parse_duration(span)
    except ValueError as error:
        message = f"--for: {error}"
        raise DurationError(message) from error
    if seconds <= 0:
        message = "--for: a silence lasts for more than no time"
        raise DurationError(message)
    return seconds


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name
        return "gpuwarden"


def _state(document: Mapping[str, Any]) -> str:
    status = document.get("status")
    return str(cast("Mapping[str, Any]", status).get("state", "")) if isinstance(status, dict) else ""


def _row(document: Mapping[str, Any], now: float) -> tuple[str, ...]:
    matchers: Any = document.get("matchers")
    cells = (
        document.get("id"),
        _state(document),
        _when(document, now),
        " ".join(_written(cast("Iterable[Mapping[str, Any]]", matchers) if isinstance(matchers, list) else ())),
        document.get("createdBy"),
        document.get("comment"),
    )
    return tuple(one_line(str(cell or ""), _LONGEST_WORD) for cell in cells)


def _written(matchers: Iterable[Mapping[str, Any]]) -> Sequence[str]:
    return [
        write_matcher(str(matcher.get("name")), operator_of(matcher), str(matcher.get("value"))) for matcher in matchers
    ]


def _when(document: Mapping[str, Any], now: float) -> str:
    """When it ends, or with what it waits for: how long that is."""
    state = _state(document)
    moment = parse_time(document.get("startsAt" if state == "pending" else "endsAt"))
    if moment is None:
        return "?"
    if state == "expired":
        return f"{format_value(now - moment, 'seconds')} ago"
    span = format_value(max(moment - now, 0.0), "seconds")
    return f"starts in {span}" if state == "pending" else f"in {span}"
