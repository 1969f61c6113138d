"""What the alerter goes by now: its settings and rules, read together and replaced together.

1. ``terms`` is one frozen object; a reload puts another in its place in one step of the event loop. Who reads it once
   at the beginning of a round, a post or a mail goes by one of them to the end.
2. Whoever needs a setting reads it here when it is used and keeps no copy. So a setting that is new takes part in
   reloads without a line for it anywhere; what is costly to make from settings is ``Following`` them.
3. What cannot change while the process runs stands in ``NEEDS_RESTART``, and nowhere else.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

from alerts.rule import Rule
from alerts.rules import SHIPPED, load_rules
from alerts.settings import AlerterSettings
from gpuwarden.errors import UserInputError

K = TypeVar("K")
T = TypeVar("T")

NEEDS_RESTART = ("demo", "judge", "listen", "state", "web_config")
"""Keys under ``alerter``: sockets, files and loops that are open hang on them."""


class NotWhileRunningError(UserInputError, ValueError):
    """The new settings do not go together with what cannot change before a restart."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Settings and everything that was read because of them; ``trust`` is for visits to targets."""

    settings: AlerterSettings
    rules: tuple[Rule, ...] = ()
    trust: ssl.SSLContext | bool = True

    @classmethod
    def read(cls, settings: AlerterSettings) -> Self:
        """Read the files that the settings name.

        Raises:
            DocumentError, ScrapeFileError: one of them is wrong.
        """
        return cls(settings, load_rules(SHIPPED, settings.rule_files), settings.scrape.trust())


class InForce:
    """Holds the terms in force."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.taken_at = time.time()
        """Unix seconds of the last reload that succeeded, or of the start."""
        self.refused = ""
        """Why the last reload was refused, empty when it was not."""
        self._replaced = asyncio.Event()

    @property
    def settings(self) -> AlerterSettings:
        """The settings in force."""
        return self.terms.settings

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""
        return self.terms.rules

    def take(self, terms: Terms) -> None:
        """Put ``terms`` in force. To be called on the event loop."""
        self.terms, self.taken_at, self.refused = terms, time.time(), ""
        waited_for, self._replaced = self._replaced, asyncio.Event()
        waited_for.set()

    def refuse(self, why: str) -> None:
        """Leave everything as it is."""
        self.refused = why

    async def sleep(self, seconds: float) -> None:
        """Sleep, but not beyond the moment when other terms are put in force."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._replaced.wait()


class Following(Generic[K, T]):
    """Something that is made of a part of the settings, and made anew when that part has become another."""

    def __init__(self, part: Callable[[], K], make: Callable[[K], T]) -> None:
        self._part = part
        self._make = make
        self._made_of = part()
        self._made = make(self._made_of)

    @property
    def now(self) -> T:
        """What belongs to the settings in force."""
        part = self._part()
        if part != self._made_of:
            self._made_of, self._made = part, self._make(part)
        return self._made


def while_running(before: AlerterSettings, after: AlerterSettings) -> tuple[AlerterSettings, tuple[str, ...]]:
    """``after`` without what needs a restart, and the keys of that.

    Raises:
        NotWhileRunningError: what remains does not go together.
    """
    kept = {key: getattr(before, key) for key in NEEDS_RESTART if getattr(before, key) != getattr(after, key)}
    settings = replace(after, **kept)
    for key, message, _ in settings.problems() if kept else ():
        text = f"alerter.{key}: {message}, and {_listed(kept)} cannot change without a restart"
        raise NotWhileRunningError(text)
    return settings, tuple(kept)


def _listed(keys: dict[str, object]) -> str:
    return ", ".join(f"alerter.{key}" for key in keys)
