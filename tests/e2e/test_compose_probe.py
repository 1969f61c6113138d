"""The exporter with torch beside it, from the real files with a real engine: it measures a model, on the processor."""

import re

import pytest

from tests.docker.stack import NAMES, PROBE, ROOT, Stack, images, require_engine
from tests.polling import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]

SECONDS = 360
PAGE = "import urllib.request as web; print(web.urlopen('http://127.0.0.1:9400/metrics', timeout=5).read().decode())"
HAS_TORCH = "import importlib.util as found; print(found.find_spec('torch') is not None)"


@pytest.fixture
def stack(tmp_path):
    require_engine()
    with images({"torch": NAMES["python"]}):
        running = Stack(tmp_path, "rules: []\n", PROBE)
        try:
            running.up("exporter")
            yield running
        finally:
            print(running.report())
            running.down()


def page_of(stack):
    """What the exporter publishes; nothing while it starts."""
    return stack.compose("exec", "--no-TTY", "exporter", "python", "-c", PAGE, check=False).stdout


def test_the_image_with_torch_measures_a_model(stack):
    """Somebody who adds one line to .env gets an exporter that does not start, or probes that never come through."""
    wait_until(
        lambda: "model_probe_success{" in page_of(stack), SECONDS, lambda: f"no probe has ended\n{stack.report()}"
    )
    page = page_of(stack)

    assert re.findall(r"(?m)^model_probe_success\{.*\} (\S+)", page) == ["1.0"], stack.report()
    assert re.search(r'(?m)^model_probe_duration_seconds\{.*model="resnet18".*percentile="50".*\} 0\.\d+', page), page
    version = re.search(r"(?m)^torch==(\S+)", (ROOT / "constraints.txt").read_text()).group(1)
    assert f'torch="{version}+cpu"' in page
    assert stack.inside("exporter", "python", "-c", HAS_TORCH).strip() == "False"
    assert stack.inside("exporter", "/opt/torch/bin/python", "-c", HAS_TORCH).strip() == "True"
    assert stack.inside("exporter", "sh", "-c", "touch /opt/torch/x 2>&1 || true").endswith("Read-only file system\n")
