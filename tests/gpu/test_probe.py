"""The probe on a real card: its figures, its process among the others, and its memory given back."""

import pytest

from tests.e2e.probing import value, wait_for
from tests.e2e.running import exporter, series
from tests.polling import wait_until

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(240)]

MIB = 2**20
PATIENCE = 120.0


@pytest.fixture
def probing(tmp_path):
    """The exporter, probing the first card with this Python's torch."""
    pytest.importorskip("torch", reason="the probe needs torch")
    own = {"ENABLED": "true", "INTERVAL": "1m", "QUIET": "5s", "GPUS": "0", "MODELS": "gpt2-small", "DEVICE": "cuda"}
    with exporter(tmp_path, {f"GPUWARDEN_EXPORTER_PROBE_{key}": text for key, text in own.items()}) as process:
        yield process


def test_a_run_on_a_real_card_is_seen_measured_and_gone_afterwards(probing):
    """A probe would be slower than it says, look like a stranger, or keep memory."""
    wait_until(lambda: value(probing.url, "gpu_memory_used_bytes", gpu="0") is not None, 20, "the card was not read")
    before = value(probing.url, "gpu_memory_used_bytes", gpu="0")
    seen = set()

    def ended():
        found = series(probing.url)
        seen.update(dict(labels)["workload"] for labels in found.get("gpu_process_memory_used_bytes", {}))
        return "model_probe_success" in found

    wait_until(ended, PATIENCE, lambda: f"no run:\n{probing.output}")
    wait_for(probing, "model_probe_success", 1, model="gpt2-small", gpu="0")
    url = probing.url
    first = value(url, "model_probe_time_to_first_token_seconds", percentile="50")
    reserved = value(url, "model_probe_memory_peak_bytes", kind="torch_reserved")

    assert 0 < first < 1
    assert value(url, "model_probe_time_to_first_token_seconds", percentile="90") >= first
    assert value(url, "model_probe_sm_clock_hertz", at="end") > 0
    assert value(url, "model_probe_info", device="cuda", interpreter="own") == 1
    assert 0 < value(url, "model_probe_time_used_ratio", gpu="0") < 0.01
    if value(url, "gpu_processes_visible", gpu="0"):
        assert "gpuwarden_probe" in seen
        assert value(url, "model_probe_memory_peak_bytes", kind="process") > reserved
    wait_until(
        lambda: abs(value(url, "gpu_memory_used_bytes", gpu="0") - before) < 16 * MIB, 10, "memory was not given back"
    )
