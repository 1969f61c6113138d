import asyncio
import time

import pytest

from alerts.report.from_prometheus import ask_prometheus
from alerts.report.schedule import Period
from tests.e2e.running import run
from tests.e2e.test_alertmanager import Stack
from tests.polling import wait_until

pytestmark = pytest.mark.prometheus


def test_a_report_in_the_stack_tells_what_prometheus_knows(tmp_path, fake_driver):
    """Whoever runs the stack would get a report without a single reading."""
    with Stack(tmp_path, fake_driver) as stack:
        stack.fill(0, 0.87)
        url = stack.url("prometheus")

        def cards():
            now = time.time()
            return asyncio.run(ask_prometheus(url, Period(now - 60, now))).cards

        def told():
            found = cards()
            return len(found) == 2 and (found[0].memory_ratio or 0) > 0.86 and found[0].joules is not None

        wait_until(told, 60, lambda: f"no two cards: {cards()}")
        settings = {"GPUWARDEN_ALERTER_PROMETHEUS_URL": url, "GPUWARDEN_ALERTER_REPORT_PRICE_PER_KWH": "0.3"}
        state = str(tmp_path / "none")
        asked = run("mail", "report", "--over", "5m", "--state", state, home=tmp_path, environ=settings)

    assert asked.returncode == 0, asked.stderr
    assert "GPU 0 (NVIDIA GeForce RTX 3060): memory up to 87.0 %" in asked.stdout
    assert "GPU 1 (NVIDIA GeForce RTX 3090): memory up to 50.0 %" in asked.stdout
    assert "kWh (0.00 EUR)" in asked.stdout
    assert "There are no readings before" not in asked.stdout
