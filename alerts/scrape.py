"""Visiting a target as Prometheus would: GET, parse, add ``job``, ``instance``, ``up`` and ``scrape_duration_seconds``.

1. A visit never raises for what the target did: a refused connection, a late, endless, foreign or broken page is a
   failed scrape with one line that says why. So is what nobody thought of: one target must not end the rounds of all.
2. The deadline is for the whole visit by the wall clock, not for each read; the body is capped.
3. Every line must look like the text format (version 0.0.4) and the last one must be whole, else a login page or half a
   page would pass for a target without GPUs. Only the samples that rules and mails need are then parsed.
4. Labels are the target's own, but ``job`` and ``instance`` are ours; its own go to ``exported_job`` and
   ``exported_instance`` (Prometheus: ``honor_labels: false``). A sample's own timestamp is not used.
5. A name and password in the URL are sent as basic authentication and appear nowhere else.
"""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

import httpx
from prometheus_client.parser import text_string_to_metric_families

from alerts.bounded_answer import body_of
from alerts.series import JOB, LabelSet, Sample, Scrape, label_set
from gpuwarden.errors import GpuwardenError

MOST_BYTES = 16 * 2**20

_LONGEST_LINE = 16 * 2**10
_INLINE_BYTES = 64 * 2**10
"""Wanted text up to this size is parsed in the event loop; beyond it a thread does it, so that the loop stays awake."""

_HEADERS = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity"}
_LINE = re.compile(
    r"""([a-zA-Z_:][a-zA-Z0-9_:]*)                          # name
        (?:[ \t]+|[ \t]*\{.*\}[ \t]*)                      # labels
        [-+]?(?:[0-9.][0-9.eE+-]*|inf|infinity|nan)         # value
        (?:[ \t]+-?[0-9]+)?                                 # timestamp
    """,
    re.DOTALL | re.VERBOSE | re.IGNORECASE,
)
_PORTS = {"http": 80, "https": 443}
_PORTS_END = 65536


class ScrapeError(GpuwardenError, OSError):
    """A target could not be read; the message is one line for a person."""


async def fetch(
    client: httpx.AsyncClient, target: str, now: float, deadline: float, wanted: frozenset[str], job: str = JOB
) -> Scrape:
    """Visit ``target`` once, for at most ``deadline`` seconds.

    ``now`` (Unix seconds) becomes the scrape's time. ``wanted`` are the metric names to keep.

    Raises:
        ValueError: ``target`` is not an http or https URL.
    """
    instance = instance_of(target)
    own = {"job": job, "instance": instance}
    begun = time.monotonic()
    samples: dict[str, tuple[Sample, ...]] = {}
    error = None
    try:
        async with asyncio.timeout(deadline):
            samples = _labelled(await _read(client, target, wanted), own)
    except TimeoutError:
        error = f"no complete answer within {deadline:g} s"
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ScrapeError) as failure:
        error = _one_line(failure)
    except Exception as failure:  # noqa: BLE001 -- see 1
        error = f"cannot be visited: {type(failure).__name__}: {_one_line(failure)}"
    labels = label_set(own)
    samples["up"] = (Sample(labels, 0.0 if error else 1.0),)
    samples["scrape_duration_seconds"] = (Sample(labels, time.monotonic() - begun),)
    return Scrape(without_userinfo(target), job, instance, now, error, MappingProxyType(samples))


def instance_of(target: str) -> str:
    """``host:port`` of a URL, the port by its scheme where none is written; the ``instance`` label.

    Raises:
        ValueError: not an http or https URL.
    """
    url = _url(target)
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host}:{url.port or _PORTS[url.scheme]}"


def without_userinfo(target: str) -> str:
    """The URL as it may be printed.

    Raises:
        ValueError: not an http or https URL.
    """
    _url(target)
    parts = urlsplit(target)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def parse(body: bytes, wanted: frozenset[str]) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Read a page in the text format; keep the samples of the ``wanted`` names, as (labels, value).

    Raises:
        ScrapeError: the page is not one, or it is cut off.
    """
    return _parse_lines(_wanted_lines(body, wanted))


def _url(target: str) -> httpx.URL:
    try:
        url = httpx.URL(target)
    except httpx.InvalidURL as failure:
        message = f"is not a URL: {failure}"
        raise ValueError(message) from failure
    try:
        urlsplit(target)  # which ``without_userinfo`` needs, and which is stricter about brackets
    except ValueError:
        message = "is not a URL: a bracket in its password is written as %5B or %5D"
        raise ValueError(message) from None
    if url.scheme not in _PORTS or not url.host:
        message = "is not an http or https URL"
        raise ValueError(message)
    if url.port is not None and not 0 < url.port < _PORTS_END:
        message = f"{url.port} is not a TCP port"
        raise ValueError(message)
    return url


async def _read(
    client: httpx.AsyncClient, target: str, wanted: frozenset[str]
) -> Mapping[str, Iterable[tuple[dict[str, str], float]]]:
    async with client.stream("GET", target, headers=_HEADERS, follow_redirects=False) as response:
        encoded = response.headers.get("content-encoding", "identity") != "identity"
        body = await body_of(response, MOST_BYTES, ScrapeError)
    if encoded:
        message = "answered with an encoding that was not asked for"
        raise ScrapeError(message)
    return await asyncio.to_thread(parse, body, wanted) if len(body) > _INLINE_BYTES else parse(body, wanted)


def _wanted_lines(body: bytes, wanted: frozenset[str]) -> list[str]:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as failure:
        message = f"answered with bytes that are not UTF-8, at byte {failure.start}"
        raise ScrapeError(message) from failure
    if text and not text.endswith("\n"):
        message = "answered with a page that is cut off: its last line does not end"
        raise ScrapeError(message)
    kept: list[str] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip(" \t\r")
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line) if len(line) <= _LONGEST_LINE else None
        if found is None:
            message = f"answered with a page that is not in Prometheus's text format, in line {number}"
            raise ScrapeError(message)
        if found[1] in wanted:
            kept.append(line)
    return kept


def _parse_lines(lines: Iterable[str]) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
    try:
        for family in text_string_to_metric_families("\n".join(lines)):
            for sample in family.samples:
                found[sample.name].append((sample.labels, float(sample.value)))
    except (ValueError, KeyError, IndexError, OverflowError) as failure:
        message = "answered with a page that is not in Prometheus's text format"
        raise ScrapeError(message) from failure
    return found


def _labelled(
    found: Mapping[str, Iterable[tuple[dict[str, str], float]]], own: Mapping[str, str]
) -> dict[str, tuple[Sample, ...]]:
    return {
        name: tuple(Sample(_identity(labels, own), value) for labels, value in samples)
        for name, samples in found.items()
    }


def _identity(labels: Mapping[str, str], own: Mapping[str, str]) -> LabelSet:
    merged: dict[str, str] = {}
    for name, value in labels.items():
        free = name
        while free in own or (free != name and free in labels):
            free = f"exported_{free}"
        merged[free] = value
    return label_set(merged | dict(own))


def _one_line(failure: Exception) -> str:
    text = " ".join(str(failure).split()) or type(failure).__name__
    return text[:200]
