"""Whatever names, labels and texts say: the page is well-formed and holds no element that we did not write."""

from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.latency.observations import Observed
from exporter.snapshot import Gpu, GpuProcess, Host, Snapshot, SourceHealth
from exporter.status.alerts import Alert, Alerts
from exporter.status.document import Assets, document
from exporter.status.front import assets
from exporter.status.view import Known, view

ASSETS = Assets("/* the style */", "// the script")
HOSTILE = st.sampled_from(
    [
        "</title><script>alert(1)</script>",
        "</style>",
        "--><!--",
        '"><img src=x onerror=alert(1)>',
        "' onload='x",
        "&lt;b&gt;",
        "\u202eevil",
        "]]>",
        "</svg></main></html>",
        "\ud800",
        "javascript:alert(1)",
        "\x00<b>",
        "\u0627\u0301" * 40,
    ]
)
TEXTS = st.one_of(HOSTILE, st.text(max_size=40))
NUMBERS = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, -1.0, 1e300, 0.5, 1.0]))
LABELLED = st.dictionaries(TEXTS, st.floats(), max_size=3)


def gpus():
    processes = st.builds(
        GpuProcess, st.integers(0, 9), TEXTS, TEXTS, TEXTS, TEXTS, memory_bytes=NUMBERS, utilization_ratio=NUMBERS
    )
    numbers = [
        "memory_total_bytes",
        "memory_used_bytes",
        "memory_used_ratio",
        "memory_used_peak_ratio",
        "memory_unaccounted_bytes",
        "temperature_celsius",
        "temperature_margin_celsius",
        "temperature_peak_celsius",
        "power_watts",
        "power_limit_watts",
        "power_peak_watts",
        "utilization_ratio",
        "utilization_peak_ratio",
        "idle_memory_held_seconds",
        "pcie_link_width_ratio",
        "mig_enabled",
        "row_remap_failed",
        "energy_joules_total",
        "mps_clients",
    ]
    labelled = [
        "clock_hertz",
        "clock_max_hertz",
        "fan_speed_ratio",
        "throttled",
        "temperature_limit_celsius",
        "workload_memory_used_bytes",
        "workload_memory_budget_bytes",
        "workload_memory_budget_used_ratio",
        "mig_memory_used_bytes",
        "mig_memory_used_ratio",
    ]
    return st.builds(
        Gpu,
        index=TEXTS,
        uuid=TEXTS,
        read_at=st.just(0.0),
        up=st.booleans(),
        info=st.dictionaries(st.sampled_from(["name", "pci_bus_id", "driver_version"]), TEXTS),
        processes=st.lists(processes, max_size=3).map(tuple),
        xid_errors_total=st.dictionaries(st.tuples(TEXTS, TEXTS), st.floats(), max_size=2),
        xid_last_timestamp_seconds=st.dictionaries(st.tuples(TEXTS, TEXTS), st.floats(), max_size=2),
        **dict.fromkeys(numbers, NUMBERS),
        **dict.fromkeys(labelled, LABELLED),
    )


