"""What the real alerter tells beyond first and resolved: repeats, flapping, and each to those whom a route names."""

import re

from tests.e2e.running import alerter, write
from tests.e2e.test_alerter import Box, parsed, plain
from tests.fakes.waited import told_earlier
from tests.polling import wait_until

AT_ONCE = "rules:\n  - {override: GpuMemoryAlmostFull, for: 0s, keep_firing_for: 0s}\n"
SETTINGS = """\
alerter:
  notify:
    flapping: {within: 10m, delay: 2s, longest: 2s}
  routes:
    - where: {severity: critical, alertname: GpuMemoryAlmostFull}
      to: [night@example.com]
"""


def start(box, page):
    settings = {**box.settings(), "GPUWARDEN_ALERTER_NOTIFY_FLAPPING_COUNT": "3"}
    arguments = ("--rules", str(box.rules), "--config", str(box.home / "gpuwarden.yml"))
    return alerter(box.home, page.url, *arguments, environ=settings)


def test_a_card_that_stays_full_is_told_again_and_one_that_comes_and_goes_once(tmp_path, fake_driver):
    """The pieces that are tested one by one would not work together in the program that people run."""
    box = Box(tmp_path, fake_driver, recipients=("ann@example.com",))
    write(box.rules, AT_ONCE)
    write(tmp_path / "gpuwarden.yml", SETTINGS)
    box.fill(0.95)
    with box.smtp, box.exporter() as page:
        with start(box, page) as judge:
            box.smtp.wait_mails(1, 20)
            judge.kill()
        assert told_earlier(tmp_path / "state", 5 * 3600) == 1
        with start(box, page) as judge:
            box.smtp.wait_mails(2, 20)
            for number, ratio in enumerate([0.5, 0.95, 0.5, 0.95, 0.5]):
                box.fill(ratio)
                word = "resolved" if ratio == 0.5 else "fired"
                seen = 1 + number // 2
                wait_until(lambda w=word, n=seen: len(re.findall(f"AlmostFull {w} ", judge.output)) == n, 20, word)
            wait_until(lambda: len(ids(box)) == 6, 20, judge.output)
            judge.wait_for("flapping: it comes and goes")
            judge.kill()
        with start(box, page):
            wait_until(lambda: len(ids(box)) == 7, 20, "what flapped is never called over")
        mails = [parsed(mail) for mail in box.smtp.mails()]

    told = {mail["Message-ID"]: mail for mail in mails}
    story = [mail["X-Gpuwarden-Reason"] for mail in told.values()]
    assert story == ["first", "repeat", "resolved", "first", "resolved", "flapping", "resolved"]
    assert {str(mail["To"]) for mail in mails} == {"night@example.com"}
    first, repeat, _, _, _, flapping, over = told.values()
    assert {repeat["In-Reply-To"], flapping["In-Reply-To"], over["In-Reply-To"]} == {first["Message-ID"]}
    assert repeat["Subject"].startswith("[CRITICAL, still] GPU 0 memory is 95.0 % full")
    assert "a state that lasts 2 s is told" in " ".join(plain(flapping).split())
    assert "fired 3 times" in plain(over)


def ids(box):
    return {parsed(mail)["Message-ID"] for mail in box.smtp.mails()}
