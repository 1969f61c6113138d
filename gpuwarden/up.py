"""``gpuwarden up``: exporter and alerter as two supervised processes, one line of status, a clean end.

1. A child that ends before it was ever ready ends everything: its own words on the terminal say why.
2. A child that ends later is started again, after a wait that doubles up to half a minute.
3. Children hang on a pipe from here: when this process is gone, whatever the reason, they stop too.
4. Ctrl-C reaches this process alone; it asks the children to end, waits, and only then ends them by force.
5. SIGHUP is passed on to the alerter, which rereads its rules.
6. The exporter's page asks this alerter for its alerts, unless the settings name another source.
"""

import asyncio
import contextlib
import logging
import os
import pathlib
import signal
import sys
import time
from dataclasses import dataclass

import click
import httpx

from alerts.cli import load_alerter_settings
from alerts.serve import mail_line
from exporter.settings import ExporterSettings
from gpuwarden import __version__, settings
from gpuwarden.errors import GpuwardenError
from gpuwarden.lifecycle import SUPERVISED, log_to_stderr, run_until_stopped
from gpuwarden.listener import bind, url_of
from gpuwarden.options import config_option, demo_option

_log = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 1.0, 30.0
_SECONDS_TO_END = 8.0
_STATUS_SECONDS = 2.0
_WELL_SECONDS = 60.0
"""A child that ran this long starts its waits anew."""


class ChildFailedError(GpuwardenError, RuntimeError):
    """A child ended before it was ready; it has said why on the terminal."""


@dataclass(slots=True)
class Child:
    """One supervised command; ``url`` is where it will be ready."""

    name: str
    arguments: list[str]
    url: str
    process: asyncio.subprocess.Process | None = None
    was_ready: bool = False
    rereads: bool = False
    """Whether SIGHUP means something to it."""


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
    page, health = _free_address(watching.values.listen, "exporter"), _free_address(loaded.values.listen, "alerter")
    shared = [*(["--config", str(config)] if config else []), *(["--demo"] if demo else [])]
    shared += ["--state", state] if state else []
    own = [part for file in rules for part in ("--rules", file)]
    if loaded.values.demo or ("targets",) not in loaded.origins:
        own += ["--target", f"{page.url}/metrics"]
    asked = [] if ("alerts_from",) in watching.origins else ["--alerts-from", health.url]
    children = [
        Child("exporter", ["exporter", "--listen", page.listen, *shared, *asked], page.url),
        Child("alerter", ["alerter", "--listen", health.listen, *shared, *own], health.url, rereads=True),
    ]
    said = [f"gpuwarden {__version__}: open {page.url} (Ctrl-C ends it)", mail_line(loaded.values)]
    run_until_stopped(lambda stop: _supervise(children, said, stop))


@dataclass(frozen=True, slots=True)
class _Address:
    listen: str
    url: str


def _free_address(listen: str, name: str) -> _Address:
    """Check that the port is free, and settle on one where the settings leave it open (port 0)."""
    with bind(listen, name) as listening:
        port = listening.getsockname()[1]
        return _Address(f"{listen.rpartition(':')[0]}:{port}", url_of(listening))


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
    """SIGHUP: a closed terminal ends everything; from a service manager it means "read your rules again"."""
    if sys.stdin.isatty():
        stop.set()
        return
    for child in children:
        if child.rereads and child.process is not None and child.process.returncode is None:
            child.process.send_signal(signal.SIGHUP)


async def _keep(child: Child, stop: asyncio.Event) -> None:
    wait = _FIRST_WAIT_SECONDS
    while not stop.is_set():
        begun = time.monotonic()
        child.process = await _start(child)
        if stop.is_set():
            await _end(child)
            return
        status = await child.process.wait()
        if stop.is_set():
            return
        if not child.was_ready:
            message = f"the {child.name} did not start (exit status {status}); its own words are above"
            raise ChildFailedError(message)
        wait = _FIRST_WAIT_SECONDS if time.monotonic() - begun > _WELL_SECONDS else wait
        _log.warning("the %s ended with status %d; starting it again in %.0f s", child.name, status, wait)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await stop.wait()
        wait = min(2 * wait, _LONGEST_WAIT_SECONDS)


async def _start(child: Child) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gpuwarden",
            *child.arguments,
            stdin=asyncio.subprocess.PIPE,
            env={**os.environ, SUPERVISED: "1"},
            start_new_session=True,
        )
    except OSError as error:
        message = f"the {child.name} could not be started: {error.strerror or error}"
        raise ChildFailedError(message) from error


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
    async with httpx.AsyncClient(timeout=_STATUS_SECONDS, trust_env=False) as client:
        for child in children:
            while not child.was_ready:
                child.was_ready = (await _get(client, f"{child.url}/-/ready"))[0]
                await asyncio.sleep(0.1)
        for line in said:
            click.echo(line)
        await _follow(client, [f"{child.url}/status" for child in children])


async def _follow(client: httpx.AsyncClient, urls: list[str]) -> None:
    terminal, before = sys.stdout.isatty(), ""
    while True:
        answers = [await _get(client, url) for url in urls]
        line = " | ".join(text.strip() if good else "does not answer" for good, text in answers)
        if line != before:
            _show(line, terminal=terminal)
            before = line
        await asyncio.sleep(_STATUS_SECONDS)


def _show(line: str, *, terminal: bool) -> None:
    if terminal:
        width = os.get_terminal_size().columns - 1
        click.echo(f"\r\x1b[K{line[:width]}", nl=False)
    else:
        click.echo(line)


async def _get(client: httpx.AsyncClient, url: str) -> tuple[bool, str]:
    try:
        answer = await client.get(url)
    except httpx.HTTPError:
        return False, ""
    return answer.is_success, answer.text
