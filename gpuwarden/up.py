"""``gpuwarden up``: exporter and alerter as two supervised processes, one line of status, a clean end.

1. A child that ends before it was ever ready ends everything: its own words on the terminal say why.
2. A child that ends later is started again, after a wait that doubles up to half a minute.
3. Children hang on a pipe from here: when this process is gone, whatever the reason, they stop too.
4. Ctrl-C reaches this process alone; it asks the children to end, waits, and only then ends them by force.
5. SIGHUP is passed on to the alerter, which reads its settings and rules again. While it starts it would end by it, so
   it waits for the first report.
6. The exporter's page asks this alerter for its alerts, unless the settings name another source.
7. Children report over a pipe of their own (``gpuwarden.reports``), so that a page behind TLS and a password needs no
   key here. The alerter does need one to read the exporter's page, and the status page one to ask the alerter for its
   alerts; where one of them has none, nothing is started.
"""

import asyncio
import contextlib
import logging
import math
import os
import pathlib
import signal
import sys
import time
from dataclasses import dataclass

import click

from alerts.cli import load_alerter_settings
from alerts.serve import mail_line
from exporter.settings import ExporterSettings
from gpuwarden import __version__, settings
from gpuwarden.errors import GpuwardenError, UserInputError
from gpuwarden.lifecycle import SUPERVISED, log_to_stderr, run_until_stopped
from gpuwarden.listener import bind, url_of
from gpuwarden.options import WRONG_INPUT, config_option, demo_option
from gpuwarden.reports import REPORTS_TO, SECONDS_BETWEEN_REPORTS
from gpuwarden.up_access import asks_our_alerter, demands, watches_our_page

_log = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 1.0, 30.0
_SECONDS_TO_END = 8.0
_STATUS_SECONDS = 2.0
_MOST_MISSED_REPORTS = 2.5
_WELL_SECONDS = 60.0
"""A child that ran this long starts its waits anew."""


class ChildFailedError(GpuwardenError, RuntimeError):
    """A child ended before it was ready; it has said why on the terminal."""


class ChildRefusedInputError(UserInputError, ChildFailedError):
    """What the user wrote is wrong, and a child found it: starting again would not help."""


@dataclass(slots=True)
class Child:
    """One supervised command."""

    name: str
    arguments: list[str]
    process: asyncio.subprocess.Process | None = None
    was_ready: bool = False
    said: str = ""
    """Its last report."""
    said_at: float = -math.inf
    """When that came, in monotonic seconds."""
    rereads: bool = False
    """Whether SIGHUP means something to it."""
    is_to_reread: bool = False


@click.command()
@config_option
@demo_option
@click.option("--state", metavar="DIR", help="Folder of what must survive [default: in the user's state folder]")
@click.option("--rules", multiple=True, metavar="FILE", help="Rules on top of the shipped ones; may be repeated.")
def up(config: pathlib.Path | None, demo: bool | None, state: str | None, rules: tuple[str, ...]) -> None:  # noqa: FBT001 -- click passes flags so
    """Start the exporter and the alerter and keep them running."""
    given = {"demo": demo}
    watching = settings.load("exporter", ExporterSettings, config=config, environ=os.environ, flags=given)
    loaded = load_alerter_settings(config, {**given, "state": state, "rules": rules})
    log_to_stderr()
    exporter = watching.values
    page = _free_address(exporter.listen, "exporter", exporter.web_config)
    health = _free_address(loaded.values.listen, "alerter", loaded.values.web_config)
    shared = [*(["--config", str(config)] if config else []), *(["--demo"] if demo else [])]
    shared += ["--state", state] if state else []
    own = [part for file in rules for part in ("--rules", file)]
    own += ["--target", f"{page.url}/metrics"] if watches_our_page(exporter, loaded) else []
    asked = ["--alerts-from", health.url] if asks_our_alerter(watching, loaded.values) else []
    children = [
        Child("exporter", ["exporter", "--listen", page.listen, *shared, *asked]),
        Child("alerter", ["alerter", "--listen", health.listen, *shared, *own], rereads=True),
    ]
    said = [f"gpuwarden {__version__}: open {page.url} (Ctrl-C ends it)", mail_line(loaded.values)]
    run_until_stopped(lambda stop: _supervise(children, said, stop))


@dataclass(frozen=True, slots=True)
class _Address:
    listen: str
    url: str


