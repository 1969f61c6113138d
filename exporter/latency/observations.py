"""Counts and distributions of model latencies, from whichever source reports them.

Bucket bounds come from the catalog and are the same for all sources of a family, so that sums over ``source`` mean
something. The number of label sets is bounded: what comes from outside cannot grow memory without limit.

Requests are counted from 0 on, by every outcome: a series that is born with its first failure hides it from increase(),
which sees only what grows. So who asks a model by itself (a probe, an endpoint's watch) makes it ``known`` before the
first request. An application's model is known by its first request, whatever that came to.
"""

import bisect
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gpuwarden.catalog import CATALOG

Labels = tuple[str, ...]
MOST_LABEL_SETS = 1000
OUTCOMES = ("ok", "error", "timeout", "oom", "refused")
_REQUESTS = "model_requests_total"


@dataclass(slots=True)
class Distribution:
    """A histogram under way; ``counts`` has one more place than ``bounds``, for what lies above the last."""

    bounds: tuple[float, ...]
    counts: list[int]
    sum: float = 0.0

    def observe(self, value: float) -> None:
        """Count ``value`` in the first bucket whose upper bound is not below it."""
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.sum += value


@dataclass(frozen=True, slots=True)
class Observed:
    """What was observed of one family: label values to a number, or to cumulative bucket counts with their sum."""

    name: str
    values: Mapping[Labels, float] = field(default_factory=dict[Labels, float])
    distributions: Mapping[Labels, tuple[tuple[int, ...], float]] = field(
        default_factory=dict[Labels, tuple[tuple[int, ...], float]]
    )


class Observations:
    """Thread-safe store of ``model_`` observations, keyed by catalog name and label values in the catalog's order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[Labels, float]] = {}
        self._distributions: dict[str, dict[Labels, Distribution]] = {}
        self._tellers: list[Callable[[], Iterable[Observed]]] = []

    def tell_also(self, teller: Callable[[], Iterable[Observed]]) -> None:
        """Have this asked, too, for families that it alone knows; it bounds their number itself."""
        self._tellers.append(teller)

    def observe(self, name: str, labels: Labels, value: float) -> None:
        """Add one duration in seconds to a histogram."""
        row = CATALOG[name]
        with self._lock:
            family = self._distributions.setdefault(name, {})
            if labels not in family and not self._room():
                return
            fresh = Distribution(row.buckets, [0] * (len(row.buckets) + 1))
            family.setdefault(labels, fresh).observe(value)

    def known(self, model: str, source: str) -> None:
        """Requests to this model are counted at this source from now on."""
        with self._lock:
            self._begin(model, source)

    def add(self, name: str, labels: Labels, amount: float = 1) -> None:
        """Raise a counter."""
        self._put(name, labels, amount, keep=True)

    def set(self, name: str, labels: Labels, value: float) -> None:
        """Set a gauge."""
        self._put(name, labels, value, keep=False)

    def _put(self, name: str, labels: Labels, value: float, *, keep: bool) -> None:
        with self._lock:
            family = self._values.setdefault(name, {})
            if labels in family or self._room():
                family[labels] = value + (family.get(labels, 0.0) if keep else 0.0)
            if name == _REQUESTS:
                self._begin(*labels[:2])

    def _begin(self, model: str, source: str) -> None:
        family = self._values.setdefault(_REQUESTS, {})
        for outcome in OUTCOMES:
            labels = (model, source, outcome)
            if labels not in family and self._room():
                family[labels] = 0.0

    def _room(self) -> bool:
        return sum(map(len, (*self._values.values(), *self._distributions.values()))) < MOST_LABEL_SETS

    def observed(self) -> tuple[Observed, ...]:
        """A frozen copy of everything."""
        with self._lock:
            values = [Observed(name, dict(family)) for name, family in self._values.items()]
            distributions = [
                Observed(name, distributions={key: (tuple(item.counts), item.sum) for key, item in family.items()})
                for name, family in self._distributions.items()
            ]
        return (*values, *distributions, *(item for teller in self._tellers for item in teller()))
