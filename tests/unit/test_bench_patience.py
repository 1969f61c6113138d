"""Asking a driver that may never answer."""

import threading

import pytest

from exporter.bench.running.patience import DriverHangsError, answered


def test_an_answer_and_an_error_come_through():
    """A card that is there, or one that is not, would look like a hang."""
    assert answered(lambda: 7) == 7
    with pytest.raises(LookupError, match="no card"):
        answered(lambda: (_ for _ in ()).throw(LookupError("no card")))


def test_a_driver_that_hangs_is_named():
    """A user would wait for ever and not know for what."""
    ended = threading.Event()
    with pytest.raises(DriverHangsError, match="the driver has not answered for 0 s"):
        answered(ended.wait, 0.01)
    ended.set()
