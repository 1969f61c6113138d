"""``POST /webhook``: who may post, how much, and what each outcome is called in HTTP.

Alertmanager tries again after a 5xx or a broken connection and drops the alerts after any 4xx. So 4xx is only for what
would be refused again tomorrow, and 200 only for what is on the disk.

The secret is a bearer token, and a request has one Authorization header. So where the web-config file asks for a
password and ``webhook.secret_file`` is set too, this path asks for the secret instead of the password: who may scrape
may not post. Without a secret, the password holds here as everywhere.

====  ===========================================================================================
200   it is on the disk
400   not a payload of version 4
401   the secret is missing or wrong
413   larger than 10 MiB
415   not called JSON. Nobody's web page can make a browser post JSON to another site unasked.
503   not now: the disk is full, too many alerts fire, the secret cannot be read, the body came too slowly
====  ===========================================================================================
"""

import asyncio
import hmac
import logging
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from alerts.posts import Posts, TooManyAlertsError
from alerts.server_settings import is_loopback
from alerts.settings import AlerterSettings
from alerts.store import StoreUnavailableError
from alerts.webhook import BadPostError
from gpuwarden.errors import GpuwardenError, UserInputError
from gpuwarden.listener import parse_address
from gpuwarden.web_offer import Web

WEBHOOK = "/webhook"
LARGEST_BODY = 10 * 2**20
_DRAINED_BYTES = 5 * LARGEST_BODY

_BODY_SECONDS = 10.0
_AT_ONCE = 4
"""Bodies in memory at a time."""

_log = logging.getLogger(__name__)


class RefusedError(GpuwardenError, PermissionError):
    """A request is not taken; ``status`` says what the sender is told."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class OpenWebhookError(UserInputError, ValueError):
    """Anyone on the network could post alerts."""


class SecretUnreadableError(GpuwardenError, OSError):
    """The webhook's secret cannot be read now."""


def webhook_route(posts: Posts, secret_file: Callable[[], str | None]) -> Route:
    """The route of the webhook; where ``secret_file`` names one, only for those who show it as a bearer token."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def webhook(request: Request) -> Response:
        try:
            _check(request, secret_file())
            async with turns:
                await posts.receive(await _body(request))
        except RefusedError as error:
            return _refusal(error.status, str(error))
        except BadPostError as error:
            return _refusal(HTTPStatus.BAD_REQUEST, str(error))
        except SecretUnreadableError as error:
            posts.refuse(str(error))
            return _not_now(str(error))
        except (StoreUnavailableError, TooManyAlertsError) as error:
            return _not_now(str(error))
        except (TimeoutError, ClientDisconnect):
            _log.warning("a post was not taken: its body did not come within %g s", _BODY_SECONDS)
            return _not_now("the body did not come in time")
        return PlainTextResponse("ok\n")

    return Route(WEBHOOK, webhook, methods=["POST"])


def refuse_open_webhook(settings: AlerterSettings, web: Web) -> None:
    """Raise OpenWebhookError where neither the secret nor the web-config file asks those who post for anything."""
    asks = settings.webhook.secret_file or web.auth or web.client_certificates
    if settings.judges_itself or asks or is_loopback(parse_address(settings.listen)[0]):
        return
    message = (
        f"alerter.webhook.secret_file: anyone who reaches {settings.listen} could post alerts, since no secret is "
        f"asked for, and {settings.web_config} asks for neither a password nor a client's certificate"
    )
    raise OpenWebhookError(message)


def _check(request: Request, secret_file: str | None) -> None:
    if secret_file is not None:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        given = shown.strip().encode("latin-1")  # the bytes as they came
        right = hmac.compare_digest(given, _read_secret(secret_file))
        if scheme.lower() != "bearer" or not right:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "the secret is missing or wrong")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the content type is not application/json")


def _read_secret(secret_file: str) -> bytes:
    """Read at each use, so that a changed secret needs no restart."""
    try:
        secret = Path(secret_file).read_bytes().strip()
    except OSError as error:
        message = f"webhook.secret_file {secret_file} cannot be read: {error.strerror or error}"
        raise SecretUnreadableError(message) from error
    if not secret:
        message = f"webhook.secret_file {secret_file} is empty"
        raise SecretUnreadableError(message)
    return secret


async def _body(request: Request) -> bytes:
    """Read the body; what is too large is read on for a while, since a sender that still writes may miss the answer."""
    body, length = bytearray(), 0
    async with asyncio.timeout(_BODY_SECONDS):
        async for chunk in request.stream():
            length += len(chunk)
            if length <= LARGEST_BODY:
                body += chunk
            elif length > _DRAINED_BYTES:
                break
    if length > LARGEST_BODY:
        message = f"the body is larger than {LARGEST_BODY // 2**20} MiB; lower max_alerts of the webhook"
        raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
    return bytes(body)


def _refusal(status: HTTPStatus, message: str) -> Response:
    _log.error("a post was refused for good with %d: %s", status, message, extra={"kind": int(status)})
    headers = {"www-authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    return PlainTextResponse(f"{message}\n", status_code=status, headers=headers)


def _not_now(message: str) -> Response:
    return PlainTextResponse(f"{message}\n", status_code=HTTPStatus.SERVICE_UNAVAILABLE)
