"""Whether one run may start on one card now: pure; go, or skip with a named reason.

A probe must never be what takes a card's last memory, slows somebody's training down or breaks somebody's start:

1. What is not known is no permission: without a fresh reading, or before the card has been watched for the whole
   ``quiet`` time, nothing is started.
2. A run starts only in the compute mode Default, and not on a divided card: torch would take one of its parts, which
   need not be the one that was looked at.
3. Its memory (needs.py) and a margin for everybody else must be free; of main memory, what torch itself takes, too.
4. Servers of models look at the free memory while they start and end when it grows meanwhile. So nothing starts while a
   process on the card is younger than ``quiet``, or the memory in use has moved lately.
5. Idle enough means the highest of the whole ``quiet`` time, the driver's own samples between the readings included.
6. A hot card, or one that is held down, would be heated further, and its figures mean little.
7. The share of the card's time is the ledger's word (ledger.py).

Loading torch takes seconds, on a slow disk a minute. So before the run takes the card, it is looked again whether
somebody came meanwhile. Afterwards nothing ends it but its time: to let go of memory then would do the same harm.

The first that does not hold names the reason: what stays until a person changes it comes before what passes.
"""

from dataclasses import dataclass

from exporter.latency import reasons
from exporter.model_memory.answering import Parts
from exporter.model_memory.margin import margin
from exporter.snapshot import Gpu, Host
from gpuwarden.units import format_value

DEFAULT_MODE = 0.0
STEADY_SECONDS, MOST_MOVED_BYTES = 30.0, 64 * 2**20
LEAST_MARGIN_CELSIUS = 10.0
MAIN_MEMORY_BYTES = 2.0**31
"""Of main memory, for a run on a card: torch and CUDA with their libraries."""
HELD_DOWN = frozenset({"sw_thermal", "hw_thermal", "hw_power_brake", "hw_slowdown"})
"""Reasons of throttling that say that the card is in trouble; at its power limit it is only at work."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Not now; ``reason`` is one of reasons.py, ``detail`` says by how much, for a person."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """``quiet`` in seconds, ``busy`` as a share of the time."""

    quiet: float
    busy: float

    @property
    def steady(self) -> float:
        """For how long (seconds) the memory must not have moved."""
        return min(STEADY_SECONDS, self.quiet)


@dataclass(frozen=True, slots=True)
class Lately:
    """What the last minutes were like, without the probe's own part in them; all None where nothing was seen.

    ``watched`` and ``memory_watched`` are since when, in seconds before now; ``youngest`` is the age in seconds of the
    newest process of others, None where there is none; ``busiest`` the highest share of time; ``moved`` in bytes.
    """

    watched: float = 0.0
    memory_watched: float = 0.0
    youngest: float | None = None
    busiest: float | None = None
    moved: float | None = None
    own_child: bool = False
    """A process of ours is on the card, though none of our runs is under way."""


def admit(
    gpu: Gpu | None,
    lately: Lately,
    needed: Parts,
    limits: Limits,
    *,
    share_left: bool,
    main_memory: float | None = None,
) -> Skip | None:
    """None for go. ``gpu`` is a reading of this moment, None where there was none in time.

    ``main_memory`` are the bytes of it that are free, None where nobody knows.
    """
    if gpu is None or not gpu.up or gpu.utilization_ratio is None:
        return Skip(reasons.NO_READING)
    return (
        _wrong_mode(gpu)
        or (Skip(reasons.NOT_ENDED) if lately.own_child else None)
        or _no_room(gpu.memory_free_bytes, gpu.memory_total_bytes, needed, reasons.VRAM)
        or _no_main_memory(main_memory)
        or _hot(gpu)
        or (None if share_left else Skip(reasons.DUTY_CYCLE))
        or _unwatched(lately, limits)
        or _unsteady(lately, limits)
        or _at_work(max(gpu.utilization_ratio, lately.busiest or 0.0), limits)
    )


def newcomer(gpu: Gpu, lately: Lately, limits: Limits) -> Skip | None:
    """Whether a run that was admitted must not take the card, because somebody came while it loaded torch.

    Where processes cannot be told apart, the newcomer may be the run itself.
    """
    return _too_young(lately, limits) if gpu.up and gpu.processes_visible else None


def admit_on_processor(
    host: Host | None, busiest: float | None, needed: Parts, limits: Limits, *, share_left: bool
) -> Skip | None:
    """As ``admit``, for a run on the processor; ``busiest`` is the highest share of all processors' time lately."""
    if host is None or host.cpu_utilization_ratio is None:
        return Skip(reasons.NO_READING)
    return (
        _no_room(host.memory_available_bytes, host.memory_total_bytes, needed, reasons.MEMORY)
        or _at_work(max(host.cpu_utilization_ratio, busiest or 0.0), limits)
        or (None if share_left else Skip(reasons.DUTY_CYCLE))
    )


def _wrong_mode(gpu: Gpu) -> Skip | None:
    if gpu.mig_enabled:
        return Skip(reasons.MIG)
    if gpu.compute_mode != DEFAULT_MODE:
        return Skip(reasons.COMPUTE_MODE, "unknown" if gpu.compute_mode is None else f"mode {gpu.compute_mode:g}")
    return None


def _no_room(free: float | None, total: float | None, needed: Parts, reason: str) -> Skip | None:
    if free is None or total is None:
        return Skip(reasons.NO_READING)
    return _too_little(free, needed.total + margin(total), reason)


def _no_main_memory(free: float | None) -> Skip | None:
    return None if free is None else _too_little(free, MAIN_MEMORY_BYTES, reasons.MEMORY)


def _too_little(free: float, wanted: float, reason: str) -> Skip | None:
    if free >= wanted:
        return None
    return Skip(reason, f"{format_value(free, 'bytes')} free, {format_value(wanted, 'bytes')} needed")


def _hot(gpu: Gpu) -> Skip | None:
    held = sorted(reason for reason in HELD_DOWN if gpu.throttled.get(reason))
    if held:
        return Skip(reasons.THERMAL, ", ".join(held))
    left = gpu.temperature_margin_celsius
    if left is not None and left < LEAST_MARGIN_CELSIUS:
        return Skip(reasons.THERMAL, f"{left:g} degrees below its limit")
    return None


def _unwatched(lately: Lately, limits: Limits) -> Skip | None:
    enough = lately.watched >= limits.quiet and lately.memory_watched >= limits.steady
    return None if enough and lately.moved is not None else Skip(reasons.UNWATCHED)


def _unsteady(lately: Lately, limits: Limits) -> Skip | None:
    if (young := _too_young(lately, limits)) is not None:
        return young
    if lately.moved is not None and lately.moved > MOST_MOVED_BYTES:
        return Skip(reasons.MEMORY_MOVES, format_value(lately.moved, "bytes"))
    return None


def _too_young(lately: Lately, limits: Limits) -> Skip | None:
    if lately.youngest is None or lately.youngest >= limits.quiet:
        return None
    return Skip(reasons.NEW_PROCESS, f"{lately.youngest:.0f} s old")


def _at_work(busiest: float, limits: Limits) -> Skip | None:
    return Skip(reasons.BUSY, format_value(busiest, "ratio")) if busiest > limits.busy else None
