"""Whose memory is the run's, and who else was at the card: from readings before and while it is under way."""

import pytest

from exporter.bench.running.card import Holder, Reading, attributed, contenders

MIB = 2**20
DESKTOP = Holder(1, "Xorg", 300 * MIB, 0.01)
TRAINING = Holder(2, "python", 4000 * MIB, 0.9)
RUN = Holder(77, "python", 1500 * MIB, 0.9)


def readings(before=(), barrier=(), utilization=None):
    return {"before": Reading(others=before, utilization_ratio=utilization), "barrier": Reading(others=barrier)}


def test_in_a_container_the_one_process_that_came_is_the_run():
    """The driver numbers processes otherwise there, and every run would be contended by itself."""
    found = attributed(Reading(others=(DESKTOP,)), Reading(others=(DESKTOP, RUN)), alone=True)

    assert found == Reading(process_bytes=1500 * MIB, others=(DESKTOP,))


def test_where_two_have_come_nobody_is_taken_for_the_run():
    """A stranger's memory would be said to be the run's."""
    now = Reading(others=(TRAINING, RUN))

    assert attributed(Reading(), now, alone=True) == now


def test_a_process_that_the_driver_knows_by_its_number_needs_no_guess():
    """Somebody who comes in the same moment would be taken for the run."""
    now = Reading(process_bytes=5.0, others=(TRAINING,))

    assert attributed(Reading(), now, alone=True) == now


def test_two_runs_at_once_do_not_contend_with_each_other():
    """What two models lose on one card is just what such a run is about."""
    now = Reading(process_bytes=5.0, others=(DESKTOP, RUN))

    assert attributed(Reading(others=(DESKTOP,)), now, alone=False).others == (DESKTOP,)


@pytest.mark.parametrize(
    ("found", "who"),
    [
        (readings((DESKTOP,), (DESKTOP,)), ()),
        (readings((TRAINING,), ()), ("python",)),
        (readings((DESKTOP,), (DESKTOP, TRAINING)), ("python",)),
        (readings((Holder(3, "", 0.0),), (Holder(3, "", 65 * MIB),)), ("process 3",)),
        (readings((Holder(3, "idle", 0.0),), (Holder(3, "idle", 63 * MIB),)), ()),
        (readings((Holder(3, "idle"),), (Holder(3, "idle", 63 * MIB),)), ()),
        (readings((), (), 0.4), ("somebody whom the driver does not name",)),
        (readings((DESKTOP,), (DESKTOP,), 0.4), ()),
        ({}, ()),
    ],
    ids=["a desktop", "at work", "came", "moved", "moved little", "unknown", "unseen", "busy desktop", "no reading"],
)
def test_only_who_works_comes_or_moves_memory_contends(found, who):
    """A desktop would make every figure of a card doubtful, or a training run none."""
    assert contenders(found) == who
