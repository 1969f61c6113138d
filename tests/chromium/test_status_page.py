"""The status page in a real browser, over a real exporter: what a person sees, on a desk, a wall and a phone."""

import re

import pytest

from tests.chromium.browser import Browser, chromium
from tests.e2e.running import CLIENT, exporter, write
from tests.polling import wait_until

pytestmark = pytest.mark.chromium

SCENARIO = """\
description: Two cards, of which the first fills up in a minute.
period: 10m
gpus:
  - name: NVIDIA GeForce RTX 3090
    memory_gib: 24
    curves:
      memory_used_ratio: {0s: 0.1, 10m: 0.9}
      utilization_ratio: {0s: 0.2, 10m: 0.9}
    processes:
      - {name: a_process_with_a_name_that_is_far_too_long_for_any_telephone_on_earth.py, share: 0.6, container: trainer}
      - {name: tensorboard, share: 0.1, pid: 4243}
  - {name: NVIDIA GeForce RTX 3060, memory_gib: 12}
"""
DESK_LIGHT, DESK_DARK, PHONE = (1280, 800, False), (1280, 800, True), (360, 740, False)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One browser for all tests of this file."""
    chromium()
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def tab(browser):
    """Opens tabs, and closes them after the test, so that they do not go on asking."""
    opened = []

    def open_tab(width, height, **options):
        opened.append(browser.page(width, height, **options))
        return opened[-1]

    yield open_tab
    for page in opened:
        page.call("Page.close")


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A real exporter with two simulated cards."""
    home = tmp_path_factory.mktemp("home")
    scenario = write(home / "scenario.yml", SCENARIO)
    with exporter(home, None, "--demo", "--scenario", str(scenario)) as process:
        wait_until(lambda: "GPU 1" in CLIENT.get(process.url).text, 20, "the cards were not read")
        yield process.url


def memory(page):
    return page.texts(".cards .reading .value")[0]


def boxes(page, selector):
    return page.value(
        f"[...document.querySelectorAll('{selector}')].map(found => found.getBoundingClientRect())"
        ".map(box => [box.left, box.right, box.width, box.height])"
    )


@pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])
@pytest.mark.parametrize(("width", "height", "dark"), [DESK_LIGHT, DESK_DARK, PHONE], ids=["light", "dark", "phone"])
def test_it_is_whole_on_every_screen_and_asks_nobody_else(tab, url, tmp_path, width, height, dark, script):
    """Half a page on a phone, a white wall at night, or a box without internet that shows another page."""
    page = tab(width, height, dark=dark, script=script)
    page.open(f"{url}/")

    assert page.texts(".cards h3") == ["GPU 0 GeForce RTX 3090", "GPU 1 GeForce RTX 3060"]
    assert page.texts("header .simulated") == ["SIMULATED DATA: no real card is shown."]
    assert page.value("document.documentElement.scrollWidth") <= width
    assert all(left >= 0 and right <= width for left, right, *_ in boxes(page, "main *"))
    assert all(shown > 100 and high >= 8 for *_, shown, high in boxes(page, ".cards .readings .meter"))
    ground = page.value("getComputedStyle(document.documentElement).backgroundColor")
    shades = [int(part) for part in re.findall(r"\d+", ground)[:3]]
    assert (sum(shades) < 3 * 64) == dark
    page.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000
    assert page.asked
    assert all(asked.startswith((f"{url}/", "data:")) for asked in page.asked), page.asked
    assert page.complaints == []


def test_a_new_value_comes_without_a_flicker_and_what_was_opened_stays_open(tab, url):
    """A person would read old numbers, or lose the place at every refresh."""
    page = tab(*DESK_LIGHT[:2])
    page.open(f"{url}/")
    page.call("Runtime.evaluate", expression="document.getElementById('card-0-facts').open = true")
    page.call("Runtime.evaluate", expression="document.getElementById('card-0-holders').open = false")
    page.call("Runtime.evaluate", expression="document.getElementById('card-1-facts-summary').focus()")
    page.call("Runtime.evaluate", expression="scrollTo(0, 150)")
    before = memory(page)
    wait_until(lambda: memory(page) != before, 30, "the page shows the same value for ever")

    assert page.loads == 1
    opened = [page.value(f"document.getElementById('card-0-{name}').open") for name in ("facts", "holders")]
    assert opened == [True, False]
    assert page.value("document.activeElement.id") == "card-1-facts-summary"
    assert page.value("scrollY") == 150
    assert page.complaints == []


def test_without_script_the_browser_loads_it_anew(tab, url):
    """Where scripts are off the page would stand still."""
    page = tab(*DESK_LIGHT[:2], script=False)
    page.open(f"{url}/")
    before = memory(page)
    wait_until(lambda: page.loads > 1 and memory(page) != before, 30, "the page was not loaded anew")

    assert page.complaints == []


def test_details_open_without_script(tab, url):
    """Where scripts are off nobody could see who holds the memory."""
    page = tab(*PHONE[:2], script=False)
    page.open(f"{url}/?still")
    assert page.value("document.querySelector('#card-0-facts dl').checkVisibility()") is False
    left, right, _, _ = boxes(page, "#card-0-facts > summary")[0]
    top = page.value(
        "(document.querySelector('#card-0-facts > summary').scrollIntoView(),"
        "document.querySelector('#card-0-facts > summary').getBoundingClientRect().top)"
    )
    spot = {"x": (left + right) / 2, "y": top + 5, "button": "left", "clickCount": 1}
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, **spot)

    wait_until(
        lambda: page.value("document.querySelector('#card-0-facts dl').checkVisibility()"), 10, "it did not open"
    )


def test_a_page_whose_exporter_is_gone_says_so(tab, tmp_path):
    """A wall would show the last numbers for ever, as if they were new."""
    with exporter(tmp_path, None, "--demo") as process:
        page = tab(*DESK_LIGHT[:2])
        wait_until(lambda: "GPU 1" in CLIENT.get(process.url).text, 20, "the cards were not read")
        page.open(f"{process.url}/")
        assert page.texts("#gone") == [""]
        process.kill()
        wait_until(lambda: "does not answer" in page.texts("#gone")[0], 30, "the page does not say that it is old")

    assert page.value("getComputedStyle(document.querySelector('main')).opacity") == "0.45"
