import pytest

from tests.scenarios.kill_loop import ROADS, Loop


@pytest.mark.parametrize("road", ROADS, ids=[road.judge for road in ROADS])
def test_nothing_is_lost_or_made_up_however_often_the_alerter_is_killed(tmp_path, road):
    """An alerter that dies at the wrong moment would swallow an alert, tell it anew, or tell of what never was."""
    figures = Loop(road, tmp_path / "box", kills=8, seed=6).run(print)

    assert figures.complaints == []
    assert figures.kills == 8
    assert figures.lasting
