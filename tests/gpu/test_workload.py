"""The workload on a real card, with an exporter beside it: each kind of run, and that each gives everything back."""

import contextlib
import importlib.util
import os
import signal
import sys
import threading

import pynvml
import pytest

from exporter.latency.torch_child import Asked, run
from tests.e2e.running import exporter, series
from tests.polling import wait_until

pytestmark = pytest.mark.gpu

MIB = 2**20
SHORT = {"iterations": 3, "warmup_iterations": 1, "warmup_seconds": 0.0, "steps": 3, "threads": 1}
KINDS = {
    "generate": {"run": "generate", "model": "gpt2-small", "new_tokens": 32},
    "infer": {"run": "infer", "model": "resnet18", "batch": 8},
    "train": {"run": "train", "model": "resnet18", "stem": "cifar", "batch": 32},
}
RUNS = [(kind, precision) for kind in KINDS for precision in ("fp32", "tf32", "fp16", "amp")]
RUNS.remove(("train", "fp16"))
KINDS |= {
    "weigh channels": {"run": "infer", "model": "efficientnet-b0", "batch": 8},
    "detect": {"run": "infer", "model": "yolov5s", "batch": 2},
    "learn to detect": {"run": "train", "model": "yolov5s", "batch": 2, "image_size": 320},
    "learn volumes": {"run": "train", "model": "unet3d", "batch": 2, "volume": 32},
}
RUNS += [("weigh channels", "fp16"), ("detect", "fp16"), ("learn to detect", "amp"), ("learn volumes", "amp")]


class Card:
    """The last card of this machine, which torch would not take by itself where there are several."""

    def __init__(self) -> None:
        self._handle = pynvml.nvmlDeviceGetHandleByIndex(pynvml.nvmlDeviceGetCount() - 1)
        self.uuid = pynvml.nvmlDeviceGetUUID(self._handle)

    @property
    def used_bytes(self):
        return int(pynvml.nvmlDeviceGetMemoryInfo(self._handle).used)

    @property
    def pids(self):
        """Who has a context, as far as NVML shows its processes here."""
        found = {each.pid for each in pynvml.nvmlDeviceGetComputeRunningProcesses(self._handle)}
        with contextlib.suppress(pynvml.NVMLError):  # a card that draws nothing need not answer
            found |= {each.pid for each in pynvml.nvmlDeviceGetGraphicsRunningProcesses(self._handle)}
        return found


@pytest.fixture(scope="module")
def card():
    """The card; skips where torch is missing."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    pynvml.nvmlInit()
    yield Card()
    pynvml.nvmlShutdown()


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """An exporter that reads the card all the time."""
    with exporter(tmp_path_factory.mktemp("exporter")) as found:
        assert found.url
        yield found


def has_context(process, card) -> bool:
    """Whether a process is on the card.

    What it has loaded and opened says nothing: NVML itself takes CUDA's library and the device of unified memory.
    """
    return process.pid in card.pids


@pytest.fixture
def tried(card, beside):
    """Does a run on the card; its memory must be back afterwards, and the exporter must stay off the card."""

    def do(spec, look=lambda _pid: {}, **more):
        before, contexts = card.used_bytes, []

        def at_barrier(pid):
            contexts.append(has_context(beside.process, card))
            return {"more_bytes": card.used_bytes - before, "listed": pid in card.pids, **look(pid)}

        asked = Asked({**SHORT, **spec}, sys.executable, 60.0, uuid=card.uuid)
        done = run(asked, at_barrier=at_barrier, **more)
        wait_until(
            lambda: card.used_bytes <= before + 8 * MIB,
            5,
            lambda: f"{(card.used_bytes - before) / MIB:.0f} MiB were not given back after {done}",
        )
        assert not any(contexts)
        assert not has_context(beside.process, card)
        return done

    return do


@pytest.mark.parametrize(("kind", "precision"), RUNS)
def test_each_kind_of_run_works_on_the_chosen_card_and_gives_its_memory_back(tried, card, kind, precision):
    """A probe would eat up the card little by little, or measure another card than the one that its figures name."""
    done = tried({**KINDS[kind], "precision": precision})

    assert (done.outcome, done.detail) == ("ok", "")
    assert done.spec["precision"] == precision
    assert done.started["uuid"].removeprefix("GPU-") == card.uuid.removeprefix("GPU-")
    assert done.barrier["more_bytes"] > done.figures["torch_allocated_bytes"] >= done.figures["weights_bytes"]
    assert 0 < done.figures["context_seconds"] + done.figures["build_seconds"] < done.figures["device_seconds"]


def test_out_of_memory_is_a_result_and_gives_everything_back(tried):
    """A model that does not fit would look like a broken card, or leave it full."""
    done = tried({"run": "generate", "model": "gpt2-xl", "precision": "fp16", "batch": 100_000})

    assert (done.outcome, done.reason) == ("oom", "out_of_memory")


def test_a_killed_child_gives_everything_back(tried):
    """Each run that is ended from outside would cost the card some memory."""
    done = tried({**KINDS["generate"], "precision": "fp16"}, lambda pid: os.kill(pid, signal.SIGKILL) or {})

    assert (done.outcome, done.reason) == ("error", "crashed")
    assert done.barrier["more_bytes"] > 100 * MIB


def test_a_run_that_is_stopped_while_the_card_works_gives_everything_back(tried):
    """An exporter that is stopped during a probe would leave the card full."""
    stop = threading.Event()

    def on_phase(phase, _):
        if phase == "training":
            threading.Timer(1.0, stop.set).start()

    done = tried({**KINDS["train"], "batch": 512, "steps": 10**6}, on_phase=on_phase, stop=stop)

    assert (done.outcome, done.reason) == ("stopped", "stopped")


PROBE = {"ENABLED": "true", "INTERVAL": "10s", "QUIET": "1s", "BUSY": "1", "SHARE": "0.05", "MODELS": "resnet18"}


def test_an_exporter_that_probes_stays_off_the_card_itself(tmp_path, card):
    """The exporter would hold hundreds of megabytes of the card that it watches, between the probes, too."""
    before = card.used_bytes
    settings = {f"GPUWARDEN_EXPORTER_PROBE_{key}": value for key, value in (PROBE | {"GPUS": card.uuid}).items()}
    with exporter(tmp_path, settings) as process:

        def ran():
            assert not has_context(process.process, card)
            return process.process.poll() is not None or any(
                value and dict(labels)["source"] == "probe"
                for labels, value in series(process.url).get("model_requests_total", {}).items()
            )

        wait_until(ran, 60, lambda: f"no probe was run:\n{process.output}")
        found = series(process.url)
        outcomes = {dict(labels)["outcome"] for labels, value in found["model_requests_total"].items() if value}

        assert outcomes == {"ok"}, process.output
        assert max(found["model_probe_time_used_ratio"].values()) > 0
        wait_until(lambda: card.used_bytes <= before + 8 * MIB, 5, "the probe has not given its memory back")
