"""The alerter's HTTP side: /metrics, /-/healthy, /-/ready and a one-line /status for the supervisor and people."""

import time
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from alerts.health import Health, families, firing
from alerts.service import Service
from alerts.store import StoreUnavailableError
from gpuwarden import __version__


class _Families:
    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Any:
        return families(self._health)


def application(service: Service) -> Starlette:
    """The ASGI application over a running service."""

    async def metrics(_: Request) -> Response:
        registry: Any = _Families(await _health(service))
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})

    async def healthy(_: Request) -> Response:
        trouble = service.unhealthy(time.time())
        return PlainTextResponse(f"{trouble or 'gpuwarden alerter is healthy'}\n", status_code=503 if trouble else 200)

    async def ready(_: Request) -> Response:
        judged = service.rounds.ended_at is not None
        return PlainTextResponse("ready\n" if judged else "no round yet\n", status_code=200 if judged else 503)

    async def status(_: Request) -> Response:
        return PlainTextResponse(f"{status_line(service, await _waiting(service))}\n")

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/-/healthy", healthy),
            Route("/-/ready", ready),
            Route("/status", status),
        ]
    )


def status_line(service: Service, waiting: int) -> str:
    """What fires and what waits, in words."""
    trouble = service.unhealthy(time.time())
    names = sorted({key.alertname for key in firing(service.rounds.states)})
    unread = [visit.target for visit in service.rounds.scrapes if visit.error]
    parts = [
        *([trouble] if trouble else []),
        f"firing: {', '.join(names)}" if names else "nothing fires",
        *([f"cannot read {', '.join(unread)}"] if unread else []),
        *([f"{waiting} mails wait"] if waiting else []),
    ]
    return "; ".join(parts)


async def _waiting(service: Service) -> int:
    try:
        counts = await service.store.call(service.store.counts)
    except StoreUnavailableError:
        return 0
    return sum(number for state, number in counts.items() if state in {"queued", "sending"})


async def _health(service: Service) -> Health:
    store, rounds = service.store, service.rounds
    try:
        outbox, oldest = await store.call(store.counts), await store.call(store.oldest_waiting)
    except StoreUnavailableError:
        outbox, oldest = {}, None
    return Health(
        version=__version__,
        states=rounds.states,
        scrapes=rounds.scrapes,
        last_round_at=rounds.ended_at,
        round_duration=rounds.duration,
        decided=service.decided,
        outbox={str(state): number for state, number in outbox.items()},
        oldest_waiting_at=oldest,
        attempts={str(outcome): number for outcome, number in service.outbox.outcomes.items()},
    )
