"""What is in force and what is remembered, and the one way in which a decision becomes durable.

Whoever decides (``rounds`` when the alerter judges, ``posts`` when Alertmanager does) hands its changes to ``commit``:
states and notifications are written together, and only then are they remembered here. A decision that cannot be written
did not happen: the next round, or the next try of the sender, decides it again with the same outcome.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Sequence

from alerts.clean_text import one_line
from alerts.in_force import InForce, Terms
from alerts.judge import Change
from alerts.notify.due import notifications, random_id
from alerts.notify.flap import Flap
from alerts.notify.flapping import Flapping
from alerts.notify.mute import SUPPRESSED, Suppressed, Verdict, judged_here
from alerts.notify.notification import Notification
from alerts.notify.policy import Known, Ladder
from alerts.notify.quiet import QUIET, held
from alerts.rule import Rule
from alerts.series import Scrape
from alerts.silences import Silences
from alerts.state import AlertKey, State
from alerts.store import Store
from gpuwarden.units import format_timestamp

_log = logging.getLogger(__name__)

_LONGEST_WORD = 200
_LABELS_LOGGED = 20


class Decisions:
    """The judged state of all alerts; ``silences`` are our own, None where Alertmanager judges and has them."""

    def __init__(self, store: Store, in_force: InForce, silences: Silences | None = None) -> None:
        self.silences = silences
        self.states: dict[AlertKey, State] = store.load_states()
        self.flaps: dict[AlertKey, Flap] = store.load_flaps()
        self.told = asyncio.Event()
        """Set whenever there is something new to compose."""
        self.counted: Counter[str] = Counter()
        """Notifications by reason since the start."""
        self.suppressed: Counter[Suppressed] = Counter()
        """What fired or ended and is told nobody, by reason since the start."""
        self.held: Counter[str] = Counter()
        """Notifications that are told later than they were decided, by reason since the start."""
        self._store = store
        self._in_force = in_force

    @property
    def asks_alertmanager(self) -> bool:
        """Whether Alertmanager is asked about what it does not post."""
        return self._in_force.settings.alertmanager.url is not None

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""
        return self._in_force.rules

    async def commit(
        self,
        changes: Sequence[Change],
        scrapes: Sequence[Scrape] = (),
        ladder: Ladder = judged_here,
        *,
        now: float,
        confirmed: Collection[AlertKey] | None = None,
        terms: Terms | None = None,
    ) -> None:
        """Write down what was decided at ``now`` (Unix seconds).

        ``scrapes`` are what it was decided on; ``ladder`` says what each change tells where ``policy`` begins. Of what
        came and went, ``confirmed`` is known to be as it was; None where nobody can be asked. ``terms`` are those that
        it was decided by, where others may be in force by now.

        Raises:
            StoreUnavailableError: nothing was decided.
        """
        terms = terms or self._in_force.terms
        settings, known = terms.settings, self._known(terms, scrapes, now, confirmed)
        policy = settings.policy
        changes, verdicts = policy.decide(changes, ladder, known)
        told, changes = notifications(
            changes,
            scrapes,
            known.recipients,
            random_id,
            simulated=settings.all_simulated,
            verdicts=verdicts,
        )
        told = [held(notification, settings.notify.quiet_hours.hours) for notification in told]
        written = {change.key: change.state for change in changes if change.state != change.previous}
        flaps = policy.noted(changes, verdicts, known)
        if written or told or flaps:
            await self._store.call(self._store.commit_round, written, told, flaps)
        self.flaps = {key: flap for key, flap in (self.flaps | flaps).items() if flap} if flaps else self.flaps
        for change, verdict in zip(changes, verdicts, strict=True):
            self._keep(change, verdict)
        if told:
            self.counted.update(notification.reason for notification in told)
            self._note_held(told)
            self.told.set()

    def calming(self, now: float) -> set[AlertKey]:
        """The alerts that came and went and have been as they are for long enough, as far as is known here."""
        return set(Flapping(self._in_force.settings.notify.flapping, self.flaps, now).due)

    def _known(
        self, terms: Terms, scrapes: Sequence[Scrape], now: float, confirmed: Collection[AlertKey] | None
    ) -> Known:
        return Known(
            states=self.states,
            flaps=self.flaps,
            silences=self.silences.all if self.silences else (),
            rules=terms.rules,
            scrapes=scrapes,
            recipients=terms.settings.recipients,
            confirmed=confirmed,
            now=now,
        )

    async def probe(self) -> None:
        """Find out whether a decision could be written now; raises StoreUnavailableError where it could not."""
        await self._store.call(self._store.probe)

    def _note_held(self, told: Sequence[Notification]) -> None:
        for notification in told:
            if notification.held_until:
                self.held[QUIET] += 1
                until = format_timestamp(notification.held_until)
                name = one_line(notification.alertname, _LONGEST_WORD)
                _log.info("%s %s is held (%s) until %s", name, notification.reason, QUIET, until)

    def _keep(self, change: Change, verdict: Verdict) -> None:
        if change.state is None:
            self.states.pop(change.key, None)
        else:
            self.states[change.key] = change.state
        ended_silently = change.state is None and change.previous is not None and change.transition is None
        if verdict.suppressed:
            self.suppressed[verdict.suppressed] += 1
        if change.transition or verdict.tells or (ended_silently and _was_firing(change)):
            _log_change(change, verdict)


def _was_firing(change: Change) -> bool:
    return change.previous is not None and change.previous.phase == "firing"


def _log_change(change: Change, verdict: Verdict) -> None:
    labels = ", ".join(
        f"{one_line(name, _LONGEST_WORD)}={one_line(value, _LONGEST_WORD)!r}"
        for name, value in change.key.labels[:_LABELS_LOGGED]
    )
    name, word = one_line(change.key.alertname, _LONGEST_WORD), change.transition or verdict.tells or "dropped"
    told = f"; {verdict.suppressed}: {SUPPRESSED[verdict.suppressed]}" if verdict.suppressed else ""
    if change.transition and verdict.tells == "flapping":
        told = "; told as flapping"
    _log.info("%s %s (%s): %s, value %s%s", name, word, change.reason, labels, change.value, told)
