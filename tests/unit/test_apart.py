import os
import sys

import pytest

from gpuwarden.apart import ChildEndedError, apart
from gpuwarden.documents import DocumentError, Mistake


def test_what_is_loaded_apart_is_not_here():
    """Settings would cost megabytes for as long as the exporter runs."""
    sys.modules.pop("wave", None)

    def load():
        import wave

        return wave.__name__

    assert apart(load) == "wave"
    assert "wave" not in sys.modules


def test_mistakes_arrive_as_they_were_made():
    """A user with a wrong settings file would get a traceback in place of file, line and key."""
    mistake = Mistake("gpuwarden.yml", 3, "exporter.interval", "must be a duration", "write 1s")

    def fail():
        raise DocumentError([mistake])

    with pytest.raises(DocumentError, match=r"gpuwarden.yml:3: exporter.interval: must be a duration") as raised:
        apart(fail)
    assert raised.value.mistakes == (mistake,)


def test_a_child_that_is_killed_is_an_error():
    """The exporter would wait for settings that never come, or start without them."""
    with pytest.raises(ChildEndedError):
        apart(lambda: os._exit(1))