HOSTS = st.builds(
    Host,
    read_at=st.just(0.0),
    info=st.dictionaries(st.sampled_from(["hostname", "system", "kernel"]), TEXTS),
    cpu_utilization_ratio=NUMBERS,
    cpus=NUMBERS,
    memory_total_bytes=NUMBERS,
    memory_available_bytes=NUMBERS,
    memory_used_ratio=NUMBERS,
    swap_total_bytes=NUMBERS,
    swap_used_bytes=NUMBERS,
    boot_timestamp_seconds=NUMBERS,
    load_average=LABELLED,
    filesystem_used_ratio=st.dictionaries(st.tuples(TEXTS, TEXTS, TEXTS), st.floats(), max_size=2),
)
SOURCES = st.builds(SourceHealth, TEXTS, st.booleans(), st.just(0.0), st.floats(), NUMBERS, TEXTS)
ALERTS = st.builds(
    Alert,
    name=TEXTS,
    severity=TEXTS,
    firing=st.booleans(),
    summary=TEXTS,
    active_at=NUMBERS,
    uuid=TEXTS,
    instance=TEXTS,
)
KNOWN_ALERTS = st.builds(
    Alerts,
    source=TEXTS,
    listed=st.one_of(st.none(), st.lists(ALERTS, max_size=12).map(tuple)),
    more=st.integers(0, 9),
    remarks=st.lists(TEXTS, max_size=2).map(tuple),
    answered_ago=NUMBERS,
    trouble=TEXTS,
)
OBSERVED = st.lists(
    st.one_of(
        st.builds(
            Observed,
            st.just("model_request_duration_seconds"),
            distributions=st.dictionaries(
                st.tuples(TEXTS, TEXTS, TEXTS),
                st.tuples(st.lists(st.integers(0, 5), min_size=19, max_size=19).map(tuple), st.floats()),
                max_size=2,
            ),
        ),
        st.builds(
            Observed,
            st.sampled_from(["model_requests_total", "model_probe_contended"]),
            st.dictionaries(st.tuples(TEXTS, TEXTS, TEXTS), st.floats(), max_size=2),
        ),
        st.builds(
            Observed,
            st.just("model_probe_skipped_total"),
            st.dictionaries(st.tuples(TEXTS, TEXTS, TEXTS, TEXTS), st.floats(0, 1e9), max_size=2),
        ),
        st.builds(
            Observed,
            st.just("model_probe_duration_seconds"),
            st.dictionaries(st.tuples(*[TEXTS] * 5), st.floats(), max_size=2),
        ),
    ),
    max_size=2,
).map(tuple)
KNOWN = st.builds(
    Known,
    snapshot=st.builds(
        Snapshot,
        st.lists(gpus(), max_size=3).map(tuple),
        st.one_of(st.none(), HOSTS),
        st.lists(SOURCES, max_size=3).map(tuple),
        simulated=st.booleans(),
        gpus_expected=st.one_of(st.none(), st.integers(0, 9)),
    ),
    observed=OBSERVED,
    alerts=KNOWN_ALERTS,
    version=TEXTS,
    now=st.just(1_780_000_000.0),
)

OURS = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "link",
        "noscript",
        "style",
        "script",
        "body",
        "main",
        "header",
        "section",
        "article",
        "footer",
        "h1",
        "h2",
        "h3",
        "h4",
        "p",
        "span",
        "strong",
        "b",
        "a",
        "div",
        "ul",
        "li",
        "dl",
        "dt",
        "dd",
        "details",
        "summary",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "svg",
        "rect",
        "line",
        "bdi",
        "time",
        "code",
    ]
)
OUR_ATTRIBUTES = frozenset(
    [
        "lang",
        "data-build",
        "charset",
        "name",
        "content",
        "http-equiv",
        "rel",
        "href",
        "id",
        "role",
        "hidden",
        "class",
        "open",
        "scope",
        "title",
        "width",
        "height",
        "rx",
        "x1",
        "x2",
        "y1",
        "y2",
    ]
)
EMPTY = frozenset({"meta", "link", "br"})


class Checker(HTMLParser):
    """Keeps a stack of open elements, and the raw text of style and script."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.raw, self.ids = [], {}, []

    def handle_starttag(self, tag, attrs):
        assert tag in OURS, tag
        self.ids += [value for name, value in attrs if name == "id"]
        for name, _ in attrs:
            assert name in OUR_ATTRIBUTES or name.startswith("aria-"), name
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in {"style", "script"}:
            self.raw[self.open[-1]] = self.raw.get(self.open[-1], "") + data

    def handle_comment(self, data):
        raise AssertionError(data)

    def unknown_decl(self, data):
        raise AssertionError(data)


@settings(max_examples=80, deadline=None)
@given(KNOWN)
def test_no_text_becomes_markup_and_every_element_is_closed(known):
    """Whoever may start a process or name a model could run a script on the page, or break it for everybody."""
    page = document(view(known), ASSETS).encode(errors="replace").decode()
    checker = Checker()
    checker.feed(page)
    checker.close()

    assert checker.open == []
    assert checker.raw == {"style": ASSETS.style, "script": ASSETS.script}
    assert len(set(checker.ids)) == len(checker.ids)


def test_the_real_style_and_script_stand_in_the_page_as_they_are():
    """The policy's hashes would not fit, and the page would come without style or would not refresh itself."""
    checker = Checker()
    checker.feed(document(view(Known(snapshot=Snapshot(), version="1", now=0.0)), assets()))

    assert checker.raw == {"style": assets().style, "script": assets().script}
