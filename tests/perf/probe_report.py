"""The document of probe_beside_a_job as Markdown."""

import itertools
import statistics

from tests.perf import probe_figures
from tests.perf.probe_page import runs, skips

_WINDOW = 600.0
_DEFAULT_SHARE = 0.01
_DEFAULT_INTERVAL, _DEFAULT_MODELS = 900.0, 2


def report(document) -> str:
    """All of it, as far as it has come."""
    card = document["card"]
    named = ", ".join(f"{key} {card[key]}" for key in ("card", "driver") if card.get(key)) or "no card"
    if "ended" not in document:
        return f"{named}: nothing was measured: {document['failed']}\n"
    span = document["ended"] - document["began"]
    rows = [*_counts(document), *_share(document, span)]
    for job in document["jobs"]:
        rows += _job(document, job)
    lines = [f"{named}; {span:.0f} s\n", "| what | value |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows)]) + "\n"


def _counts(document):
    found = [(name, labels, value) for name, labels, value in document.get("page", [])]
    yield "runs", _words(runs(found))
    yield "skipped", _words(skips(found))
    contended = [value for name, _, value in found if name == "model_probe_contended"]
    yield "contended, of the models' last runs", f"{sum(contended):.0f} of {len(contended)}"
    yield "looks at which NVML had the exporter itself on the card", str(document["contexts_of_exporter"])
    if document["failed"]:
        yield "failed", "; ".join(document["failed"])
    if document["complaints"]:
        yield "readings that failed", _words(document["complaints"])


def _share(document, span):
    whole = [(began, ended or document["ended"]) for _, began, ended, *_ in document["runs"]]
    listed = [tuple(seen) for *_, seen, _ in document["runs"] if seen]
    told = _told(document)
    yield "a run as a whole, seconds", _spread([ended - began for began, ended in whole])
    for name, intervals in (("the exporter", told), ("NVML's list of processes", listed)):
        worst = probe_figures.worst_share(intervals, document["began"], document["ended"], _WINDOW)
        seconds = [ended - began for began, ended in intervals]
        yield f"a run on the card, seconds, by {name}", _spread(seconds)
        yield f"share of the card's time, by {name}", f"{sum(seconds) / span:.2%}" if seconds else "-"
        yield f"worst share in {min(_WINDOW, span):.0f} s, by {name}", f"{worst:.2%}" if seconds else "-"
    used = [each for *_, each in document["runs"]]
    yield "share of the multiprocessors' time, by NVML's samples", f"{sum(used) / span:.2%}" if used else "-"


def _told(document):
    """The runs' device time as the exporter tells it, each at the moment when it was told."""
    used = [(document["began"], 0.0), *document["used"]]
    grown = [(at, more - before) for (_, before), (at, more) in itertools.pairwise(used)]
    return [(at - seconds, at) for at, seconds in grown if seconds > 0]


def _job(document, job):
    steps, segments = document["steps"].get(job, []), document["segments"]
    own = [each for each in segments if each["job"] == job]
    if not own or not steps:
        return
    busy = document["jobs"][job]
    alone = busy["step_seconds"] / (busy["step_seconds"] + busy["pause_seconds"])
    yield f"{job} job: works for this share of its time", f"{alone:.0%}"
    for probe in ("off", "on"):
        rates = [probe_figures.rate(steps, each["began"], each["ended"]) for each in own if each["probe"] == probe]
        yield f"{job} job: steps per second, probe {probe}", _spread(rates)
    yield f"{job} job: probe on / off", _spread(probe_figures.ratios(steps, segments, job), "{:.4f}")
    noise = probe_figures.spread_of_off(steps, segments, job)
    yield f"{job} job: noise of {probe_figures.WINDOW:.0f} s without", "-" if noise is None else f"{noise:.2%}"
    yield from _losses(document, job, own, steps)


def _losses(document, job, own, steps):
    seen = [(began, ended) for _, began, ended, *_ in document["runs"] if ended]
    on = [each for each in own if each["probe"] == "on"]
    lost = [each for segment in on for each in probe_figures.lost_seconds(steps, segment, seen)]
    yield f"{job} job: seconds of work lost to a run", _spread(lost)
    told = [ended - began for began, ended in _told(document)]
    if lost and told:
        at_share = statistics.fmean(lost) * _DEFAULT_SHARE / statistics.fmean(told)
        yield f"{job} job: loss when the probe takes {_DEFAULT_SHARE:.0%} of the time", f"{at_share:.2%}"
        default = statistics.fmean(lost) * _DEFAULT_MODELS / _DEFAULT_INTERVAL
        yield f"{job} job: loss with the shipped interval, two models each 15 min", f"{default:.2%}"


def _words(counts) -> str:
    return ", ".join(f"{name} {value:.0f}" for name, value in sorted(counts.items())) or "none"


def _spread(values, form: str = "{:.2f}") -> str:
    if not values:
        return "-"
    mean, least, most = (form.format(each) for each in (statistics.fmean(values), min(values), max(values)))
    return f"{mean} ({least} to {most}, {len(values)})"
