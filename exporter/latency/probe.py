"""The probe: runs models of known size on the cards, seldom and briefly, and publishes how fast they answered.

1. One thread of its own keeps the schedule and runs one target after the other, never two at once on the machine. The
   runs themselves are children (torch_child.py); nothing here loads torch, and no page waits for a run.
2. Before each run the Python is looked at, the card is read at once, and admission.py decides. What speaks against the
   run is counted and published by its reason (skips.py). What passes by itself (somebody works on the card, no time is
   left) puts a run off until it has passed.
3. A Python without torch, or with one that does not fit the driver, is no failure of a model: the source ``probe`` is
   then down and says why, once. It is looked at again whenever a run is due, so torch may be installed meanwhile.
4. At the end the child is told to stop and nothing is waited for: the kernel ends it with this process.
"""

import logging
import os
import random
import threading
import time
from dataclasses import replace
from pathlib import Path

from exporter.latency import reasons
from exporter.latency.admission import Limits, Skip, admit, admit_on_processor
from exporter.latency.book import Book
from exporter.latency.during import During
from exporter.latency.figures import LastRun, number, observe
from exporter.latency.interpreter import missing, program
from exporter.latency.ledger import Ledger
from exporter.latency.main_memory import Left, left_by_cgroups, within
from exporter.latency.meanwhile import Meanwhile, WithdrawnError, card_called, host_of
from exporter.latency.needs import needs
from exporter.latency.observations import Observations
from exporter.latency.power import POWER_SUPPLIES, on_battery
from exporter.latency.schedule import Schedule, Turn
from exporter.latency.settings import ProbeSettings
from exporter.latency.skips import Skips
from exporter.latency.targets import Target, spec, targets, threads
from exporter.latency.torch_child import Asked, Done, run
from exporter.latency.watch import Watch
from exporter.sampler import Sampler
from exporter.snapshot import Host
from gpuwarden.units import format_duration

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
"""How often it is looked which cards are there."""
_FRESH_SECONDS = 2.0
"""How long a card may take to be read before a run."""
_AFTER_QUIET_SECONDS = 1.0
_JITTER, _MOST_JITTER_SECONDS = 0.05, 30.0


