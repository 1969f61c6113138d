import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.latency.observations import Observations
from exporter.sources.demo import SHIPPED_SCENARIO, DemoReader
from exporter.sources.scenario import curve, load_scenario, value_at
from gpuwarden.documents import DocumentError


def test_a_curve_moves_in_straight_lines_and_stays_at_its_ends():
    """A scenario would show other values than it says."""
    points = curve({"10s": 1.0, "0s": 0.0, "20s": 0.5})

    assert [value_at(points, at, 9) for at in (-1, 0, 5, 10, 15, 20, 99)] == [0, 0, 0.5, 1, 0.75, 0.5, 0.5]
    assert value_at((), 5, 9) == 9


@given(st.floats(0, 1e6), st.dictionaries(st.integers(0, 1000).map(lambda s: f"{s}s"), st.floats(0, 1), min_size=1))
def test_a_curve_never_leaves_its_points(seconds, points):
    """A simulated card could show more memory than it has."""
    value = value_at(curve(points), seconds, 0)

    assert min(points.values()) <= value <= max(points.values()) + 1e-12


def test_the_shipped_demo_fills_one_card_within_15_seconds_and_empties_it():
    """The demo's promised mail would not come."""
    now = [0.0]
    demo = DemoReader(load_scenario(SHIPPED_SCENARIO), Observations(), monotonic=lambda: now[0])

    def fullest():
        return max(gpu.memory_used_ratio for gpu in demo.read().gpus)

    assert fullest() < 0.9
    for now[0] in (15, 60, 115):
        assert fullest() > 0.9
    for now[0] in (135, 500):
        assert fullest() < 0.85


def test_a_wrong_scenario_is_refused_with_every_mistake(tmp_path):
    """A typing mistake in a scenario would play another scenario."""
    file = tmp_path / "s.yml"
    file.write_text(
        "description: x\nperiod: 0s\ngpus:\n  - name: A\n    memory_gib: 0.1\n    curves:\n"
        "      memory_usd_ratio: {0s: 1}\n      utilization_ratio: {1 s: 0, 2s: 90}\n"
        "    processes: [{name: a, share: 0.5}, {name: b, share: 0.5}]\n"
    )
    with pytest.raises(DocumentError) as caught:
        load_scenario(file)

    assert str(caught.value).splitlines() == [
        f"{file}:2: period: must be longer than 0",
        f"{file}:5: gpus[0].memory_gib: must be 1 or more",
        f"{file}:7: gpus[0].curves.memory_usd_ratio: is not a curve (did you mean 'memory_used_ratio'?)",
        f"{file}:8: gpus[0].curves.utilization_ratio.1 s: '1 s' is not a duration: write 30s, 5m, 1h30m",
        f"{file}:8: gpus[0].curves.utilization_ratio.2s: 90 is not a ratio from 0 to 1",
        f"{file}:9: gpus[0].processes: need a pid each (pid: 4243)",
    ]
