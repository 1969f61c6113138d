"""What a scrape brought: samples with the labels that identify them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

JOB = "gpuwarden"
"""The job of every target that the alerter visits, and of ours in Prometheus."""

LabelSet = tuple[tuple[str, str], ...]
"""Sorted (name, value) pairs, without ``__name__`` and without empty values; hashable identity of a series."""


def label_set(labels: Mapping[str, str]) -> LabelSet:
    """The identity of ``labels``: sorted, and an empty value is the same as no label, as in Prometheus."""
    return tuple(sorted((name, value) for name, value in labels.items() if value))


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series; ``labels`` carry the target's job and instance."""

    labels: LabelSet
    value: float


@dataclass(frozen=True, slots=True)
class Scrape:
    """One visit to one target at ``at`` (Unix seconds).

    ``samples`` are by metric name and always hold ``up`` (1 or 0) and ``scrape_duration_seconds``. A failed visit has
    ``error`` (one line) and no other samples.
    """

    target: str
    job: str
    instance: str
    at: float
    error: str | None = None
    samples: Mapping[str, tuple[Sample, ...]] = field(default_factory=lambda: MappingProxyType({}))
