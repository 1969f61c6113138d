"""The heartbeat: a URL is called while the alerter does its work, so that somebody else notices when it does not.

A dead man's switch (healthchecks.io, Uptime Kuma, another box) sends its own mail when the calls stop. So a call must
mean that an alert would reach somebody. It is withheld for each of these reasons; the word stands in log and metric:

===================  ==================================================================================
not_deciding         no round succeeds; where Alertmanager judges, a post failed or no Watchdog came for 5 min
not_composing        the state takes no mails, or of a notification no mail could be made
mail_stuck           a mail has been waiting for longer than ``withhold_after``
mail_misconfigured   the last attempt failed by our own settings (login, certificate, sender), so all mails wait
state_unavailable    the state cannot be read
===================  ==================================================================================

A dead letter withholds nothing: one wrong address is not the alerter's death. A call has a deadline and follows no
redirect. Its URL is mostly a secret, so neither log nor page shows it, and no words of a library that might.
"""

import asyncio
import logging
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, get_args

import httpx

from alerts.heartbeat_settings import HeartbeatSettings, UrlUnreadableError
from alerts.in_force import InForce
from gpuwarden import __version__
from gpuwarden.units import format_value

_log = logging.getLogger(__name__)

DEADLINE_SECONDS = 10.0

_SECONDS_UNTIL_LOOKED_AGAIN = 2.0
_SUCCESSES = range(200, 300)
_REDIRECTS = range(300, 400)

Withheld = Literal["not_deciding", "not_composing", "mail_stuck", "mail_misconfigured", "state_unavailable"]
Outcome = Literal["called", "refused", "timeout", "unreachable", "unreadable"] | Withheld


class Reason(NamedTuple):
    """How a beat ended: a word, and more for a person."""

    outcome: Outcome
    words: str


def withheld(
    *, undecided: str, uncomposed: str, misconfigured: bool, oldest_waiting_at: float | None, now: float, longest: float
) -> Reason | None:
    """Why not to call, None where an alert would reach somebody; times in Unix seconds, ``longest`` in seconds."""
    if undecided:
        return Reason("not_deciding", undecided)
    if uncomposed:
        return Reason("not_composing", uncomposed)
    if misconfigured:
        return Reason("mail_misconfigured", "no mail can be sent with these settings")
    if oldest_waiting_at is not None and now - oldest_waiting_at > longest:
        return Reason("mail_stuck", f"a mail has been waiting for {format_value(now - oldest_waiting_at, 'seconds')}")
    return None


class Heartbeat:
    """Calls as the settings in force say; ``why_not`` is asked before each call."""

    def __init__(self, in_force: InForce, why_not: Callable[[], Awaitable[Reason | None]]) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.called_at: float | None = None
        """Unix seconds of the last call that was answered with success."""
        self._in_force = in_force
        self._why_not = why_not
        self._last: Outcome | None = None

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            settings = self._in_force.settings.heartbeat_in_force
            if settings.is_wanted:
                reason = await self._why_not() or await call(settings)
                self._note(reason)
                kept_back = reason.outcome in get_args(Withheld)
                longest = _SECONDS_UNTIL_LOOKED_AGAIN if kept_back else settings.interval
                await self._in_force.sleep(min(settings.interval, longest))
            else:
                self._last = None
                await self._in_force.sleep(settings.interval)

    @property
    def remark(self) -> str:
        """What people should know, empty while there is nothing to say."""
        return "" if self._last in {None, "called"} else f"the heartbeat fails ({self._last})"

    def _note(self, reason: Reason) -> None:
        self.outcomes[reason.outcome] += 1
        if reason.outcome == "called":
            self.called_at = time.time()
        if reason.outcome == self._last:
            return
        starting, self._last = self._last is None, reason.outcome
        if reason.outcome == "called":
            _log.info("the heartbeat goes out")
        else:
            level = logging.INFO if starting and reason.outcome == "not_deciding" else logging.WARNING
            _log.log(level, "no heartbeat (%s): %s", reason.outcome, reason.words)


async def call(settings: HeartbeatSettings) -> Reason:
    """Call once; whatever goes wrong is a reason."""
    try:
        url = settings.read_url()
        async with asyncio.timeout(DEADLINE_SECONDS):
            status = await _status(settings.method, url)
    except UrlUnreadableError as error:
        return Reason("unreadable", str(error))
    except TimeoutError:
        return Reason("timeout", f"no answer within {DEADLINE_SECONDS:g} s")
    except Exception as error:  # noqa: BLE001 -- neither what is called nor a library's fault may end the beats
        return Reason("unreachable", _harmless(error))
    if status in _SUCCESSES:
        return Reason("called", "")
    redirect = ", and redirects are not followed" if status in _REDIRECTS else ""
    return Reason("refused", f"answered {status}{redirect}")


async def _status(method: str, url: str) -> int:
    """The environment's proxy is used: the service is mostly outside."""
    agent = {"User-Agent": f"gpuwarden-alerter/{__version__}"}
    async with (
        httpx.AsyncClient(timeout=None, follow_redirects=False, headers=agent) as client,  # noqa: S113 -- the call has a deadline
        client.stream(method, url) as response,  # the body is not read: it may be endless
    ):
        return response.status_code


def _harmless(error: BaseException) -> str:
    """The system's words about it, or only its name: a library's own words may hold the URL."""
    name, cause = type(error).__name__, error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return name