def _free_address(listen: str, name: str, web_config: str | None) -> _Address:
    """Check that the port is free, and settle on one where the settings leave it open (port 0)."""
    scheme = "https" if demands(web_config)[0] else "http"
    with bind(listen, name) as listening:
        port = listening.getsockname()[1]
        return _Address(f"{listen.rpartition(':')[0]}:{port}", url_of(listening, scheme))


async def _supervise(children: list[Child], said: list[str], stop: asyncio.Event) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _hang_up, children, stop)
    keepers = [asyncio.create_task(_keep(child, stop)) for child in children]
    ending = asyncio.create_task(stop.wait())
    status = asyncio.create_task(_tell(children, said))
    try:
        await asyncio.wait({*keepers, ending}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        status.cancel()
        ending.cancel()
        await asyncio.gather(*(_end(child) for child in children))
        results = await asyncio.gather(*keepers, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    click.echo("\nended" if sys.stdout.isatty() else "ended")


def _hang_up(children: list[Child], stop: asyncio.Event) -> None:
    """SIGHUP: a closed terminal ends everything; from a service manager it means "read your settings again"."""
    if sys.stdin.isatty():
        stop.set()
        return
    for child in children:
        child.is_to_reread = child.rereads
        _pass_on(child)


def _pass_on(child: Child) -> None:
    """Send SIGHUP if it is owed, and if the child has told that it runs."""
    process = child.process
    if child.is_to_reread and process is not None and process.returncode is None and child.said_at > -math.inf:
        child.is_to_reread = False
        process.send_signal(signal.SIGHUP)


async def _keep(child: Child, stop: asyncio.Event) -> None:
    wait = _FIRST_WAIT_SECONDS
    while not stop.is_set():
        begun = time.monotonic()
        child.process = await _start(child)
        if stop.is_set():
            await _end(child)
            return
        status = await child.process.wait()
        child.said_at = -math.inf
        if stop.is_set():
            return
        if not child.was_ready:
            message = f"the {child.name} did not start (exit status {status}); its own words are above"
            raise ChildRefusedInputError(message) if status == WRONG_INPUT else ChildFailedError(message)
        wait = _FIRST_WAIT_SECONDS if time.monotonic() - begun > _WELL_SECONDS else wait
        _log.warning("the %s ended with status %d; starting it again in %.0f s", child.name, status, wait)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await stop.wait()
        wait = min(2 * wait, _LONGEST_WAIT_SECONDS)


async def _start(child: Child) -> asyncio.subprocess.Process:
    reading, writing = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gpuwarden",
            *child.arguments,
            stdin=asyncio.subprocess.PIPE,
            env={**os.environ, SUPERVISED: "1", REPORTS_TO: str(writing)},
            pass_fds=(writing,),
            start_new_session=True,
        )
    except OSError as error:
        os.close(reading)
        message = f"the {child.name} could not be started: {error.strerror or error}"
        raise ChildFailedError(message) from error
    finally:
        os.close(writing)
    asyncio.get_running_loop().add_reader(reading, _hear, child, reading)
    return process


def _hear(child: Child, reading: int) -> None:
    """Take a child's reports; the last one counts."""
    said = os.read(reading, 65536).decode(errors="replace").splitlines()
    if not said:
        asyncio.get_running_loop().remove_reader(reading)
        os.close(reading)
        return
    child.was_ready, child.said, child.said_at = True, said[-1], time.monotonic()
    _pass_on(child)


async def _end(child: Child) -> None:
    process = child.process
    if process is None or process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_SECONDS_TO_END):
            await process.wait()
    except TimeoutError:
        _log.warning("the %s did not end by itself", child.name)
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def _tell(children: list[Child], said: list[str]) -> None:
    """Wait until both are ready, say where to look, then keep one line of status at a terminal."""
    while not all(child.was_ready for child in children):  # noqa: ASYNC110 -- a callback sets it
        await asyncio.sleep(0.05)
    for line in said:
        click.echo(line)
    terminal, before = sys.stdout.isatty(), ""
    while True:
        line = " | ".join(map(_status, children))
        if line != before:
            _show(line, terminal=terminal)
            before = line
        await asyncio.sleep(_STATUS_SECONDS)


def _status(child: Child) -> str:
    silent = time.monotonic() - child.said_at > _MOST_MISSED_REPORTS * SECONDS_BETWEEN_REPORTS
    return "does not answer" if silent else child.said


def _show(line: str, *, terminal: bool) -> None:
    if terminal:
        width = os.get_terminal_size().columns - 1
        click.echo(f"\r\x1b[K{line[:width]}", nl=False)
    else:
        click.echo(line)
