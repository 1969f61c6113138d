"""The PromQL of the models' dashboard: one number for each probe, or in which way there is none.

A probe is ``model`` on a card of an exporter; without a card (``gpu`` empty) it runs on the processor. It is known by
its runs skipped as busy, which are counted from 0 on. Its other labels, such as ``precision``, may change under it, so
the largest is taken over them. As on the wall, every row starts from the probes that were seen lately, so all rows have
one order, and what is missing is a number that no clock delivers, one of ``queries`` or

- ``NOT_YET``: it has not run since the exporter started;
- ``OLD``: it went well, but longer ago than a rule allows.

What is asked of a model from elsewhere has no card: a server, an application or an endpoint is its ``source``.
"""

from dataclasses import replace

from alerts.matchers import Matcher
from dashboards.cells import Cell
from dashboards.queries import (
    HOST,
    LOST,
    NOTHING,
    REMEMBERED,
    SILENT,
    UNSUPPORTED,
    or_nothing,
    select,
    with_host,
)

NOT_YET, OLD = -1005, -1006
FAILED, CAME_THROUGH = 0, 1
PROBE_LABELS = ("job", "instance", "model", "gpu", "uuid")
"""What tells one probe from another."""

PROBE_LEGEND = "{{model}}{{card}} {{hostname}}"
_PROBE, _MODEL = ", ".join(PROBE_LABELS), "job, instance, model"
_SKIPPED, _ENDED = "model_probe_skipped_total", "model_probe_success"
_WENT_WELL = "model_probe_last_run_timestamp_seconds"
_AS_BUSY = Matcher("reason", "=", "busy")
_ASKED = "model_requests_total"
_ASKED_FROM_HERE = Matcher("source", "=", "probe")
_EVERYWHERE = Cell()
_LATELY = "1d"
_A_WEEK = "[7d:15m]"
"""Looked at as often as a probe mostly runs: of every scrape, a week is a hundred thousand numbers."""


def last(selected: str) -> str:
    """A reading of the last run, by probe."""
    return f"max by ({_PROBE}) ({selected})"


def _known(cell: Cell = _EVERYWHERE, window: str = "") -> str:
    return last(select(_SKIPPED, replace(cell, where=(*cell.where, _AS_BUSY)), window))


def probes(reading: str, cell: Cell) -> str:
    """One number for each known probe of the cell: ``reading``, an expression by probe, or why there is none.

    A probe whose card does not answer keeps its counters, but has no last run.
    """
    seen = _known(cell, REMEMBERED)
    value = (
        f"({reading}) or on ({_PROBE}) (0 * {last(_ENDED)} + {UNSUPPORTED})"
        f" or on ({_PROBE}) (0 * {last(_WENT_WELL)} + {LOST})"
        f" or on ({_PROBE}) (0 * {_known(cell)} + {NOT_YET})"
        f" or on ({_PROBE}) (0 * {seen} + {SILENT} and on ({HOST}) up == 0)"
    )
    return _named(f"(0 * {seen} + on ({_PROBE}) ({value}))", REMEMBERED)


def no_probe() -> str:
    """``NOTHING`` where no probe was seen lately."""
    return f"vector({NOTHING}) unless on () {_known(window=REMEMBERED)}"


def _named(expression: str, window: str = "") -> str:
    """With the host and, where there is a card, its index as texts for a legend."""
    return f'label_replace({with_host(expression, window)}, "card", " GPU $1", "gpu", "(.+)")'


def state(oldest: float | None) -> str:
    """How the last run ended, or ``OLD`` when it went well, but longer than ``oldest`` seconds ago."""
    ended = last(_ENDED)
    if oldest is None:
        return ended
    old = f"0 * (time() - {last(_WENT_WELL)} > {oldest:g}) + {OLD}"
    return f"({old} and on ({_PROBE}) {ended} == {CAME_THROUGH}) or on ({_PROBE}) {ended}"


def course(selected: str) -> str:
    """A reading of the last run over time, flat until the next one; NaN draws nothing and keeps a probe its colour."""
    return _named(_for_every_probe(last(selected)))


def _for_every_probe(reading: str) -> str:
    return f"({reading} or on ({_PROBE}) NaN * {_known()})"


def beside(selected: str) -> str:
    """A second reading of the last run over time, only where there is one."""
    return _named(last(selected))


def against_itself(selected: str) -> str:
    """The same as a share of what it mostly was within the last week: models of any size beside each other."""
    return _named(_for_every_probe(f"{last(selected)} / quantile_over_time(0.5, ({last(selected)}){_A_WEEK})"))


def contended(selected: str) -> str:
    """The same where somebody else used the card during the run."""
    return _named(f"({last(selected)} and on ({_PROBE}) {last('model_probe_contended')} == 1)")


def quantile_by_source(metric: str, quantile: float) -> str:
    """What that share of all requests of ten minutes stayed below; of the probe's, which are rare, of an hour."""
    rates = (
        f"sum by ({_MODEL}, source, le) (rate({metric}_bucket{{{matcher}}}[{window}]))"
        for matcher, window in ((_ASKED_FROM_HERE.inverse, "10m"), (_ASKED_FROM_HERE, "1h"))
    )
    shares = (f"histogram_quantile({quantile:g}, {rate})" for rate in rates)
    return with_host(f"({' or '.join(shares)})")


def _runs(outcome: str) -> str:
    return f'increase({_ASKED}{{source="probe", outcome{outcome}"ok"}}[{_LATELY}])'


def came_through() -> str:
    """How many runs of the last day ended well, of all models."""
    return or_nothing(f"round(sum({_runs('=')}))")


def failures(most: int) -> str:
    """Of which models how many runs of the last day ended how, where they did not end well."""
    return f"topk({most}, round(sum by (model, outcome) ({_runs('!=')})) > 0)"


def skipped(most: int) -> str:
    """Runs of the last day that were not started or had to wait, by reason; 0 without a reason where there was none."""
    left_out = f"round(sum by (reason) (increase({_SKIPPED}[{_LATELY}])))"
    return or_nothing(f"topk({most}, {left_out} > 0) or on () 0 * count({_known()})")
