"""How our long-running processes begin and end: signals, the supervisor's pipe, log lines, where state lies.

SIGINT and SIGTERM set the stop event and nothing else; the main coroutine ends by itself. A process that ``gpuwarden
up`` started also stops when its standard input closes, so that no orphan keeps a port when the supervisor is killed.
"""

import asyncio
import logging
import os
import pathlib
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping

SUPERVISED = "GPUWARDEN_SUPERVISED"
_QUIET = ("uvicorn", "uvicorn.error", "httpx", "httpcore", "asyncio")


def default_state_folder(environ: Mapping[str, str], name: str) -> pathlib.Path:
    """A folder below systemd's state directory, else the user's (XDG Base Directory Specification)."""
    systemd = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if systemd:
        return pathlib.Path(systemd, name)
    users = environ.get("XDG_STATE_HOME") or str(pathlib.Path(environ.get("HOME", "/"), ".local", "state"))
    return pathlib.Path(users, "gpuwarden", name)


def log_to_stderr(level: int = logging.INFO) -> None:
    """One line per event on stderr; libraries speak up only from a warning on."""
    form = "%(levelname)s %(name)s: %(message)s"
    under_systemd = "JOURNAL_STREAM" in os.environ
    logging.basicConfig(
        stream=sys.stderr,
        level=level,
        format=form if under_systemd else f"%(asctime)s {form}",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def run_until_stopped(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run ``main(stop)`` on a fresh event loop; ``stop`` is set by a signal or by the supervisor's end."""

    async def outer() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        if os.environ.get(SUPERVISED):
            loop.add_reader(sys.stdin.fileno(), _stop_at_end_of_input, loop, stop)
        await main(stop)

    asyncio.run(outer())


def _stop_at_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        loop.remove_reader(sys.stdin.fileno())
        stop.set()
