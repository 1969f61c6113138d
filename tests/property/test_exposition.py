"""Our renderers against prometheus-client's, which serves as the oracle: the same families, byte by byte."""

import itertools
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.core import Metric as TheirFamily
from prometheus_client.exposition import generate_latest as their_text
from prometheus_client.openmetrics.exposition import generate_latest as their_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.utils import floatToGoString

from exporter.exposition import Exposition, as_openmetrics, as_text, number
from exporter.families import Family, families
from exporter.latency.observations import Observed
from exporter.snapshot import Gpu, GpuProcess, Snapshot
from gpuwarden.catalog import CATALOG

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "\\", '"', "\n", '\\"\n\\n', "{}=,", "训练 🚀", "\x85", "a" * 300]
)
EXTREMES = [0.0, -0.0, 1, 2**53 + 1, 10**30, 5e-324, 1.7976931348623157e308, 999999.0, 1e6, 1234567.5, 1e16, 1e22]
VALUES = st.one_of(
    st.floats(allow_nan=False), st.integers(-(2**70), 2**70), st.sampled_from([*EXTREMES, math.inf, -math.inf])
)
PLAIN_ROWS = [row for row in CATALOG.values() if row.kind in {"gauge", "counter"}]
HISTOGRAMS = [row for row in CATALOG.values() if row.kind == "histogram"]
INFO_ROWS = [row for row in CATALOG.values() if row.kind == "info"]


def of_row(row, values):
    labels = st.tuples(*[TEXTS] * len(row.labels))
    return st.dictionaries(labels, values, min_size=1, max_size=4).map(
        lambda samples: Family(row, list(samples.items()))
    )


def of_histogram(row):
    labels = st.tuples(*[TEXTS] * len(row.labels))
    counts = st.lists(st.integers(0, 2**40), min_size=len(row.buckets) + 1, max_size=len(row.buckets) + 1).map(tuple)
    taken = st.dictionaries(labels, st.tuples(counts, st.floats(0, 1e12)), min_size=1, max_size=3)
    return taken.map(lambda distributions: Family(row, [], distributions))


FAMILIES = st.lists(
    st.one_of(
        *[of_row(row, VALUES) for row in PLAIN_ROWS],
        *[of_row(row, st.just(1.0)) for row in INFO_ROWS],
        *map(of_histogram, HISTOGRAMS),
    ),
    max_size=6,
    unique_by=lambda family: family.row.name,
)


class TheirRegistry:
    """The same families as prometheus-client knows them."""

    def __init__(self, shown):
        self.shown = shown

    def collect(self):
        for row, samples, distributions in self.shown:
            suffix = {"counter": "_total", "info": "_info"}.get(row.kind, "")
            theirs = TheirFamily(row.name.removesuffix(suffix), row.help, row.kind)
            for labels, value in samples:
                theirs.add_sample(row.name, dict(zip(row.labels, labels, strict=True)), value)
            for labels, (counts, total) in distributions.items():
                own = dict(zip(row.labels, labels, strict=True))
                bounds = [*map(floatToGoString, row.buckets), "+Inf"]
                for bound, count in zip(bounds, itertools.accumulate(counts), strict=True):
                    theirs.add_sample(f"{row.name}_bucket", {**own, "le": bound}, count)
                theirs.add_sample(f"{row.name}_count", own, sum(counts))
                theirs.add_sample(f"{row.name}_sum", own, total)
            yield theirs


def read(parse, page):
    """What a scraper makes of a page."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(page)
        for sample in family.samples
    }


@given(FAMILIES)
def test_a_page_is_byte_for_byte_what_prometheus_client_makes(shown):
    """Prometheus would read other series, or refuse the page, for one odd label or number."""
    blocks = Exposition().render(shown)

    assert as_text(blocks) == their_text(TheirRegistry(shown))
    assert as_openmetrics(blocks) == their_openmetrics(TheirRegistry(shown))


@settings(max_examples=30)
@given(st.lists(FAMILIES, min_size=2, max_size=4))
def test_kept_lines_never_show_an_earlier_page(pages):
    """A card would keep the temperature or the processes of a second ago."""
    exposition = Exposition()
    for shown in pages:
        page = as_text(exposition.render(shown)).decode()

        assert page.replace(" -0.0\n", " 0.0\n") == their_text(TheirRegistry(shown)).decode().replace(
            " -0.0\n", " 0.0\n"
        )


@settings(max_examples=30)
@given(st.lists(FAMILIES, min_size=1, max_size=3))
def test_only_the_lines_of_the_last_page_are_kept(pages):
    """Processes that come and go would fill the exporter's memory."""
    exposition = Exposition()
    for shown in pages:
        exposition.render(shown)

    kept = sum(map(len, exposition._known.values()))
    assert kept == sum(len(family.samples) + len(family.distributions) for family in pages[-1])


@given(VALUES)
def test_a_number_reads_back_as_itself(value):
    """A reading would change on its way to Prometheus."""
    assert float(number(value)) == float(value)
    assert number(value) == floatToGoString(value)


PROCESSES = st.lists(
    st.builds(
        GpuProcess,
        pid=st.integers(0, 2**22),
        name=TEXTS,
        user=TEXTS,
        container=TEXTS,
        workload=TEXTS,
        memory_bytes=st.none() | VALUES | st.just(math.nan),
    ),
    max_size=4,
    unique_by=lambda process: process.pid,
).map(tuple)
CARDS = st.builds(
    Gpu,
    index=TEXTS,
    uuid=TEXTS,
    read_at=st.just(0.0),
    utilization_ratio=st.none() | VALUES | st.just(math.nan),
    clock_hertz=st.dictionaries(TEXTS, VALUES | st.just(math.nan), max_size=3),
    processes=PROCESSES,
)


@given(st.lists(CARDS, max_size=3, unique_by=lambda gpu: (gpu.index, gpu.uuid)).map(tuple), TEXTS)
def test_whatever_a_snapshot_holds_both_formats_say_the_same_and_no_nan(gpus, version):
    """One odd name or a reading that is no number would cost the whole page."""
    observed = Observed("model_requests_total", {("m", "app", version): 1.0})
    blocks = Exposition().render(families(Snapshot(gpus), [observed], version=version))
    # Python's parsers split lines at more than line feeds; a scraper does not.
    text, openmetrics = (page.decode() for page in (as_text(blocks), as_openmetrics(blocks)))

    assert " NaN\n" not in text
    if len(text.splitlines()) == text.count("\n"):
        assert read(parse_text, text) == read(parse_openmetrics, openmetrics)


def test_what_utf8_cannot_say_does_not_cost_the_page():
    """A name that is no text, missed by whoever should have cleaned it, would blind the whole box."""
    blocks = Exposition().render([Family(CATALOG["gpu_up"], [(("0", "GPU-\udc80"), 1.0)])])

    assert as_text(blocks).endswith(b'{gpu="0",uuid="GPU-?"} 1.0\n')
    assert as_openmetrics(blocks).endswith(b"# EOF\n")
