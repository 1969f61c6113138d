import time
from pathlib import Path

import pytest

from exporter.status.document import Assets, document
from exporter.status.view import view
from tests.golden.example_cards import PAGES

FOLDER = Path(__file__).parent / "status"
ASSETS = Assets("/* the style */", "// the script")
"""Stand-ins: a golden page is about what is said, and changes of colour should not hide in it."""


def page(known):
    """The page with a line for each element, so that a change of it can be read."""
    return document(view(known), ASSETS).replace("><", ">\n<")


@pytest.fixture
def in_utc(monkeypatch):
    """The pages name times of the day."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_the_one_that_somebody_has_read(name, in_utc):
    """A change of what the page says would reach people without anybody having looked at it (make generate)."""
    assert page(PAGES[name]) == (FOLDER / f"{name}.html").read_text("utf-8")
