import re
from dataclasses import replace
from pathlib import Path

import pytest

import exporter.status
from exporter.snapshot import Snapshot
from exporter.status.front import StatusPage, assets, headers
from exporter.status.markup import Html, join, own, tag
from tests.golden.example_cards import EVERYTHING, FIRES, OBSERVED

STYLE = (Path(exporter.status.__file__).parent / "status.css").read_text("utf-8")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def page(query="", snapshot=EVERYTHING.snapshot, **options):
    body, content_type, _ = StatusPage(lambda: snapshot, "1.2.3", **options).render(query)
    assert content_type == "text/html; charset=utf-8"
    return body.decode()


def test_the_page_holds_everything_and_its_policy_lets_nothing_else_in():
    """A hostile name could load a script or send what the page shows elsewhere, and offline boxes would see half."""
    found = page(observed=lambda: OBSERVED, alerts=lambda: FIRES)
    policy = headers()["content-security-policy"]

    assert not re.findall(r'(?:src|href)="(?!/|data:|#)', found)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not re.findall(r"\son\w+=|\sstyle=", found)


def test_it_refreshes_itself_with_and_without_script_unless_it_is_held_still():
    """A wall would stand still, or a reader could not stop it."""
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page()
    assert "<script>" in page()
    for query in ("still", "still="):
        assert 'http-equiv="refresh"' not in page(query)
        assert "<script>" not in page(query)


def test_however_many_look_the_page_is_made_once_a_second():
    """A room full of open pages would cost the exporter what its scrapes need."""
    made, clock = [], Clock()

    def snapshot():
        made.append(1)
        return Snapshot()

    front = StatusPage(snapshot, "1", monotonic=clock)
    for clock.now in (0.0, 0.5, 0.9, 1.0, 1.5):
        front.render()
    assert len(made) == 2
    front.render("still")
    assert len(made) == 3


def test_a_page_for_sixteen_cards_with_sixty_four_processes_is_of_bearable_size():
    """A phone would load megabytes every two seconds."""
    busy = EVERYTHING.snapshot.gpus[0]
    crowded = replace(busy, processes=busy.processes[:1] * 64)
    many = replace(EVERYTHING.snapshot, gpus=tuple(replace(crowded, index=str(index)) for index in range(16)))

    assert len(page(snapshot=many)) < 500_000


def test_text_is_escaped_by_its_type_also_when_it_was_joined_to_markup():
    """One forgotten call would let a process name write the page."""
    made = tag(
        "b", "<i>", own("<u>"), None, "", title='"', hidden=True, id=None, open=False, class_="x", aria_label="y"
    )

    assert made == '<b title="&quot;" hidden class="x" aria-label="y">&lt;i&gt;<u></b>'
    assert join([f"{tag('b')}!"]) == "&lt;b&gt;&lt;/b&gt;!"
    assert isinstance(tag("br"), Html)
    assert tag("p", "a\x00\x1b\x85b") == "<p>a\ufffd\ufffd\ufffdb</p>"


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("front", "behind"),
    [
        *(("text", "ground"), ("text", "card"), ("soft", "ground"), ("soft", "card"), ("link", "ground")),
        *((level, f"{level}-ground") for level in ("critical", "warning", "info")),
        *(("soft", f"{level}-ground") for level in ("critical", "warning", "info")),
        ("critical", "card"),
    ],
)
def test_text_can_be_read_by_weak_eyes(scheme, front, behind):
    """Who sees little contrast could not read what fires (WCAG 2.2, 1.4.3: 4.5 to 1)."""
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", STYLE.split("prefers-color-scheme: dark")[scheme]))

    assert contrast(colours[front], colours[behind]) >= 4.5


def test_the_style_asks_for_nothing_from_elsewhere():
    """A box without internet would show another page than the one that was tested."""
    assert not re.search(r"url\(|@import|@font-face", STYLE)
    assert "</" not in assets().style + assets().script
