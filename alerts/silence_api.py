"""The alerter's silences over HTTP, in the shape of Alertmanager's API (v2), so that its clients serve both.

``GET`` and ``POST /api/v2/silences``, ``GET`` and ``DELETE /api/v2/silence/ID``. An error is a JSON text, as there.

====  ============================================================================================
200   done, and on the disk
400   no silence that could be kept, or a filter that is none
403   a change from elsewhere than this machine, see ``silence_door``
404   no silence of this id, or silences are kept elsewhere: Alertmanager judges
413   larger than 64 KiB
415   not called JSON. Nobody's web page can make a browser post JSON to another site unasked
503   the disk takes nothing now
====  ============================================================================================
"""

import json
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alerts.expressions import ExpressionError, costs_little
from alerts.matcher_text import MatcherError, read_matcher
from alerts.matchers import Matcher
from alerts.notify.silence import Silence
from alerts.silence_document import BadSilenceError, document_of
from alerts.silence_door import refusal
from alerts.silence_rows import NoSuchSilenceError, TooManySilencesError
from alerts.silences import Silences
from alerts.store import StoreUnavailableError

LARGEST_BODY = 64 * 2**10
_MOST_FILTERS = 20
_METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH"]

Handler = Callable[[Request], Awaitable[Response]]


class _RefusedError(Exception):
    def __init__(self, status: HTTPStatus, words: str) -> None:
        super().__init__(words)
        self.status = status


def silence_routes(silences: Silences, asks: Callable[[], bool]) -> list[Route]:
    """The routes over the alerter's own silences; ``asks`` says whether the page asks clients for a key."""

    def check(request: Request) -> None:
        why = "" if asks() else refusal(request.client.host if request.client else "", request.headers.get("host", ""))
        if why:
            raise _RefusedError(HTTPStatus.FORBIDDEN, why)

    async def listed(request: Request) -> Response:
        now, filters = time.time(), _filters(request.query_params.getlist("filter"))
        found = [silence for silence in silences.all if _meets(silence, filters)]
        return JSONResponse([document_of(silence, now) for silence in found])

    async def one(request: Request) -> Response:
        silence = silences.get(request.path_params["identity"])
        if silence is None:
            raise NoSuchSilenceError(_none(request))
        return JSONResponse(document_of(silence, time.time()))

    async def posted(request: Request) -> Response:
        check(request)
        silence = await silences.add(await _document(request))
        return JSONResponse({"silenceID": silence.id})

    async def ended(request: Request) -> Response:
        check(request)
        await silences.end(request.path_params["identity"])
        return Response(status_code=HTTPStatus.OK)

    many, single = "/api/v2/silences", "/api/v2/silence/{identity}"
    return [
        Route(many, _answering(listed), methods=["GET"]),
        Route(many, _answering(posted), methods=["POST"]),
        Route(single, _answering(one), methods=["GET"]),
        Route(single, _answering(ended), methods=["DELETE"]),
    ]


def elsewhere_routes(place: Callable[[], str]) -> list[Route]:
    """The same paths where Alertmanager judges; ``place`` gives its URL without a login, or an empty text."""

    async def refused(_: Request) -> Response:
        where = place()
        words = f"Alertmanager judges, and keeps the silences: ask it{f' at {where}' if where else ''}"
        return JSONResponse(words, HTTPStatus.NOT_FOUND)

    return [Route(path, refused, methods=_METHODS) for path in ("/api/v2/silences", "/api/v2/silence/{identity}")]


def _answering(handler: Handler) -> Handler:
    """With every error as what it is called in HTTP."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except _RefusedError as error:
            return JSONResponse(str(error), error.status)
        except NoSuchSilenceError as error:
            return JSONResponse(str(error), HTTPStatus.NOT_FOUND)
        except (BadSilenceError, MatcherError, ExpressionError, TooManySilencesError) as error:
            return JSONResponse(str(error), HTTPStatus.BAD_REQUEST)
        except StoreUnavailableError as error:
            return JSONResponse(str(error), HTTPStatus.SERVICE_UNAVAILABLE)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)

    return answer


async def _document(request: Request) -> Any:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the content type is not application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            words = f"the body is larger than {LARGEST_BODY // 2**10} KiB"
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, words)
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "the body is not JSON") from error


def _filters(texts: Sequence[str]) -> list[Matcher]:
    if len(texts) > _MOST_FILTERS:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, f"more than {_MOST_FILTERS} filters")
    filters = [Matcher(*read_matcher(text)) for text in texts]
    if not all(costs_little(found.value) for found in filters if found.operator in {"=~", "!~"}):
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "an expression of a filter is too intricate")
    return filters


def _meets(silence: Silence, filters: Iterable[Matcher]) -> bool:
    """Whether the silence asks for labels as the filters do; a label that it does not ask for is empty."""
    asked = {matcher.label: matcher.value for matcher in silence.matchers if matcher.operator in {"=", "=~"}}
    return all(found.accepts(asked.get(found.label, "")) for found in filters)


def _none(request: Request) -> str:
    return f"there is no silence {request.path_params['identity'][:100]!r}"
