"""The probe for real, on the processor: the exporter, its child with torch, and the page."""

import contextlib
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.e2e.probing import is_there, wait_for
from tests.e2e.running import CLIENT, exporter, series
from tests.polling import wait_until

pytestmark = [pytest.mark.torch, pytest.mark.timeout(660)]

PATIENCE = 600.0
"""The run has the lowest priority: beside other tests it may take minutes for the seconds that it needs."""
WEIGHTS = {"gpt2-tiny": 198_400 * 4, "gpt2-small": 124_439_808 * 4, "resnet18": 11_689_512 * 4}


def probing(home, models):
    own = {"ENABLED": "true", "DEVICE": "cpu", "INTERVAL": "10s", "QUIET": "1s", "BUSY": "1", "SHARE": "0.05"}
    own |= {"MODELS": models, "TIMEOUT": "10m"}
    environ = {f"GPUWARDEN_EXPORTER_PROBE_{key}": value for key, value in own.items()}
    return exporter(home, {**environ, "LD_LIBRARY_PATH": str(home)})


def wait_for_run(process, model):
    """Until a run went well. Where it is allowed, the child is given back the ordinary priority."""

    def lift():
        for child in psutil.Process(process.process.pid).children():
            with contextlib.suppress(OSError, psutil.Error):
                child.nice(0)
                Path(f"/proc/{child.pid}/autogroup").write_text("0")
        return True

    wait_until(lambda: lift() and "model_probe_success" in series(process.url), PATIENCE, lambda: process.output)
    wait_for(process, "model_probe_success", 1, model=model)


def of_model(url, name, model):
    """The series of a model by its last label's value, in the page's order."""
    return {
        dict(labels).get("percentile") or dict(labels).get("kind") or "": value
        for labels, value in series(url).get(name, {}).items()
        if dict(labels)["model"] == model
    }


@pytest.mark.parametrize("model", ["gpt2-tiny", "gpt2-small"])
def test_a_gpt_is_probed_on_the_processor(tmp_path, model):
    """A machine with torch and no card would show nothing of how fast it answers."""
    with probing(tmp_path, model) as process:
        wait_for_run(process, model)
        first = of_model(process.url, "model_probe_time_to_first_token_seconds", model)
        further = of_model(process.url, "model_probe_time_per_output_token_seconds", model)
        weights = of_model(process.url, "model_probe_weights_bytes", model)
        peak = of_model(process.url, "model_probe_memory_peak_bytes", model)
        counted = of_model(process.url, "model_time_to_first_token_seconds_count", model)
        status = CLIENT.get(process.url).text

    assert first["50"] > further["50"] > 0
    assert WEIGHTS[model] <= weights[""] < WEIGHTS[model] * 1.01
    assert peak["process"] > weights[""]
    assert counted == {"": 1}
    assert "probed by gpuwarden on the processor, fp32, last run" in status


def test_a_cnn_is_probed_on_the_processor(tmp_path):
    """Who runs CNNs would see no figure of his own kind."""
    with probing(tmp_path, "resnet18") as process:
        wait_for_run(process, "resnet18")
        duration = of_model(process.url, "model_probe_duration_seconds", "resnet18")
        weights = of_model(process.url, "model_probe_weights_bytes", "resnet18")
        found = series(process.url)

    assert duration["50"] > 0
    assert WEIGHTS["resnet18"] <= weights[""] < WEIGHTS["resnet18"] * 1.01
    assert "model_probe_time_to_first_token_seconds" not in found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_exporter_that_ends_takes_torch_along(tmp_path, number):
    """A torch process would hold a card's memory for nobody."""
    with probing(tmp_path, "gpt2-small") as process:
        parent = psutil.Process(process.process.pid)
        wait_until(lambda: any("workload" in " ".join(_command(each)) for each in parent.children()), 60, "no run")
        children = [each.pid for each in parent.children()]
        os.kill(process.process.pid, number)
        process.process.wait(10)
        # At the lowest priority even an end takes its time.
        wait_until(lambda: not any(map(is_there, children)), 60, "torch outlived the exporter")


def _command(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []
