"""The wall's queries in a real Prometheus: what they say of healthy cards, a lost one and an exporter that is away."""

import json
import re

import pytest

from alerts.rules import SHIPPED, load_rules
from dashboards import queries
from dashboards.generate import generate
from dashboards.palette import CALM
from tests.contract.real_prometheus import SECONDS, Prometheus, page, require_binary
from tests.e2e.running import exporter, wait_until

pytestmark = pytest.mark.prometheus

WALL = json.loads(generate(load_rules(SHIPPED, []))["wall.json"])
TARGETS = [(panel, target) for panel in WALL["panels"] for target in panel.get("targets", [])]
MEMORY = next(t["expr"] for _, t in TARGETS if t["instant"] and "gpu_memory_used_ratio" in t["expr"])
POWER = next(t["expr"] for _, t in TARGETS if t["instant"] and "gpu_power_watts" in t["expr"])
HOST_MEMORY = next(t["expr"] for _, t in TARGETS if "host_memory_used_ratio" in t["expr"])


@pytest.fixture(scope="module")
def binary():
    return require_binary()


def cards(count, lost=(), powerless=(), simulated=0):
    """A page with so many cards."""
    lines = ['host_info{hostname="box",kernel="k",system="Linux"} 1', "host_memory_used_ratio 0.5"]
    lines.append(f"gpuwarden_exporter_simulated {simulated}")
    for index in range(count):
        labels = f'gpu="{index}",uuid="GPU-{index}"'
        lines.append(f"gpu_up{{{labels}}} {0 if index in lost else 1}")
        if index not in lost:
            lines.append(f'gpu_info{{{labels},name="NVIDIA RTX A6000"}} 1')
            lines.append(f"gpu_memory_used_ratio{{{labels}}} 0.25")
            lines += [] if index in powerless else [f"gpu_power_watts{{{labels}}} 150"]
            lines.append(f"gpu_power_limit_watts{{{labels}}} 300")
    return "\n".join(lines) + "\n"


def told(panel, labels):
    """A tile's name, as Grafana makes it from legend and labels."""
    legend = panel["targets"][0]["legendFormat"]
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)


def test_every_query_of_the_wall_has_data_from_the_demo(binary, tmp_path):
    """A panel of the wall stays empty for ever, or two of its tiles have one name."""
    with exporter(tmp_path, None, "--demo") as simulated:
        target = simulated.url.removeprefix("http://")
        with Prometheus(binary, tmp_path, [target]) as prometheus:
            for panel, query in TARGETS:
                text = query["expr"].replace("$__rate_interval", "2s")
                wait_until(lambda text=text: prometheus.ask(text), SECONDS, f"no data: {text}")
                names = [told(panel, labels) for labels, _ in prometheus.ask(text)]
                assert len(set(names)) == len(names), names
            wait_until(lambda: len(prometheus.by_card(MEMORY)) == 4, SECONDS, "not four cards")
            assert all(0 <= value <= 1 for value in prometheus.by_card(MEMORY).values())
            wait_until(lambda: prometheus.ask(queries.alert_count())[0][1] >= 0, SECONDS, "alerts stay unknown")
            assert prometheus.ask(queries.simulated_share())[0][1] == 1
            assert prometheus.ask(queries.data_age())[0][1] <= 5


def test_a_lost_card_is_told_from_one_without_the_reading(binary, tmp_path):
    """A dead card would be an empty place or a calm one, in another column in each row."""
    with page() as server, Prometheus(binary, tmp_path, [server.target]) as prometheus:
        server.text = cards(8)
        wait_until(lambda: len(prometheus.by_card(MEMORY)) == 8, SECONDS, "not eight cards")
        server.text = cards(8, lost={5}, powerless={2})
        lost = (server.target, "5")
        wait_until(lambda: prometheus.by_card(MEMORY).get(lost) == queries.LOST, SECONDS, "not lost")

        memory, power = prometheus.by_card(MEMORY), prometheus.by_card(POWER)
        assert {memory[server.target, str(index)] for index in range(8) if index != 5} == {0.25}
        assert (power[lost], power[server.target, "2"], power[server.target, "0"]) == (
            queries.LOST,
            queries.UNSUPPORTED,
            0.5,
        )
        assert list(memory) == list(power)
        assert {labels["hostname"] for labels, _ in prometheus.ask(MEMORY)} == {"box"}


def test_cards_with_limits_of_their_own_are_all_there_once(binary, tmp_path):
    """A card would be missing from its row, or stand in it twice."""
    own = tmp_path / "own.yml"
    own.write_text(
        "rules:\n  - {override: GpuMemoryAlmostFull, where: {gpu: '=~1|2'}, above: 0.95}\n"
        "  - {override: GpuMemoryAlmostFull, where: {gpu: '2'}, enabled: false}\n"
        "  - {override: GpuTemperatureMarginLow, where: {gpu: '!0'}, below: 2}\n"
    )
    wall = json.loads(generate(load_rules(SHIPPED, [own]))["wall.json"])
    rows = [
        [target["expr"] for target in panel["targets"]]
        for panel in wall["panels"]
        if panel["type"] == "stat" and "gpu_up" in panel["targets"][0]["expr"]
    ]
    with page() as server, Prometheus(binary, tmp_path, [server.target]) as prometheus:
        server.text = cards(4, lost={2})
        wait_until(lambda: len(prometheus.by_card(MEMORY)) == 4, SECONDS, "not four cards")
        orders = [[card for text in row for card in prometheus.by_card(text)] for row in rows]
        assert len(rows) == 6
        assert sorted(orders[0]) == [(server.target, str(index)) for index in range(4)]
        assert orders == [orders[0]] * 6


def test_cards_of_an_exporter_that_is_away_say_so(binary, tmp_path):
    """A host that has crashed would vanish from the wall, and the rest would look like all there is."""
    with page() as one, page() as other, Prometheus(binary, tmp_path, [one.target, other.target]) as prometheus:
        one.text, other.text = cards(2, simulated=1), cards(1)
        wait_until(lambda: len(prometheus.by_card(MEMORY)) == 3, SECONDS, "not three cards")
        assert prometheus.ask(queries.targets_down())[0][1] == 0
        one.text = ""
        wait_until(lambda: prometheus.ask(queries.targets_down())[0][1] == 1, SECONDS, "the target stays up")

        assert prometheus.by_card(MEMORY) == {
            (one.target, "0"): queries.SILENT,
            (one.target, "1"): queries.SILENT,
            (other.target, "0"): 0.25,
        }
        assert prometheus.ask(queries.simulated_share())[0][1] == 0.5
        of_host = {labels["instance"]: (labels["hostname"], value) for labels, value in prometheus.ask(HOST_MEMORY)}
        assert of_host == {one.target: ("box", queries.SILENT), other.target: ("box", 0.5)}


def test_nothing_known_is_never_told_as_all_well(binary, tmp_path):
    """A Prometheus without rules or targets would be shown as a room without trouble."""
    with Prometheus(binary, tmp_path, [], rules="groups: []\n") as prometheus:
        for panel, query in TARGETS:
            if not query["instant"]:
                continue
            mappings = panel["fieldConfig"]["defaults"]["mappings"]
            colors = {
                float(number): word["color"]
                for mapping in mappings
                if mapping["type"] == "value"
                for number, word in mapping["options"].items()
            }
            found = prometheus.ask(query["expr"])
            assert all(colors[value] != CALM for _, value in found), query["expr"]
            assert found or panel["fieldConfig"]["defaults"]["noValue"] == "NO DATA"
