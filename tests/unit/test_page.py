import gzip
import time
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.exposition import Exposition, as_text
from exporter.families import families
from exporter.latency.observations import MOST_LABEL_SETS, Observations
from exporter.page import PageMaker
from exporter.snapshot import Gpu, GpuProcess, Host, Snapshot, SourceHealth
from exporter.sources.demo import SHIPPED_SCENARIO, DemoReader
from exporter.sources.scenario import load_scenario
from gpuwarden.catalog import CATALOG, EXPORTER_ROWS, GPU_ROWS, HOST_ROWS, MODEL_ROWS

GPU = Gpu(index="0", uuid="GPU-a", read_at=100.0, info={"name": "RTX"}, utilization_ratio=0.5)
HOST = Host(read_at=100.0, memory_used_ratio=0.25)
HEALTH = SourceHealth("nvml/0", up=True, read_at=100.0, duration_seconds=0.01, succeeded_at=1.7e9)


def series(text):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse_text(text)
        for sample in family.samples
    }


def maker(snapshot, clock, interval=1.0):
    return PageMaker(lambda: snapshot, Observations(), interval=interval, version="1", monotonic=clock)


class Clock:
    def __init__(self, now=100.0):
        self.now = now

    def __call__(self):
        return self.now


def test_what_has_no_reading_is_absent():
    """A card without a fan would show a fan that stands still."""
    found = series(maker(Snapshot((GPU,), HOST), Clock()).page().text.decode())

    assert {name for name, _ in found if not name.startswith("process_")} == {
        *("gpu_up", "gpu_info", "gpu_utilization_ratio", "host_memory_used_ratio"),
        *("gpuwarden_exporter_info", "gpuwarden_exporter_simulated"),
    }


def test_a_reader_that_stops_loses_its_series_within_two_intervals_and_the_rest_stays():
    """A dead card would show its last temperature for ever."""
    clock = Clock(101.9)
    pages = maker(Snapshot((GPU, replace(GPU, index="1", uuid="GPU-b", read_at=104.0)), HOST, (HEALTH,)), clock)
    one, other = (("gpu", "0"), ("uuid", "GPU-a")), (("gpu", "1"), ("uuid", "GPU-b"))

    before = series(pages.tick().text.decode())
    clock.now = 104.0
    after = series(pages.tick().text.decode())

    assert before["gpu_up", one] == 1
    assert before["gpu_utilization_ratio", one] == 0.5
    assert after["gpu_up", one] == 0
    assert ("gpu_utilization_ratio", one) not in after
    assert after["gpu_utilization_ratio", other] == 0.5
    assert not [key for key in after if key[0].startswith("host_")]
    assert after["gpuwarden_exporter_source_up", (("source", "nvml/0"),)] == 0


def test_however_many_scrape_there_is_one_page_a_tick():
    """Forty scrapers would cost forty times what one costs."""
    clock = Clock()
    pages = maker(Snapshot((GPU,)), clock)
    first = pages.tick()
    clock.now += 0.9
    assert pages.page() is first
    assert first.body("text") is first.body("text")
    assert pages.tick() is not first
    assert pages.page() is not first


def test_what_was_asked_for_is_ready_before_the_next_scrape_and_nothing_else_is():
    """A scrape would wait for the page to be made, or a box that nobody scrapes would work for nobody."""
    clock = Clock()
    pages = maker(Snapshot((GPU,)), clock)
    made = {"text", "openmetrics", "text_compressed", "openmetrics_compressed"}.intersection

    assert made(vars(pages.tick())) == set()
    pages.page().body("openmetrics_compressed")
    assert made(vars(pages.tick())) == {"openmetrics", "openmetrics_compressed"}
    clock.now += 30
    assert made(vars(pages.tick())) == {"openmetrics", "openmetrics_compressed"}
    clock.now += 1
    assert made(vars(pages.tick())) == set()


def test_the_demo_supplies_every_row_of_the_catalog_in_every_format():
    """A dashboard panel could not be tried without hardware."""
    observations = Observations()
    demo = DemoReader(load_scenario(SHIPPED_SCENARIO), observations)

    def latest():
        part = demo.read()
        health = SourceHealth("demo", up=True, read_at=time.monotonic(), duration_seconds=0, succeeded_at=1.0)
        return Snapshot(part.gpus, part.host, (health,), part.simulated, part.gpus_expected)

    page = PageMaker(latest, observations, interval=1, version="1").page()
    rows = [row.name for row in (*GPU_ROWS, *HOST_ROWS, *MODEL_ROWS, *EXPORTER_ROWS)]
    shown = {
        sample.name.removesuffix("_count") for family in parse_text(page.text.decode()) for sample in family.samples
    }

    assert [name for name in rows if name not in shown] == []
    assert len(list(parse_openmetrics(page.openmetrics.decode()))) == len(list(parse_text(page.text.decode())))
    assert gzip.decompress(page.text_compressed) == page.text
    assert series(page.text.decode())["gpuwarden_exporter_simulated", ()] == 1


def test_each_series_has_the_labels_of_its_row():
    """A rule's matcher on a documented label would match nothing."""
    observations = Observations()
    part = DemoReader(load_scenario(SHIPPED_SCENARIO), observations).read()
    page = as_text(Exposition().render(families(Snapshot(part.gpus, part.host), observations.observed(), version="1")))

    for family in parse_text(page.decode()):
        for sample in family.samples:
            name = sample.name
            for suffix in ("_bucket", "_count", "_sum"):
                name = name.removesuffix(suffix) if name not in CATALOG else name
            assert set(sample.labels) - {"le"} == set(CATALOG[name].labels), name


@pytest.mark.parametrize("name", ['a"b\\c\nd', "e\tf", "中文 🚀", "x" * 10_000, "{}=,"])
def test_a_hostile_process_name_leaves_the_page_valid(name):
    """One process with an odd name would blind the monitoring of the whole box."""
    process = GpuProcess(pid=1, name=name, memory_bytes=5.0)
    page = maker(Snapshot((replace(GPU, processes=(process,)),)), Clock()).page()

    for text, parse in ((page.text, parse_text), (page.openmetrics, parse_openmetrics)):
        labels = [
            sample.labels["process"]
            for family in parse(text.decode())
            if family.name == "gpu_process_memory_used_bytes"
            for sample in family.samples
        ]
        assert labels == [name]


def test_observations_are_bounded_and_cumulative():
    """A client that makes up model names would fill the exporter's memory."""
    seen = Observations()
    for number in range(MOST_LABEL_SETS + 5):
        seen.add("model_requests_total", (f"model{number}", "app", "ok"))
    assert len(seen.observed()[0].values) == MOST_LABEL_SETS

    timed = Observations()
    for took in (0.001, 0.0011, 1000):
        timed.observe("model_time_to_first_token_seconds", ("gpt2", "app"), took)
    page = series(as_text(Exposition().render(families(Snapshot(), timed.observed(), version="1"))).decode())
    found = {
        dict(labels)["le"]: value
        for (name, labels), value in page.items()
        if name == "model_time_to_first_token_seconds_bucket"
    }
    assert (found["0.001"], found["0.005"], found["80.0"], found["+Inf"]) == (1, 2, 2, 3)
