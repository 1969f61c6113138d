"""Alertmanager as the judge: the alerter decides nothing by itself, it answers posts.

1. One post at a time is held against the states, so two copies that arrive together are one piece of news.
2. ``receive`` returns once everything that follows is on the disk; Alertmanager may forget it then. What cannot be
   written raises and has not happened: Alertmanager tries again after a 503.
3. What ended within the last seconds is remembered in memory only. It keeps a late copy of a post from opening an
   incident anew, and tells of which graver alert a lesser one is left (``mute``); a restart in those seconds loses that
   and nothing else.
4. What comes and goes (``flapping``) is told when it has kept its state for a while. That is never posted, so
   Alertmanager is asked (``reconcile``), or else a clock of ours tells it.
5. What is not posted any more is asked about (``reconciler``), and what was learned is taken up like a post.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial

from alerts.decisions import Decisions
from alerts.judge import Change
from alerts.judge_post import LATE_SECONDS, Ended, judge_post
from alerts.notify.mute import Past, ended_lately, judged_elsewhere
from alerts.promql import WATCHDOG
from alerts.state import AlertKey
from alerts.store import StoreUnavailableError
from alerts.webhook import Post, parse_post
from gpuwarden.errors import GpuwardenError
from gpuwarden.units import format_timestamp

WATCHDOG_SECONDS = 300.0
"""Without a Watchdog for so long, the way from Prometheus is broken: it is posted every 60 to 90 s."""

MOST_ALERTS = 50_000
"""Alerts that are remembered as firing; a post that goes beyond is refused until some end."""

_INLINE_BYTES = 64 * 2**10
_TICK_SECONDS = 15.0
_log = logging.getLogger(__name__)


class TooManyAlertsError(GpuwardenError, OSError):
    """So many alerts fire that no more are taken now; nothing of the post was kept."""


class Posts:
    """Decides by what is posted."""

    def __init__(self, decisions: Decisions) -> None:
        self.posted_at: float | None = None
        """Unix seconds of the last post that was taken."""
        self.watchdog_at: float | None = None
        """Unix seconds of the last one that held the Watchdog as firing."""
        self._watchdog_heard = 0.0
        """The same by the clock that nobody sets."""
        self.trouble = ""
        """Why the last post was not taken, one line, empty while all is well."""
        self._decisions = decisions
        self._ended: dict[AlertKey, Ended] = {}
        self._told_lately: dict[AlertKey, Past] = {}
        self._turn = asyncio.Lock()

    async def receive(self, body: bytes) -> None:
        """Take one post; on return it is on the disk.

        Raises:
            BadPostError: it is none.
            StoreUnavailableError, TooManyAlertsError: not now, and nothing of it was kept.
        """
        post = parse_post(body) if len(body) <= _INLINE_BYTES else await asyncio.to_thread(parse_post, body)
        if post.truncated:
            _log.warning("Alertmanager left %d alerts out of a post (max_alerts of its webhook)", post.truncated)
        if post.cut:
            _log.warning("%d alerts of a post have too many or too long labels, which were cut", post.cut)
        async with self._turn:
            try:
                await self._take(post, time.time())
                if self.trouble:  # a post that changes nothing proves nothing about the disk
                    await self._decisions.probe()
            except (StoreUnavailableError, TooManyAlertsError) as error:
                self.refuse(str(error))
                raise
            except Exception as error:  # the sender is answered with 500 and tries again
                self.refuse(f"a fault of ours: {type(error).__name__}")
                raise
            self.trouble = ""

    async def run(self) -> None:
        """Decide again and again what time alone decides, until cancelled."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            try:
                await self.tick(time.time())
            except StoreUnavailableError as error:
                self.refuse(str(error))
            except Exception:  # noqa: BLE001 -- what nobody thought of must not end the loops of all
                _log.exception("a fault of ours: what came and went is told later")

    async def tick(self, now: float) -> None:
        """Tell of what came and went and has been as it is for long enough, where nobody can be asked about that.

        Raises:
            StoreUnavailableError: nothing was decided.
        """
        async with self._turn:
            await self._commit((), now)

    async def take_up(
        self, find: Callable[[], Sequence[Change]], confirmed: Callable[[], Collection[AlertKey]] = tuple[AlertKey]
    ) -> None:
        """Decide by what was learned otherwise than by a post; no post changes the states while both look at them.

        ``find`` gives the changes, ``confirmed`` what came and went and is known to be as it was.

        Raises:
            StoreUnavailableError: nothing was decided.
        """
        async with self._turn:
            await self._commit(find(), time.time(), confirmed())

    def refuse(self, trouble: str) -> None:
        """Note that nothing can be taken, and why."""
        if self.trouble != trouble:
            _log.error("a post was not taken: %s", trouble)
        self.trouble = trouble

    def unhealthy(self) -> str:
        """Why it does not do its work, empty while it does."""
        return f"the last post was not taken: {self.trouble}" if self.trouble else ""

    @property
    def undecided(self) -> str:
        """Why an alert would not be decided now, as far as anybody can know."""
        if self.trouble:
            return self.unhealthy()
        if self.watchdog_at is None:
            return "no Watchdog yet"
        silent = time.monotonic() - self._watchdog_heard
        return f"no Watchdog for {silent:.0f} s" if silent > WATCHDOG_SECONDS else ""

    @property
    def unready(self) -> str:
        """It can be asked at once."""
        return ""

    @property
    def remarks(self) -> list[str]:
        """When Alertmanager was last heard of."""
        return ["no post yet" if self.posted_at is None else f"last post {format_timestamp(self.posted_at)}"]

    async def _commit(
        self, changes: Sequence[Change], now: float, confirmed: Collection[AlertKey] | None = None
    ) -> None:
        known = () if confirmed is None and self._decisions.asks_alertmanager else confirmed
        decisions, told_lately = self._decisions, ended_lately(changes, self._told_lately, now)
        before, rules = decisions.states, decisions.rules
        ladder = partial(judged_elsewhere, lately=told_lately, states=before, rules=rules)
        await decisions.commit(changes, ladder=ladder, now=now, confirmed=known)
        self._told_lately = dict(list(told_lately.items())[-MOST_ALERTS:])

    async def _take(self, post: Post, now: float) -> None:
        decisions = self._decisions
        changes, over = judge_post(post, decisions.rules, decisions.states, self._ended, now)
        opened = sum(change.previous is None for change in changes)
        if len(decisions.states) + opened > MOST_ALERTS:
            message = f"more than {MOST_ALERTS} alerts would fire"
            raise TooManyAlertsError(message)
        await self._commit(changes, now)
        self.posted_at = now
        if any(alert.alertname == WATCHDOG and alert.status == "firing" for alert in post.alerts):
            self.watchdog_at, self._watchdog_heard = now, time.monotonic()
        lately = {key: end for key, end in (self._ended | over).items() if now - end.ended_at < LATE_SECONDS}
        self._ended = dict(list(lately.items())[-MOST_ALERTS:])