class Probe:
    """``start`` and ``stop`` are the main program's; the host is below ``root``."""

    def __init__(
        self, settings: ProbeSettings, sampler: Sampler, observations: Observations, root: Path = Path("/")
    ) -> None:
        self._settings = settings
        self._sampler = sampler
        self._observations = observations
        self._limits = Limits(settings.quiet, settings.busy)
        self._supplies = root / POWER_SUPPLIES
        self._python = program(settings.python)
        self._cpus = os.cpu_count() or 1
        self._watch = Watch(sampler.latest, self._limits, sampler.interval)
        self._book = Book("own" if settings.python is None else "configured", lambda: self._watch.answering)
        self._ledger = Ledger(settings.share)
        jitter = min(_JITTER * settings.interval, _MOST_JITTER_SECONDS)
        self._settled_at = time.monotonic() + settings.quiet + 2 * sampler.interval
        self._schedule: Schedule[Target] = Schedule(
            self._settled_at + _AFTER_QUIET_SECONDS,
            settings.interval,
            lambda: random.uniform(0, jitter),  # noqa: S311 -- no secret
        )
        self._troubles: dict[Target | None, str] = {}
        self._skips: Skips[Target] = Skips()
        self._outcomes: dict[Target, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)

    def start(self) -> None:
        """Begin; the first run comes when the cards have been watched for long enough."""
        for model in self._settings.models:
            self._observations.known(model, "probe")
        self._observations.tell_also(self._book.told)
        self._sampler.add(self._watch)
        names, every = ", ".join(self._settings.models), format_duration(self._settings.interval)
        logger.info("%s are run every %s, first after %s", names, every, format_duration(self._settings.quiet))
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """End the run under way; False when its child is not gone after ``timeout`` seconds."""
        self._stopping.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self._look_at_python()
        said = ""
        while not self._stopping.is_set():
            pause = _LOOK_SECONDS
            try:
                pause = self._step()
            except Exception as error:  # one mistake must not end the probe for good, nor fill the log
                if repr(error) != said:
                    logger.exception("probe: a mistake of its own")
                said = repr(error)
            self._stopping.wait(pause)

    def _step(self) -> float:
        """Try the target that is due; after how many seconds to look again."""
        self._look_around()
        now = time.monotonic()
        due = self._schedule.take(now)
        if due is None:
            return min(_LOOK_SECONDS, self._schedule.seconds_left(now))
        self._attempt(due)
        return 0.0

    def _look_around(self) -> None:
        """Which cards are there, and what of their time was used."""
        snapshot, now = self._sampler.latest(), time.monotonic()
        settled = now >= self._settled_at
        found = targets(self._settings, snapshot, settled=settled)
        self._schedule.follow(found, now)
        used = {uuid: self._ledger.ratio(uuid, now) for uuid in {target.uuid for target in found}}
        self._book.keep(found, used)
        self._skips.keep(found)
        self._outcomes = {target: outcome for target, outcome in self._outcomes.items() if target in found}
        self._troubles = {key: words for key, words in self._troubles.items() if key is None or key in found}
        self._watch.trouble = next(iter(self._troubles.values()), "")
        self._watch.note = "" if found or not settled else "there is no card to probe: see exporter.probe.gpus"

    def _attempt(self, turn: Turn[Target]) -> None:
        target = turn.target
        reason, lost = self._skips.begin(turn)
        self._book.skip(target, reason, lost)
        trouble = "" if turn.again else self._look_at_python()
        skip = Skip(trouble) if trouble else self._admission(target)
        if skip is None:
            self._skips.ran(target)
            skip = self._measure(target)
        if skip is None:
            return
        self._skip(target, skip)
        if skip.reason in reasons.PASSES:
            again = time.monotonic() + min(reasons.PASSES[skip.reason], self._settings.interval)
            self._schedule.put_off(target, max(again, self._ledger.next_start(target.uuid)))

    def _look_at_python(self) -> str:
        reason = missing(self._python, self._stopping)
        self._trouble(None, reason)
        return reason

    def _trouble(self, about: Target | None, reason: str, detail: str = "") -> None:
        """What is wrong with the Python, as a whole or for one card; nothing, if ``reason`` is empty."""
        words = reasons.WORDS.get(reason, "")
        if not words:
            self._troubles.pop(about, None)
        else:
            self._troubles[about] = f"{reason}: {words}{f' ({detail})' if detail else ''}"
        self._watch.trouble = next(iter(self._troubles.values()), "")

    def _skip(self, target: Target, skip: Skip) -> None:
        if not self._skips.counts(target, skip.reason):
            return
        self._book.skip(target, skip.reason)
        if self._skips.is_news(target, skip.reason) and skip.reason not in reasons.OF_THE_INTERPRETER:
            detail = f", {skip.detail}" if skip.detail else ""
            words = reasons.WORDS.get(skip.reason, "")
            logger.info("%s on %s is skipped: %s (%s%s)", target.model, target.place, skip.reason, words, detail)

    def _admission(self, target: Target) -> Skip | None:
        if on_battery(self._supplies):
            return Skip(reasons.BATTERY)
        left = self._ledger.allows(target.uuid, target.model, time.monotonic())
        if not target.on_card:
            needed = needs(spec(target, self._cpus))
            host = self._sampler.read_now(host_of, _FRESH_SECONDS)
            host = host and _within_our_limits(host)
            return admit_on_processor(host, self._watch.host_lately(), needed, self._limits, share_left=left)
        gpu = self._sampler.read_now(card_called(target.uuid), _FRESH_SECONDS)
        if gpu is None:
            return Skip(reasons.NO_READING)
        needed = needs(spec(target, self._cpus), gpu.memory_total_bytes or 0.0)
        host = self._sampler.latest().host
        main = _within_our_limits(host).memory_available_bytes if host else None
        lately = self._watch.lately(gpu)
        return admit(gpu, lately, needed, self._limits, share_left=left, main_memory=main)

    def _measure(self, target: Target) -> Skip | None:
        """Run it; why it was not to go on, if somebody came while it began."""
        own_cpu = threads(target, self._cpus) / self._cpus
        began, during = time.monotonic(), self._watch.begin(target, own_cpu)
        self._book.running(target, now=True)
        meanwhile, withdrawn = Meanwhile(self._sampler, self._watch, target, during, self._limits), None
        asked = Asked(spec(target, self._cpus), self._python, self._settings.timeout, uuid=target.uuid, background=True)
        try:
            done = run(asked, at_barrier=meanwhile.at_barrier, on_phase=meanwhile.on_phase, stop=self._stopping)
        except WithdrawnError as error:  # the child has been ended
            withdrawn, done = error.skip, Done("stopped")
        except Exception as error:  # a mistake of ours; so here
            logger.exception("probe: %s on %s", target.model, target.place)
            done = Done("error", type(error).__name__, str(error))
        seen = self._watch.end()
        self._book.running(target, now=False)
        used = 0.0 if withdrawn else device_seconds(done, time.monotonic() - began)
        self._ledger.spend(target.uuid, target.model, began, used * (1.0 if target.on_card else own_cpu))
        self._write_down(target, done, seen, meanwhile.phase)
        return withdrawn

    def _write_down(self, target: Target, done: Done, seen: During, phase: str) -> None:
        if done.outcome == "stopped":
            return
        if done.reason == reasons.NOT_BEGUN or (done.outcome == "refused" and done.reason in reasons.WORDS):
            interpreter = done.reason in reasons.OF_THE_INTERPRETER
            self._trouble(target, done.reason if interpreter else "", done.detail)
            self._skip(target, Skip(done.reason, done.detail))
            return
        self._trouble(target, "")
        last = LastRun(
            outcome=done.outcome,
            seconds=done.seconds,
            figures=done.figures,
            started=done.started,
            contended=seen.contended,
            throttled=seen.throttled,
            clocks=dict(seen.clocks),
            process_bytes=seen.process_bytes,
        )
        observe(self._observations, target, last, limit=self._settings.timeout, phase=phase)
        self._book.ran(target, last, time.time())
        self._say(target, done)

    def _say(self, target: Target, done: Done) -> None:
        """Each failure is a line of the log, and what goes well is one when it did not before."""
        well, before = done.outcome == "ok", self._outcomes.get(target)
        self._outcomes[target] = done.outcome
        level = logging.WARNING if not well else logging.DEBUG if before == "ok" else logging.INFO
        why = ": ".join(filter(None, (done.reason, done.detail)))
        end = f", {why}" if why else ""
        logger.log(level, "%s on %s: %s after %.1f s%s", target.model, target.place, done.outcome, done.seconds, end)


def _within_our_limits(host: Host) -> Host:
    """What of the host's memory a child of ours may have."""
    main = within(Left(host.memory_available_bytes, host.memory_total_bytes), left_by_cgroups())
    return replace(host, memory_available_bytes=main.free, memory_total_bytes=main.total)


def device_seconds(done: Done, whole: float) -> float:
    """Of the device's time: the child's word; ``whole``, all of it, of a child that could not tell any more."""
    told = number(done.figures, "device_seconds")
    if told is not None:
        return told
    return 0.0 if done.outcome == "refused" or done.reason == reasons.NOT_BEGUN else whole
