"""Every kind of mail in a real browser, as wide as a desk's mail program and as narrow as a telephone's."""

import base64
import email
import email.policy
from pathlib import Path

import pytest

from tests.chromium.browser import Browser, chromium
from tests.golden.example_mails import DRAWINGS, EXAMPLES

pytestmark = pytest.mark.chromium

MAILS = Path(__file__).parents[1] / "golden" / "mails"
WIDTHS = {"desk": 700, "phone": 390, "small phone": 320}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One browser for all tests of this file."""
    chromium()
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def shown(browser, tmp_path):
    """Opens the HTML of a golden mail, with the parts that it refers to, as a mail program does."""
    opened = []

    def show(name, width, *, dark=False):
        mail = email.message_from_bytes((MAILS / f"{name}.eml").read_bytes(), policy=email.policy.default)
        html = mail.get_body(("html",)).get_content()
        for part in mail.walk():
            if part["Content-ID"]:
                data = base64.b64encode(part.get_content()).decode("ascii")
                html = html.replace(f"cid:{part['Content-ID'].strip('<>')}", f"data:image/png;base64,{data}")
        (tmp_path / "mail.html").write_text(html, "utf-8")
        opened.append(browser.page(width, 800, dark=dark, script=False))
        opened[-1].open((tmp_path / "mail.html").as_uri())
        return opened[-1]

    yield show
    for page in opened:
        page.call("Page.close")


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_mail_fits_the_screen_and_fetches_nothing(shown, name, width):
    """Half of each line would be beyond the edge of the telephone, or a server elsewhere learn who reads."""
    page = shown(name, width)

    assert page.value("document.documentElement.scrollWidth") <= width
    cut = (
        "[...document.querySelectorAll('td, th, div, pre')].filter(box => box.scrollWidth > box.clientWidth + 1).length"
    )
    assert page.value(cut) == 0
    assert {url.partition(":")[0] for url in page.asked} <= {"file", "data"}
    assert page.complaints == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("name", DRAWINGS)
def test_the_picture_is_seen_as_wide_as_the_mail(shown, name, width, dark):
    """The picture would be missing, cut off or too small to read."""
    page = shown(name, width, dark=dark)
    image = "document.querySelector('img')"
    box = page.value(f"(box => [box.left, box.right, box.width, box.height])({image}.getBoundingClientRect())")

    assert page.value(f"{image}.complete && {image}.naturalWidth > 1000")
    assert 0 <= box[0] < box[1] <= width
    assert box[2] >= min(500, 0.85 * width)
    assert box[2] / box[3] == pytest.approx(552 / 250, rel=0.02)
    assert page.value(f"getComputedStyle({image}).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize("name", ["firing", "resolved", "chinese"])
def test_what_matters_is_seen_without_scrolling(shown, name):
    """Whoever looks at a telephone at night would see a coloured bar and no number."""
    page = shown(name, 390)
    rows = "[...document.querySelectorAll('table table table tr')].slice(0, 3)"
    assert page.value(f"Math.max(...{rows}.map(row => row.getBoundingClientRect().bottom))") < 420
