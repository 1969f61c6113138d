"""Asking Alertmanager which alerts it holds, by its API (v2)."""

import asyncio
import json
import ssl
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any, cast

import httpx

from alerts.bounded_answer import body_of
from alerts.clean_text import one_line
from alerts.matcher_text import write_matcher
from alerts.reconcile import Look
from alerts.scrape_settings import ScrapeSettings
from alerts.webhook import BadPostError, PostedAlert, parse_time, read_alert
from gpuwarden.errors import GpuwardenError

DEADLINE_SECONDS = 10.0
"""For all requests of one look together."""
MOST_BYTES = 32 * 2**20
MOST_NAMES = 50
"""Alerts that are asked for each by its name; of more, all that there are is one answer, and quicker."""

_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


class AlertmanagerError(GpuwardenError, OSError):
    """Alertmanager cannot be asked, or its answer not be read; the message is one line."""


class AlertmanagerApi:
    """The Alertmanager at ``url``; ``access`` says how to get in, ``trust`` whom to trust where it was read already."""

    def __init__(self, url: str, access: ScrapeSettings, trust: ssl.SSLContext | bool | None = None) -> None:  # noqa: FBT001 -- as httpx takes it
        self._url = url.rstrip("/")
        self._access = access
        self._trust = trust

    async def look(self, alertnames: Collection[str]) -> Look:
        """What it holds of these alerts, perhaps among others.

        Raises:
            AlertmanagerError
        """
        try:
            async with asyncio.timeout(DEADLINE_SECONDS), self._access.client(self._trust) as client:
                status = await self._get(client, "status", None)
                asked = sorted(alertnames) if len(alertnames) <= MOST_NAMES else [None]
                found = [await self._get(client, "alerts", name) for name in asked]
                return await asyncio.to_thread(read_look, status, found, time.time())
        except TimeoutError as error:
            message = f"no complete answer within {DEADLINE_SECONDS:g} s"
            raise AlertmanagerError(message) from error
        except AlertmanagerError:
            raise
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, GpuwardenError) as error:
            raise AlertmanagerError(one_line(str(error), 200) or type(error).__name__) from error

    async def _get(self, client: httpx.AsyncClient, what: str, alertname: str | None) -> bytes:
        filters = {} if alertname is None else {"filter": write_matcher("alertname", "=", alertname)}
        async with client.stream("GET", f"{self._url}/api/v2/{what}", params=filters, headers=_HEADERS) as response:
            return await body_of(response, MOST_BYTES, AlertmanagerError)


def read_look(status: bytes, lists: Iterable[bytes], now: float) -> Look:
    """Read the answers to ``/api/v2/status`` and ``/api/v2/alerts``; without an uptime, it has just started.

    Raises:
        AlertmanagerError: they are something else.
    """
    up_since = parse_time(_object(_parsed(status)).get("uptime"))
    active: list[PostedAlert] = []
    quiet: list[PostedAlert] = []
    for body in lists:
        items = _parsed(body)
        if not isinstance(items, list):
            message = "answered with something that is not a list of alerts"
            raise AlertmanagerError(message)
        for item in cast("list[Any]", items):
            held = _object(item)
            is_active = _object(held.get("status")).get("state") == "active"
            (active if is_active else quiet).append(_alert(held))
    return Look(tuple(active), tuple(quiet), now if up_since is None else up_since)


def _alert(held: Mapping[str, Any]) -> PostedAlert:
    """An alert as it would be posted while it fires."""
    try:
        return read_alert({**held, "status": "firing", "endsAt": None}, "an alert")
    except BadPostError as error:
        raise AlertmanagerError(str(error)) from error


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        message = "answered with something that is not JSON"
        raise AlertmanagerError(message) from error


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        message = "answered with something that is not Alertmanager's"
        raise AlertmanagerError(message)
    return cast("Mapping[str, Any]", value)
