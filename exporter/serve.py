"""Wires the exporter: sources into the sampler, the sampler's latest into the page, the page behind the listener."""

import asyncio
import logging
import os
import pathlib
import sys
from typing import TYPE_CHECKING

from exporter.known_cards import KnownCards
from exporter.latency.observations import Observations
from exporter.page import PageMaker
from exporter.processes.holders import Holders
from exporter.processes.lookups import Lookups
from exporter.processes.table import ProcessTable
from exporter.processes.workloads import Workloads
from exporter.sampler import Sampler
from exporter.settings import ExporterSettings
from exporter.sources.host import HostReader
from exporter.sources.nvml.session import NvmlSession
from exporter.status.address import parse_url
from exporter.status.alerts_client import AlertsClient
from exporter.status.front import StatusPage
from exporter.web import application
from gpuwarden import __version__
from gpuwarden.lifecycle import run_until_stopped
from gpuwarden.listener import bind, serve, url_of
from gpuwarden.web_files import WebFiles

if TYPE_CHECKING:
    from exporter.latency.probe import Probe

logger = logging.getLogger(__name__)

_SECONDS_TO_END = 1.0
_LIBRARY_MISMATCH_STATUS = 75
"""EX_TEMPFAIL of sysexits.h: start me again, the driver was replaced under this process."""


def serve_exporter(settings: ExporterSettings) -> None:
    """Serve until SIGINT or SIGTERM; returns, or leaves the process when a driver call never came back.

    Raises:
        AddressTakenError: another process has the port.
        DocumentError: the scenario or the web-config file is wrong.
    """
    web = WebFiles(settings.web_config)
    listening = bind(settings.listen, "exporter")
    sampler = Sampler(settings.interval)
    observations = Observations()
    session = _add_sources(settings, sampler, observations)
    probe = _probe(settings, sampler, observations)
    maker = PageMaker(
        sampler.latest,
        observations,
        interval=settings.interval,
        version=__version__,
        dialects=settings.dialects,
    )
    sampler.landed = maker.landed
    alerts = AlertsClient(
        parse_url(settings.alerts_from) if settings.alerts_from else None,
        own=lambda: frozenset(gpu.uuid for gpu in maker.page().snapshot.gpus),
    )
    front = StatusPage(lambda: maker.page().snapshot, __version__, observed=observations.observed, alerts=alerts.known)
    app = application(maker.page, front)

    async def main(stop: asyncio.Event) -> None:
        logger.info("listening on %s", url_of(listening, web.scheme))
        if session is not None:
            session.start()
        if probe is not None:
            probe.start()
        work = maker.run(), alerts.run(), _stop_for_restart(session, stop)
        beside = [asyncio.create_task(item) for item in work]
        await serve(app, listening, stop, web=web)
        for task in beside:
            task.cancel()

    run_until_stopped(main)
    # First: a run under way ends its child, which may be waited for by nobody.
    if probe is not None:
        probe.stop(_SECONDS_TO_END)
    _leave(sampler, session)


def _probe(settings: ExporterSettings, sampler: Sampler, observations: Observations) -> "Probe | None":
    if settings.demo or not settings.probe.enabled:
        return None
    # Who probes nothing does not load what probes.
    from exporter.latency.probe import Probe  # noqa: PLC0415

    return Probe(settings.probe, sampler, observations, pathlib.Path(settings.host.root))


def _add_sources(settings: ExporterSettings, sampler: Sampler, observations: Observations) -> NvmlSession | None:
    if settings.demo:
        # Only a demo loads what plays it.
        from exporter.sources.demo import SHIPPED_SCENARIO, DemoReader  # noqa: PLC0415
        from exporter.sources.scenario import load_scenario  # noqa: PLC0415

        path = pathlib.Path(settings.scenario) if settings.scenario else SHIPPED_SCENARIO
        sampler.add(DemoReader(load_scenario(path), observations))
        return None
    root = pathlib.Path(settings.host.root)
    sampler.add(HostReader(root))
    return NvmlSession(
        sampler,
        holders=_holders(settings, root),
        known=KnownCards(settings.state_folder),
        expected=None if settings.expect_gpus == "auto" else settings.expect_gpus,
    )


def _holders(settings: ExporterSettings, root: pathlib.Path) -> Holders:
    names = _container_names(settings.container_engines) if settings.container_engines else None
    return Holders(ProcessTable(root, containers=names), Workloads(settings.workloads), settings.process_limit)


def _container_names(sockets: tuple[str, ...]) -> Lookups[str]:
    # Who allows no engine to be asked does not load what asks them.
    from exporter.processes.engines import ContainerNames  # noqa: PLC0415

    return Lookups("container names", ContainerNames(sockets).look_up)


async def _stop_for_restart(session: NvmlSession | None, stop: asyncio.Event) -> None:
    """End this process when the driver asks for a fresh one; the flag is set by a thread, so it is looked at."""
    if session is not None:
        while not session.needs_restart.is_set():  # noqa: ASYNC110 -- a thread sets it
            await asyncio.sleep(1)
        stop.set()


def _leave(sampler: Sampler, session: NvmlSession | None) -> None:
    """End the threads; one that hangs in the driver cannot be ended, so the process leaves without waiting for it."""
    driver_ended = session is None or session.stop(_SECONDS_TO_END)
    ended = sampler.stop(_SECONDS_TO_END) and driver_ended
    status = _LIBRARY_MISMATCH_STATUS if session is not None and session.needs_restart.is_set() else 0
    if not ended:
        logger.warning("a driver call never came back; leaving without it")
        logging.shutdown()
        os._exit(status)
    if status:
        sys.exit(status)
