import re

from tests.e2e.running import CLIENT, Running, alerter, exporter, run, write
from tests.polling import wait_until

FULL = """\
description: A card that is full.
period: 10m
gpus:
  - {name: NVIDIA GeForce RTX 3060, memory_gib: 12, curves: {memory_used_ratio: {0s: 0.97}}}
"""
QUICK = """\
rules:
  - override: GpuMemoryAlmostFull
    for: 0s
"""


def page(url):
    return CLIENT.get(f"{url}/?still").text


def wait_for(url, text, seconds=30):
    wait_until(lambda: text in page(url), seconds, lambda: f"no {text!r} on the page:\n{page(url)}")


def full_card(home, *arguments):
    return exporter(home, None, "--demo", "--scenario", str(write(home / "full.yml", FULL)), *arguments)


def test_up_shows_on_its_page_what_its_own_alerter_says(tmp_path):
    """Who runs it on one box would have to set up where alerts come from, or see no alert at all."""
    environ = {
        "GPUWARDEN_EXPORTER_LISTEN": "127.0.0.1:0",
        "GPUWARDEN_EXPORTER_SCENARIO": str(write(tmp_path / "full.yml", FULL)),
        "GPUWARDEN_ALERTER_LISTEN": "127.0.0.1:0",
        "GPUWARDEN_ALERTER_INTERVAL": "200ms",
    }
    arguments = ("--demo", "--state", str(tmp_path / "state"), "--rules", str(write(tmp_path / "quick.yml", QUICK)))
    with Running("up", *arguments, home=tmp_path, environ=environ) as process:
        url = process.wait_for(r"open (http://\S+)").group(1)
        wait_for(url, "GpuMemoryAlmostFull fires")

        assert re.search(r'<article class="card critical"', page(url))
        assert "1 alert fires" in page(url)


def test_an_alerter_that_ends_leaves_the_alerts_unknown_and_the_cards_in_place(tmp_path):
    """A page that looks calm because nobody judges any more."""
    ends = tmp_path / "ends"
    ends.mkdir()
    with (
        Running("exporter", "--listen", "127.0.0.1:0", "--demo", home=tmp_path) as target,
        alerter(ends, target.url) as judge,
        full_card(tmp_path, "--alerts-from", judge.url) as process,
    ):
        wait_for(process.url, "No alert fires")
        judge.kill()
        wait_for(process.url, "alerts unknown", 60)

        assert f"{judge.url} last answered" in page(process.url)
        assert "No alert fires" not in page(process.url)
        assert "97.0 %" in page(process.url)


def test_an_exporter_alone_says_that_it_does_not_know(tmp_path):
    """Silence about alerts would read as calm."""
    with full_card(tmp_path) as process:
        wait_for(process.url, "97.0 %")

        assert "No source of alerts is set" in page(process.url)


def test_a_wrong_url_is_refused_at_the_start(tmp_path):
    """A misspelt address would show only as alerts that stay unknown."""
    result = run("exporter", "--demo", "--alerts-from", "localhost:9401", home=tmp_path)

    assert result.returncode == 2
    assert "not an http or https URL" in result.stderr
