"""The probe's part of the exporter's section of the settings."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from exporter.latency.probed import OPERATIONS
from gpuwarden.units import Duration, format_duration

SHORTEST_INTERVAL, LONGEST_INTERVAL = 10.0, 86_400.0
"""A run keeps a processor busy for seconds; more often than this it would be a load, not a probe."""
SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 1.0, 600.0
SHORTEST_QUIET, LONGEST_QUIET = 1.0, 3600.0
LARGEST_SHARE = 0.05

Device = Literal["auto", "cuda", "cpu"]
Precision = Literal["auto", "fp32", "tf32", "fp16", "amp", "int8_dynamic"]
_ONLY_ON: dict[str, Device] = {"tf32": "cuda", "fp16": "cuda", "amp": "cuda", "int8_dynamic": "cpu"}


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """What a user can set under ``exporter.probe``."""

    enabled: bool = False
    """Run small models of known size from time to time, to see how fast the cards really answer. Needs torch."""
    python: str | None = None
    """The Python that has torch, `/home/me/venv/bin/python`; the exporter's own if not given."""
    device: Device = "auto"
    """`cuda`, `cpu`, or `auto`: the cards, and the processor where there is no card."""
    models: tuple[str, ...] = ("gpt2-small", "resnet18")
    """Which models: gpt2-small, -medium, -large, -xl (a prompt and its answer); resnet18, 34, 50 (one image)."""
    precision: Precision = "auto"
    """Arithmetic: `auto` is fp16 on a card and fp32 on the processor."""
    interval: Duration = Duration(900.0)  # noqa: RUF009 -- a number, not a call with state
    """How often each model is run on each card, from `10s`; the runs are spread over it."""
    timeout: Duration = Duration(60.0)  # noqa: RUF009 -- as above
    """After this long a run is ended and counts as timed out."""
    share: float = 0.01
    """Most of a card's time that the probe may use, up to 0.05; runs that would use more are skipped."""
    gpus: tuple[str, ...] = ()
    """Indices or UUIDs of the cards to probe, `["0"]`; all if empty."""
    quiet: Duration = Duration(300.0)  # noqa: RUF009 -- as above
    """For so long a card must have been idle and had no new job before a run."""
    busy: float = 0.3
    """A card that worked more than this share of the time counts as busy; with 1 a busy one is probed too."""

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        known = f"known are: {', '.join(OPERATIONS)}"
        if not self.models:
            yield "models", "is empty: nothing would be run", "leave it out, or set enabled to false"
        for position, name in enumerate(self.models):
            if name not in OPERATIONS:
                yield f"models.{position}", f"{name!r} is not a model that can be probed", known
            elif name in self.models[:position]:
                yield f"models.{position}", f"{name!r} is there twice", ""
        only_on = _ONLY_ON.get(self.precision, self.device)
        if only_on != self.device:
            yield "precision", f"{self.precision} is measured on {only_on} only", f"set device to {only_on} with it"
        yield from self._out_of_range()

    def _out_of_range(self) -> Iterator[tuple[str, str, str]]:
        ranges = (
            ("interval", self.interval, SHORTEST_INTERVAL, LONGEST_INTERVAL),
            ("timeout", self.timeout, SHORTEST_TIMEOUT, LONGEST_TIMEOUT),
            ("quiet", self.quiet, SHORTEST_QUIET, LONGEST_QUIET),
        )
        for key, value, least, most in ranges:
            if not least <= value <= most:
                yield key, f"must be from {format_duration(least)} to {format_duration(most)}", ""
        if not 0 < self.share <= LARGEST_SHARE:
            hint = f"write {self.share / 100:g}" if 0 < self.share / 100 <= LARGEST_SHARE else "0.01 is 1 %"
            yield "share", f"must be above 0 and at most {LARGEST_SHARE:g}", hint
        if not 0 < self.busy <= 1:
            yield "busy", "must be above 0 and at most 1", "0.3 is 30 %"
