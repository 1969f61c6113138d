"""The alerter's HTTP side: its health for Prometheus, orchestrators, the supervisor and people, and the webhook.

/metrics, /-/healthy, /-/ready, a one-line /status and the list of alerts at /api/v1/alerts are always there; /webhook
only where Alertmanager judges, the silences (/api/v2/silences) only where it does not.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from alerts.clean_text import one_line
from alerts.deliveries import DeliveryState
from alerts.health import Health, families, firing
from alerts.intake import webhook_route
from alerts.listing import listing_route
from alerts.posts import Posts
from alerts.scrape import without_userinfo
from alerts.service import Service
from alerts.silence_api import elsewhere_routes, silence_routes
from alerts.state_figures import state_figures
from alerts.store import StoreUnavailableError
from gpuwarden import __version__

_LONGEST_NAME = 200


class _Families:
    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Any:
        return families(self._health)


def application(service: Service, asks: Callable[[], bool] = lambda: False) -> Starlette:
    """The ASGI application over a running service; ``asks`` says whether clients must show who they are."""

    async def metrics(_: Request) -> Response:
        registry: Any = _Families(await _health(service))
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})

    async def healthy(_: Request) -> Response:
        trouble = service.unhealthy()
        return PlainTextResponse(f"{trouble or 'gpuwarden alerter is healthy'}\n", status_code=503 if trouble else 200)

    async def ready(_: Request) -> Response:
        unready = service.decider.unready
        return PlainTextResponse(f"{unready or 'ready'}\n", status_code=503 if unready else 200)

    async def status(_: Request) -> Response:
        return PlainTextResponse(f"{status_line(service, await _counts(service))}\n")

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/-/healthy", healthy),
            Route("/-/ready", ready),
            Route("/status", status),
            listing_route(service),
            *_silences(service, asks),
            *_webhook(service),
        ]
    )


def _silences(service: Service, asks: Callable[[], bool]) -> list[Route]:
    if service.decisions.silences is not None:
        return silence_routes(service.decisions.silences, asks)

    def place() -> str:
        url = service.settings.alertmanager.url
        return without_userinfo(url) if url else ""

    return elsewhere_routes(place)


def _webhook(service: Service) -> list[Route]:
    if isinstance(service.decider, Posts):
        return [webhook_route(service.decider, lambda: service.settings.webhook.secret_file)]
    return []


def status_line(service: Service, counts: Mapping[DeliveryState, int]) -> str:
    """What fires, is silenced, waits and was given up, in words; ``counts`` are the deliveries by state."""
    waiting, dead = counts.get("queued", 0) + counts.get("sending", 0), counts.get("dead", 0)
    trouble = service.unhealthy()
    quiet = service.decisions.silences.active(time.time()) if service.decisions.silences else 0
    names = sorted({one_line(key.alertname, _LONGEST_NAME) for key in firing(service.decisions.states)})
    parts = [
        *([trouble] if trouble else []),
        f"firing: {', '.join(names)}" if names else "nothing fires",
        *([f"silences: {quiet}"] if quiet else []),
        *service.decider.remarks,
        *service.composer.remarks,
        *([service.heartbeat.remark] if service.heartbeat.remark else []),
        *(["the last reload was refused, see the log"] if service.in_force.refused else []),
        *([f"{waiting} mails wait"] if waiting else []),
        *([f"{dead} mails are given up"] if dead else []),
    ]
    return "; ".join(parts)


async def _counts(service: Service) -> Mapping[DeliveryState, int]:
    try:
        return await service.store.call(service.store.counts)
    except StoreUnavailableError:
        return {}


def _composed(service: Service) -> dict[str, int]:
    reports = {"report": service.reporter.made} if service.reporter and service.reporter.made else {}
    return {**{str(kind): number for kind, number in service.composer.composed.items()}, **reports}


async def _health(service: Service) -> Health:
    store = service.store
    try:
        figures = await store.call(store.read, state_figures, time.time())
    except StoreUnavailableError:
        figures = None
    return Health(
        version=__version__,
        states=service.decisions.states,
        decider=service.decider,
        decided=service.decisions.counted,
        suppressed={str(reason): number for reason, number in service.decisions.suppressed.items()},
        held=service.decisions.held,
        composed=_composed(service),
        figures=figures,
        unreadable=len(store.unreadable),
        attempts=service.outbox.attempts,
        heartbeats={str(outcome): number for outcome, number in service.heartbeat.outcomes.items()},
        last_heartbeat_at=service.heartbeat.called_at,
        reloaded_at=service.in_force.taken_at,
        reload_refused=bool(service.in_force.refused),
    )
