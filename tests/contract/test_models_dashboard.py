"""The models' queries in a real Prometheus: what they say of probes that are well, fail, wait, or cannot be seen."""

import json

import pytest

from alerts.rules import SHIPPED, load_rules
from dashboards import queries
from dashboards.generate import generate
from dashboards.model_queries import CAME_THROUGH, FAILED, NOT_YET, OLD
from tests.contract.real_prometheus import SECONDS, Prometheus, page, require_binary
from tests.contract.test_dashboards import told
from tests.e2e.running import exporter, wait_until

pytestmark = pytest.mark.prometheus

MODELS = json.loads(generate(load_rules(SHIPPED, []))["models.json"])
TARGETS = [(panel, target) for panel in MODELS["panels"] for target in panel.get("targets", [])]
ROWS = [panel["targets"][0]["expr"] for panel, target in TARGETS if 'reason="busy"}[6h]' in target["expr"]][::2]
STATES, FIRST_TOKENS, ANSWERS, *_ = ROWS
MAY_BE_EMPTY = (
    "vector(-1004) unless",
    "model_probe_contended) == 1",
    'outcome!="ok"',
    'time_per_output_token_seconds{percentile="90"}',  # an answer of the probe has too few tokens for it
)


@pytest.fixture(scope="module")
def binary():
    return require_binary()


def probe(model, gpu="", success=None, ran="NaN", **figures):
    """The lines of one probe."""
    card = f'model="{model}",gpu="{gpu}",uuid="{gpu and "GPU-" + gpu}"'
    lines = [f'model_probe_skipped_total{{{card},reason="busy"}} 3']
    lines += [] if success is None else [f"model_probe_success{{{card}}} {success}"]
    lines += [] if ran == "NaN" else [f"model_probe_last_run_timestamp_seconds{{{card}}} {ran}"]
    for name, value in figures.items():
        lines.append(f'model_probe_{name}{{{card},precision="fp16",percentile="50"}} {value}')
    return lines


def by_probe(prometheus, expression):
    return {(labels.get("model"), labels.get("gpu", "")): value for labels, value in prometheus.ask(expression)}


def test_every_query_of_the_models_has_data_from_the_demo(binary, tmp_path):
    """A panel stays empty for ever, or two of its series have one name."""
    with (
        exporter(tmp_path, None, "--demo") as simulated,
        Prometheus(binary, tmp_path, [simulated.url.removeprefix("http://")]) as prometheus,
    ):
        for _, query in TARGETS:
            text = query["expr"]
            if any(part in text for part in MAY_BE_EMPTY):
                prometheus.ask(text)
                continue
            wait_until(lambda text=text: prometheus.ask(text), SECONDS, f"no data: {text}")
            names = [told({"targets": [query]}, labels) for labels, _ in prometheus.ask(text)]
            assert len(set(names)) == len(names), names
        states = by_probe(prometheus, STATES)
        assert states
        assert set(states.values()) == {CAME_THROUGH}


def test_each_probe_says_how_it_is(binary, tmp_path):
    """A model that fails, waits or sits on a lost card would look like one that is well, or be missing."""
    now = "9999999999"  # never too old
    lines = [
        *probe("well", "0", 1, now, duration_seconds=2.4, time_to_first_token_seconds=0.0024),
        *probe("cnn", "0", 1, now, duration_seconds=0.0015),
        *probe("well", "1", 0, now),
        *probe("waiting", "0"),
        *probe("lost", "2", None, now),
        *probe("old", "0", 1, "1", duration_seconds=2.4),
        *probe("broken", "0", 0, "1"),
        *probe("on-processor", "", 1, now, duration_seconds=0.2),
    ]
    with page() as server, Prometheus(binary, tmp_path, [server.target]) as prometheus:
        server.text = "\n".join([*lines, 'host_info{hostname="box"} 1', ""])
        wait_until(lambda: len(by_probe(prometheus, STATES)) == 8, SECONDS, "not eight probes")

        assert by_probe(prometheus, STATES) == {
            ("well", "0"): CAME_THROUGH,
            ("cnn", "0"): CAME_THROUGH,
            ("well", "1"): FAILED,
            ("waiting", "0"): NOT_YET,
            ("lost", "2"): queries.LOST,
            ("old", "0"): OLD,
            ("broken", "0"): FAILED,
            ("on-processor", ""): CAME_THROUGH,
        }
        tokens = by_probe(prometheus, FIRST_TOKENS)
        assert (tokens["well", "0"], tokens["cnn", "0"]) == (0.0024, queries.UNSUPPORTED)
        assert [list(by_probe(prometheus, row)) for row in ROWS] == [list(tokens)] * len(ROWS)
        assert {labels["hostname"] for labels, _ in prometheus.ask(STATES)} == {"box"}

        server.text = ""
        silent = dict.fromkeys(tokens, queries.SILENT)
        wait_until(
            lambda: by_probe(prometheus, STATES) == silent, SECONDS, "the probes do not say that they are silent"
        )


def test_no_probe_is_told_as_that(binary, tmp_path):
    """Somebody would wait for figures that nobody measures."""
    with page() as server, Prometheus(binary, tmp_path, [server.target]) as prometheus:
        server.text = 'host_info{hostname="box"} 1\n'
        wait_until(lambda: prometheus.ask("host_info"), SECONDS, "not scraped")
        for _, query in TARGETS:
            if query["instant"]:
                found = prometheus.ask(query["expr"])
                assert all(value == queries.NOTHING for _, value in found), query["expr"]
        states = [query["expr"] for _, query in TARGETS if query["instant"] and "unless on ()" in query["expr"]]
        assert len(states) == len(ROWS)
        assert all(prometheus.ask(query) == [({}, queries.NOTHING)] for query in states)
